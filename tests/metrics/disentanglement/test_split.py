"""The split into training and test images, and test sets that do not fit."""

import numpy as np
import pytest

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import dci
from vaelens.metrics.disentanglement.split import check_split

CODES = np.random.default_rng(0).normal(size=(30, 3))
FACTORS = np.random.default_rng(1).integers(4, size=(30, 2))


def test_the_split_is_seeded_and_takes_every_image_once():
    images = np.arange(31)[:, None]
    train, train_factors, test, test_factors = check_split(images, images, None, None, seed=0)
    assert (len(train), len(test)) == (21, 10)
    np.testing.assert_array_equal(train, train_factors)
    np.testing.assert_array_equal(test, test_factors)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test]), axis=0), images)
    np.testing.assert_array_equal(train, check_split(images, images, None, None, seed=0)[0])
    assert (train != check_split(images, images, None, None, seed=1)[0]).any()


def test_a_given_test_set_is_taken_as_it_is():
    parts = check_split(CODES, FACTORS, CODES[:5], FACTORS[:5], seed=0)
    for part, expected in zip(parts, (CODES, FACTORS, CODES[:5], FACTORS[:5]), strict=True):
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize(
    ("test_codes", "test_factors", "message"),
    [
        (CODES, None, "test_codes came without test_factors; expected both or neither"),
        (None, FACTORS, "test_factors came without test_codes; expected both or neither"),
        (CODES[:9], FACTORS, "test_codes hold 9 images and test_factors 30"),
        (CODES[:, :2], FACTORS, "test_codes hold 2 latents and codes 3; expected the same columns"),
        (CODES, FACTORS[:, :1], "test_factors hold 1 factors and factors 2; expected the same columns"),
    ],
)
def test_a_test_set_that_does_not_fit_is_refused(test_codes, test_factors, message):
    with pytest.raises(VaelensError, match=message):
        dci(CODES, FACTORS, test_codes, test_factors)


def test_two_images_cannot_be_split():
    with pytest.raises(VaelensError, match="codes hold 2 images; expected at least 3 to split"):
        check_split(CODES[:2], FACTORS[:2], None, None, seed=0)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_has_a_range(seed):
    with pytest.raises(VaelensError, match=r"seed is .*; expected a whole number from 0"):
        check_split(CODES, FACTORS, None, None, seed=seed)


def test_factors_of_both_kinds_are_split_alike():
    values = np.column_stack([FACTORS[:, 0], FACTORS[:, 0] + 0.5])
    _, train, _, test = check_split(CODES, values, None, None, seed=0, continuous=[False, True])
    assert train.dtype == test.dtype == np.float64
    np.testing.assert_array_equal(train[:, 1] - train[:, 0], np.full(20, 0.5))
    with pytest.raises(VaelensError, match=r"test_factors hold 0.5 in image 0, factor 0; expected whole numbers"):
        check_split(CODES, values, CODES[:1], [[0.5, 0.5]], seed=0, continuous=[False, True])
    with pytest.raises(VaelensError, match="test_factors hold 3 factors and factors 2; expected the same columns"):
        check_split(CODES, values, CODES, np.zeros((30, 3)), seed=0, continuous=[False, True])
