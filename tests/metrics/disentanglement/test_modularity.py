"""Modularity on the reference's cases, on codes whose score is known, and its laws."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import modularity


def test_modularity_agrees_with_the_reference(reference):
    arrays, expected = reference
    assert modularity(arrays["codes"], arrays["factors"]) == pytest.approx(expected["modularity"], abs=1e-6)


def test_one_factor_for_each_latent_scores_one(grid):
    assert modularity(3.0 * grid[:, [2, 0, 1]] - 1, grid) == pytest.approx(1, abs=1e-12)
    assert modularity(grid[:, [0, 1, 2, 0, 1, 2]], grid) == pytest.approx(1, abs=1e-12)  # twice is no fault


def test_rotated_latents_score_zero(grid):
    bits = np.column_stack([grid[:, 0], grid[:, 2] % 2])
    assert modularity(bits @ [[1, 1], [1, -1]], bits) == pytest.approx(0, abs=1e-12)


def test_latents_that_know_nothing_score_zero_and_count(grid):
    assert modularity(np.ones((len(grid), 4)), grid) == 0
    assert modularity(grid[:, :1], grid[:, 1:]) == 0  # exactly independent
    # Two latents of one factor each, two that know nothing: (1 + 1 + 0 + 0) / 4.
    codes = np.column_stack([grid[:, 1], np.ones(len(grid)), grid[:, 0], grid[:, 2]])
    assert modularity(codes, grid[:, 1:]) == pytest.approx(2 / 4, abs=1e-12)


def test_a_latent_of_two_factors_on_paper(grid):
    # Knows 1 bit of the first factor, 2 of the last and none of the other: 1 - (1² / 2²) / (3 - 1).
    assert modularity((4 * grid[:, 0] + grid[:, 2])[:, None], grid) == pytest.approx(7 / 8, abs=1e-12)
    # Of two factors: 1 - (1² / 2²) / (2 - 1). A factor with one value is none.
    factors = np.column_stack([grid[:, 0], np.full(len(grid), 5), grid[:, 2]])
    assert modularity((4 * grid[:, 0] + grid[:, 2])[:, None], factors) == pytest.approx(3 / 4, abs=1e-12)
    # With two bins it knows the first factor alone.
    assert modularity((4 * grid[:, 0] + grid[:, 2])[:, None], grid, bins=2) == pytest.approx(1, abs=1e-12)


def test_modularity_equals_a_slow_one(grid):
    codes = np.random.default_rng(0).normal(size=(len(grid), 4)) + grid[:, [0, 1, 2, 0]]
    scores = []
    for latent in codes.T:
        edges = np.linspace(latent.min(), latent.max(), 21)[:-1]
        information = sorted(mutual_info_score(np.digitize(latent, edges), factor) for factor in grid.T)
        scores.append(1 - (information[0] ** 2 + information[1] ** 2) / (2 * information[2] ** 2))
    assert modularity(codes, grid) == pytest.approx(np.mean(scores), abs=1e-12)


def test_permuting_flipping_and_renaming_change_nothing(grid):
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(len(grid), 5)) + grid[:, [0, 1, 2, 2, 0]]
    score = modularity(codes, grid)
    assert 0.01 < score < 0.99
    assert modularity(codes[:, generator.permutation(5)], grid) == pytest.approx(score, abs=1e-12)
    assert modularity(codes * [-1, 1, -1, -1, 1], grid) == pytest.approx(score, abs=1e-12)
    assert modularity(codes * 8 + 16, grid) == pytest.approx(score, abs=1e-12)
    renamed = np.column_stack([1 - grid[:, 0], (grid[:, 1] + 1) % 3, np.array([7, 2, 9, -4])[grid[:, 2]]])
    assert modularity(codes, renamed[:, [1, 2, 0]]) == pytest.approx(score, abs=1e-12)


def test_two_factors_and_two_bins_are_needed(grid):
    with pytest.raises(VaelensError, match="factors hold 1 factor that varies; expected at least 2"):
        modularity(grid, np.insert(grid[:, :1], 1, 3, axis=1))
    for bins in (1, 2.5, "many"):
        with pytest.raises(VaelensError, match=r"bins is .*; expected a whole number of at least 2"):
            modularity(grid, grid, bins=bins)


def test_continuous_factors_are_cut_into_bins_too(grid):
    values = np.random.default_rng(0).normal(size=(400, 2))
    codes = values @ [[1, 0.5], [0, 1]]
    cut = np.column_stack([np.digitize(v, np.histogram(v, 20)[1][:-1]) for v in values.T])
    assert modularity(codes, values, continuous=True) == modularity(codes, cut)
    with pytest.raises(VaelensError, match=r"factors hold .* in image 0, factor 0; expected whole numbers"):
        modularity(codes, values)


def test_modularity_by_nearest_neighbours_on_paper():
    # Normal factors a and b, latents a + noise and 2 a + b. Of a Gaussian I = -log(1 - r²) / 2, with r² = 4/5 and 1/5
    # for the second latent: θ = log(5) / 2 against log(5/4) / 2. The first knows nothing of b.
    values = np.random.default_rng(0).normal(size=(6000, 3))
    codes = np.column_stack([values[:, 0] + values[:, 2], 2 * values[:, 0] + values[:, 1]])
    expected = (1 + 1 - (np.log(5 / 4) / np.log(5)) ** 2) / 2
    scored = modularity(codes, values[:, :2], continuous=True, estimator="nearest-neighbours")
    assert scored == pytest.approx(expected, abs=0.02)
