"""The interventional robustness score on the reference's cases, on codes whose score is known, and its laws."""

import numpy as np
import pytest

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import irs


def test_irs_agrees_with_the_reference(reference):
    arrays, expected = reference
    score = irs(arrays["codes"], arrays["factors"])
    if expected["irs"] is None:  # the reference does not leave constant latents out
        varying = np.ptp(arrays["codes"], axis=0) > 0
        assert score == irs(arrays["codes"][:, varying], arrays["factors"])
        assert 0 < score < 1
    else:
        assert score == pytest.approx(expected["irs"], abs=1e-6)


def test_latents_of_one_factor_score_one(grid):
    assert irs(3.0 * grid[:, [2, 0, 1]] - 1, grid) == pytest.approx(1, abs=1e-12)
    assert irs(grid[:, [0, 1, 2, 0, 1, 2]], grid) == pytest.approx(1, abs=1e-12)  # twice is no fault


def test_independent_latents_score_zero(grid):
    # A bit lies half a unit from its mean, whichever factor is held.
    assert irs(grid[:, :1], grid[:, 1:]) == pytest.approx(0, abs=1e-12)


def test_rotated_latents_score_a_half(grid):
    bits = np.column_stack([grid[:, 0], grid[:, 2] % 2])
    # The sum lies up to 1 from its mean, and always 1/2 from it while either bit is held.
    assert irs(bits @ [[1, 1], [1, -1]], bits) == pytest.approx(0.5, abs=1e-12)


def test_latents_count_by_how_far_they_move(grid):
    # Deviations of up to 3/2 with robustness 1, and of up to 1/2 with robustness 0.
    assert irs(grid[:, [2, 0]], grid[:, 1:]) == pytest.approx(3 / 4, abs=1e-12)
    assert irs(grid[:, [2, 0]] * [1, 3], grid[:, 1:]) == pytest.approx(1 / 2, abs=1e-12)


def test_the_quantile_forgives_an_outlier():
    factors = np.repeat([0, 1], 500)[:, None]
    codes = np.where(factors == 0, -1.0, 1.0)
    codes[0] = 1.0
    # Of 500 codes at -1 one is at 1: their mean is -1 + 2/500, and 99 % of them are that far from it.
    mean = codes.mean()
    assert irs(codes, factors) == pytest.approx(1 - (2 / 500 / 2) / (1 + mean), abs=1e-9)
    assert irs(codes, factors, quantile=1) == pytest.approx(1 - ((2 - 2 / 500) / 2) / (1 + mean), abs=1e-9)


def test_irs_equals_a_slow_one(grid):
    codes = np.random.default_rng(0).normal(size=(len(grid), 3)) + grid
    total = weights = 0
    for latent in codes.T:
        most = max(abs(z - latent.mean()) for z in latent)
        robustness = []
        for factor in grid.T:
            moved = []
            for value in set(factor.tolist()):
                held = sorted(abs(latent[factor == value] - latent[factor == value].mean()))
                place = 0.99 * (len(held) - 1)
                low, part = int(place), place - int(place)
                moved.append(held[low] + part * (held[low + 1] - held[low]))
            robustness.append(1 - sum(moved) / len(moved) / most)
        total, weights = total + most * max(robustness), weights + most
    assert irs(codes, grid) == pytest.approx(total / weights, abs=1e-12)


def test_constant_latents_and_factors_are_left_out(grid):
    codes = np.random.default_rng(0).normal(size=(len(grid), 3)) + grid
    score = irs(codes, grid)
    assert irs(np.insert(codes, 1, 2.0, axis=1), grid) == score
    assert irs(codes, np.insert(grid, 1, 6, axis=1)) == score
    assert irs(np.ones((len(grid), 3)), grid) == 0


def test_permuting_flipping_and_renaming_change_nothing(grid):
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(len(grid), 5)) + grid[:, [0, 1, 2, 2, 0]]
    score = irs(codes, grid)
    assert 0.01 < score < 0.99
    assert irs(codes[:, generator.permutation(5)], grid) == pytest.approx(score, abs=1e-12)
    assert irs(codes * [-1, 1, -1, -1, 1], grid) == pytest.approx(score, abs=1e-12)
    assert irs(codes * 8 + 16, grid) == pytest.approx(score, abs=1e-12)
    renamed = np.column_stack([1 - grid[:, 0], (grid[:, 1] + 1) % 3, np.array([7, 2, 9, -4])[grid[:, 2]]])
    assert irs(codes, renamed[:, [1, 2, 0]]) == pytest.approx(score, abs=1e-12)


def test_a_factor_of_many_values_is_cut_into_bins():
    rng = np.random.default_rng(0)
    factors = np.column_stack([rng.integers(40, size=4000), rng.integers(3, size=4000)])
    codes = factors + rng.normal(size=(4000, 2))
    halves = np.column_stack([np.minimum(factors[:, 0] // 1.95, 19).astype(int), factors[:, 1]])  # 20 bins of [0, 39]
    assert irs(codes, factors) == irs(codes, halves, bins=None)
    assert irs(codes, factors) != irs(codes, factors, bins=None) == irs(codes, factors, bins=40)
    with pytest.raises(VaelensError, match="bins is 1; expected a whole number of at least 2"):
        irs(codes, factors, bins=1)


@pytest.mark.parametrize("quantile", [0, 1.01, -1, np.nan, "all", None])
def test_a_quantile_has_a_range(grid, quantile):
    with pytest.raises(VaelensError, match=r"quantile is .*; expected a number above 0 and at most 1"):
        irs(grid, grid, quantile=quantile)
