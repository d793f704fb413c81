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
