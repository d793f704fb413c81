"""SAP on the reference's cases, on codes whose gap is known, and its laws."""

import itertools

import numpy as np
import pytest

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import sap

BITS = np.array(list(itertools.product((0, 1), repeat=3)) * 12)


def trained_and_tested(codes, factors):
    return sap(codes, factors, codes, factors)


def test_sap_agrees_with_the_reference(reference):
    arrays, expected = reference
    assert sap(**arrays) == pytest.approx(expected["sap_discrete"], abs=1e-6)
    assert sap(**arrays, continuous=True) == pytest.approx(expected["sap_continuous"], abs=1e-6)


def test_one_latent_for_each_binary_factor_leaves_half_to_a_guess():
    # The best latent is always right, any other one half of the time.
    codes = 2.0 * BITS[:, [2, 0, 1]] - 1
    assert trained_and_tested(codes, BITS) == pytest.approx(0.5, abs=1e-12)
    assert sap(codes, BITS, continuous=True) == pytest.approx(1, abs=1e-12)


def test_duplicated_latents_score_zero():
    codes = BITS[:, [0, 1, 2, 0, 1, 2]]
    assert trained_and_tested(codes, BITS) == pytest.approx(0, abs=1e-12)
    assert sap(codes, BITS, continuous=True) == pytest.approx(0, abs=1e-12)


def test_independent_latents_score_zero():
    codes, factors = BITS[:, :2], BITS[:, 2:]
    assert trained_and_tested(codes, factors) == pytest.approx(0, abs=1e-12)
    assert sap(codes, factors, continuous=True) == pytest.approx(0, abs=1e-12)


def test_rotated_latents_score_zero():
    # Sum and difference each settle a bit for two of their three values: right 3 times of 4, both alike.
    codes, factors = BITS[:, :2] @ [[1, 1], [1, -1]], BITS[:, :2]
    assert trained_and_tested(codes, factors) == pytest.approx(0, abs=1e-12)
    assert sap(codes, factors, continuous=True) == pytest.approx(0, abs=1e-12)
    # Beside the sum the bit itself: 1 - 3/4 for it. The other bit is right 3/4 of the time in the sum, and 1/2.
    codes[:, 1] = BITS[:, 0]
    assert trained_and_tested(codes, factors) == pytest.approx((1 / 4 + 1 / 4) / 2, abs=1e-12)
    # Squared correlations: 1 against 1/2 for it, 1/2 against 0 for the other.
    assert sap(codes, factors, continuous=True) == pytest.approx((1 / 2 + 1 / 2) / 2, abs=1e-12)


def test_continuous_factors_are_numbers_of_any_kind(grid):
    generator = np.random.default_rng(0)
    values = generator.normal(size=(200, 2))
    codes = values @ generator.normal(size=(2, 4)) + generator.normal(size=(200, 4))
    squared = np.corrcoef(codes, values, rowvar=False)[:4, 4:] ** 2
    expected = np.mean([np.sort(column)[-1] - np.sort(column)[-2] for column in squared.T])
    assert sap(codes, values, continuous=True) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(VaelensError, match=r"factors hold .* in image 0, factor 0; expected whole numbers"):
        sap(codes, values)
    with pytest.raises(VaelensError, match=r"factors hold inf in image 1, factor 0; expected finite numbers"):
        sap(codes[:2], [[0.0, 1.0], [np.inf, 2.0]], continuous=True)
    with pytest.raises(VaelensError, match="codes hold 3 images and factors 200"):
        sap(codes[:3], values, continuous=True)
    with pytest.raises(VaelensError, match="every factor has one value"):
        sap(grid, np.full((len(grid), 1), 0.5), continuous=True)


def test_factors_with_one_value_are_left_out(grid):
    codes = np.random.default_rng(0).normal(size=(len(grid), 3)) + grid
    for options in ({}, {"continuous": True}):
        assert sap(codes, np.insert(grid, 1, 6, axis=1), **options) == sap(codes, grid, **options)


def test_a_constant_latent_is_a_guess(grid):
    bits, constant = BITS[:, :1], np.full((len(BITS), 1), 2.0)
    # One latent is right in all images, the other says one value for all: right in half of them.
    assert trained_and_tested(np.hstack([constant, bits]), bits) == pytest.approx(1 - 1 / 2, abs=1e-12)
    assert sap(np.hstack([constant, bits]), bits, continuous=True) == pytest.approx(1, abs=1e-12)
    assert sap(np.ones((len(grid), 3)), grid) == 0
    assert sap(np.ones((len(grid), 3)), grid, continuous=True) == 0
    # As the reference has it, a second-best latent of noise can do worse than a guess; squared, it cannot.
    codes = np.random.default_rng(0).normal(size=(len(grid), 3)) + grid
    dead = np.insert(codes, 1, 2.0, axis=1)
    assert sap(dead, grid) <= sap(codes, grid)
    assert sap(dead, grid, continuous=True) == pytest.approx(sap(codes, grid, continuous=True), abs=1e-12)


def test_permuting_flipping_and_renaming_change_nothing(grid):
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(len(grid), 5)) + grid[:, [0, 1, 2, 2, 0]]
    renamed = np.column_stack([1 - grid[:, 0], (grid[:, 1] + 1) % 3, np.array([7, 2, 9, -4])[grid[:, 2]]])
    score = sap(codes, grid)
    assert 0.01 < score < 0.99
    assert sap(codes[:, generator.permutation(5)], grid) == pytest.approx(score, abs=1e-12)
    assert sap(codes * [-1, 1, -1, -1, 1], grid) == pytest.approx(score, abs=1e-12)
    assert sap(codes, renamed[:, [1, 2, 0]]) == pytest.approx(score, abs=1e-12)
    score = sap(codes, grid, continuous=True)
    assert sap(codes[:, generator.permutation(5)], grid, continuous=True) == pytest.approx(score, abs=1e-12)
    assert sap(codes * [-3, 1, -1, -9, 1], 10 - 3 * grid, continuous=True) == pytest.approx(score, abs=1e-12)


def test_without_a_test_set_the_split_is_seeded(grid):
    codes = np.random.default_rng(0).normal(size=(len(grid), 3)) + grid
    assert sap(codes, grid) == sap(codes, grid, seed=0) != sap(codes, grid, seed=1)


def test_a_gap_needs_two_latents(grid):
    for options in ({}, {"continuous": True}):
        with pytest.raises(VaelensError, match="codes hold 1 latent; expected at least 2"):
            sap(grid[:, :1], grid, **options)


def test_many_values_for_few_images_are_still_classes():
    factors = np.arange(12).reshape(12, 1) * 3 // 4  # nine values among twelve images; warnings are errors here
    assert 0 <= sap(np.hstack([factors, -factors]), factors, np.hstack([factors, -factors]), factors) < 1


def test_factors_of_both_kinds_are_scored_as_what_they_are(grid):
    codes = np.random.default_rng(0).normal(size=(len(grid), 3)) + grid
    single = [sap(codes, grid[:, [k]], continuous=kind) for k, kind in enumerate((False, True, False))]
    assert sap(codes, grid, continuous=[False, True, False]) == pytest.approx(np.mean(single), abs=1e-12)
    for kind in (False, True):
        assert sap(codes, grid, continuous=[kind] * 3) == sap(codes, grid, continuous=kind)
    moved = grid + np.array([0, 0.5, 0])
    assert sap(codes, moved, continuous=[False, True, False]) == pytest.approx(np.mean(single), abs=1e-12)
