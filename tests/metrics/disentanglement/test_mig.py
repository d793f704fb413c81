"""MIG on the reference's cases, on codes whose gap is known, and its laws."""

import numpy as np
import pytest

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import mig


def test_mig_agrees_with_the_reference(reference):
    arrays, expected = reference
    assert mig(arrays["codes"], arrays["factors"]) == pytest.approx(expected["mig"], abs=1e-6)


def test_one_latent_for_each_factor_scores_one(grid):
    assert mig(3.0 * grid[:, [2, 0, 1]] - 1, grid) == pytest.approx(1, abs=1e-12)


def test_two_latents_for_each_factor_score_zero(grid):
    assert mig(grid[:, [0, 1, 2, 0, 1, 2]], grid) == pytest.approx(0, abs=1e-12)


def test_constant_codes_score_zero(grid):
    assert mig(np.ones((len(grid), 4)), grid) == pytest.approx(0, abs=1e-12)


def test_a_partial_gap_on_paper():
    # Factor of 4 values. The first latent tells all (2 bits), the second its parity (1 bit): (2 - 1) / 2.
    factors = np.tile(np.arange(4), 5)[:, None]
    codes = np.column_stack([factors, factors % 2]).astype(float)
    assert mig(codes, factors) == pytest.approx(0.5, abs=1e-12)
    # With two bins the first latent is left with 1 bit, independent of the parity: the gap is gone.
    assert mig(codes, factors, bins=2) == pytest.approx(0, abs=1e-12)


def test_a_factor_with_one_value_is_left_out(grid):
    codes = np.random.default_rng(0).normal(size=(len(grid), 4)) + grid[:, [0, 1, 2, 0]]
    with_constant = np.insert(grid, 1, 6, axis=1)
    assert mig(codes, with_constant) == mig(codes, grid)


def test_constant_latents_change_nothing(grid):
    codes = np.random.default_rng(0).normal(size=(len(grid), 3)) + grid
    assert mig(np.insert(codes, 1, 2.0, axis=1), grid) == mig(codes, grid)


def test_permuting_flipping_scaling_and_renaming_change_nothing(grid):
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(len(grid), 5)) + grid[:, [0, 1, 2, 2, 0]]
    score = mig(codes, grid)
    assert 0.01 < score < 0.99
    assert mig(codes[:, generator.permutation(5)], grid) == score
    assert mig(codes * [-1, 1, -1, -1, 1], grid) == pytest.approx(score, abs=1e-12)
    assert mig(codes * 8 + 16, grid) == pytest.approx(score, abs=1e-12)
    assert mig(codes, 10 - 3 * grid[:, [1, 2, 0]]) == pytest.approx(score, abs=1e-12)


def test_a_gap_needs_two_latents_and_two_bins(grid):
    with pytest.raises(VaelensError, match="codes hold 1 latent; expected at least 2"):
        mig(grid[:, :1], grid)
    with pytest.raises(VaelensError, match="bins is 1; expected 2 or more"):
        mig(grid, grid, bins=1)


def test_a_continuous_factor_is_cut_into_bins(grid):
    generator = np.random.default_rng(0)
    values = generator.normal(size=(400, 2))
    codes = np.column_stack([values, generator.normal(size=400)]) + 0.3 * generator.normal(size=(400, 3))
    cut = np.column_stack([np.digitize(v, np.histogram(v, 8)[1][:-1]) for v in values.T])
    assert mig(codes, values, bins=8, continuous=True) == mig(codes, cut, bins=8)
    assert mig(codes, np.column_stack([values[:, 0], cut[:, 1]]), bins=8, continuous=[True, False]) == mig(
        codes, cut, bins=8
    )
    # What counts is the order and the distances: the unit does not.
    assert mig(codes, 4 * values - 1, bins=8, continuous=True) == mig(codes, values, bins=8, continuous=True)
    with pytest.raises(VaelensError, match=r"factors hold .* in image 0, factor 0; expected whole numbers"):
        mig(codes, values)


def test_the_gap_by_nearest_neighbours():
    # Factor of 4 values, 2 bits, all known to the first latent; the second knows its parity, 1 bit: (2 - 1) / 2.
    generator = np.random.default_rng(0)
    factors = generator.integers(4, size=(800, 1))
    codes = np.column_stack([3 * factors, 3 * (factors % 2)]) + generator.uniform(size=(800, 2))
    assert mig(codes, factors, estimator="nearest-neighbours") == pytest.approx(0.5, abs=0.02)
    assert mig(codes, factors, estimator="nearest-neighbours", neighbours=10) == pytest.approx(0.5, abs=0.05)


def test_nearest_neighbours_need_factors_with_an_entropy(grid):
    with pytest.raises(VaelensError, match=r"factor 2 is continuous .* does not have; take estimator='bins'"):
        mig(grid, grid, estimator="nearest-neighbours", continuous=[False, False, True])
    with pytest.raises(VaelensError, match=r"unknown estimator 'nearest'"):
        mig(grid, grid, estimator="nearest")
