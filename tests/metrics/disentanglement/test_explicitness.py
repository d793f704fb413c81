"""Explicitness on the reference's cases, on codes whose score is known, and its laws."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import explicitness


def trained_and_tested(codes, factors):
    return explicitness(codes, factors, codes, factors)


@pytest.fixture
def noisy(grid):
    return np.random.default_rng(0).normal(size=(len(grid), 4)) + grid[:, [0, 1, 2, 0]]


def one_hot(factors):
    return np.column_stack([factor == value for factor in factors.T for value in np.unique(factor)])


def test_explicitness_agrees_with_the_reference(reference):
    arrays, expected = reference
    assert explicitness(**arrays) == pytest.approx(expected["explicitness_test_auc"], abs=1e-3)
    trained = trained_and_tested(arrays["codes"], arrays["factors"])
    assert trained == pytest.approx(expected["explicitness_train_auc"], abs=1e-3)


def test_codes_that_hold_every_value_linearly_score_one(grid):
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 9)))[0]
    assert trained_and_tested(5.0 * one_hot(grid), grid) == 1
    assert trained_and_tested(5.0 * one_hot(grid) @ rotation, grid) == 1
    assert trained_and_tested(np.hstack([one_hot(grid)] * 2), grid) == 1


def test_codes_that_know_nothing_linearly_score_a_half(grid):
    assert trained_and_tested(np.ones((len(grid), 2)), grid) == 0.5
    # Exactly independent: whatever the classifier makes of the code ranks the images without bias.
    assert trained_and_tested(grid[:, :2], grid[:, 2:]) == pytest.approx(0.5, abs=1e-12)
    # Two bits in their parity alone.
    bits = np.column_stack([grid[:, 0], grid[:, 2] % 2])
    assert trained_and_tested(bits.sum(axis=1, keepdims=True) % 2, bits) == pytest.approx(0.5, abs=1e-12)


def test_an_area_on_paper():
    # The only latent ranks the images 0 0 1 0 1 1 by probability of 1: 8 of 9 pairs of a 0 and a 1 in order.
    codes, factors = np.arange(6.0)[:, None], np.array([[0], [0], [1], [0], [1], [1]])
    assert trained_and_tested(codes, factors) == pytest.approx(8 / 9, abs=1e-12)


def test_explicitness_equals_a_slow_one(noisy, grid):
    areas = []
    for values in grid.T:
        model = LogisticRegression(max_iter=1000).fit(noisy, values)
        explicit = model.predict_proba(noisy)
        areas.append(
            np.mean(
                [
                    np.mean(np.subtract.outer(explicit[values == v, c], explicit[values != v, c]) > 0)
                    for c, v in enumerate(model.classes_)
                ]
            )
        )
    assert trained_and_tested(noisy, grid) == pytest.approx(np.mean(areas), abs=1e-12)


def test_what_cannot_be_scored_is_left_out(noisy, grid):
    score = trained_and_tested(noisy, grid)
    constant = np.insert(grid, 1, 6, axis=1)
    assert explicitness(noisy, constant, noisy, constant) == score
    dead = np.insert(noisy, 1, 2.0, axis=1)
    assert trained_and_tested(dead, grid) == pytest.approx(score, abs=1e-3)
    # A value that only test images have, and one that only training images have.
    factors = grid[:, 2:]
    predicted, unknown = factors[:, 0] != 3, factors[:, 0] != 0
    partial = explicitness(noisy[predicted], factors[predicted], noisy[unknown], factors[unknown])
    assert 0.5 < partial < 1
    with pytest.raises(VaelensError, match=r"factor 0 has one value.*expected at least 2 values.*more test images"):
        explicitness(noisy, factors, noisy[:1], factors[:1])


def test_permuting_flipping_and_renaming_change_nothing(noisy, grid):
    generator = np.random.default_rng(0)
    score = explicitness(noisy, grid)
    assert 0.51 < score < 0.99
    assert explicitness(noisy[:, generator.permutation(4)], grid) == pytest.approx(score, abs=1e-12)
    assert explicitness(noisy * [-1, 1, -1, -1], grid) == pytest.approx(score, abs=1e-12)
    renamed = np.column_stack([1 - grid[:, 0], (grid[:, 1] + 1) % 3, np.array([7, 2, 9, -4])[grid[:, 2]]])
    assert explicitness(noisy, renamed[:, [1, 2, 0]]) == pytest.approx(score, abs=1e-12)


def test_without_a_test_set_the_split_is_seeded(noisy, grid):
    assert explicitness(noisy, grid) == explicitness(noisy, grid, seed=0) != explicitness(noisy, grid, seed=1)


def test_a_test_set_that_does_not_fit_is_refused(noisy, grid):
    with pytest.raises(VaelensError, match="test_codes hold 2 latents and codes 4; expected the same columns"):
        explicitness(noisy, grid, noisy[:, :2], grid)
