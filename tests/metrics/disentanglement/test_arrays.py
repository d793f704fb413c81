"""What is refused, and with which words; what is accepted, and as what."""

import numpy as np
import pytest
import torch

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import dci, explicitness, irs, mig, modularity, sap
from vaelens.metrics.disentanglement.arrays import check_codes, check_factors, check_pair
from vaelens.metrics.disentanglement.split import check_split

CODES = np.random.default_rng(0).normal(size=(30, 3))
FACTORS = np.random.default_rng(1).integers(4, size=(30, 2))


def changed(array, index, value):
    array = array.astype(float)
    array[index] = value
    return array


@pytest.mark.parametrize("metric", [dci, mig, sap, modularity, explicitness, irs])
@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (CODES[:, 0], FACTORS, r"codes have shape \(30,\); expected \(N, d\).*for a single latent pass codes"),
        (CODES, FACTORS[:, 0], r"factors have shape \(30,\); expected \(N, K\).*pass factors\[:, None\]"),
        (CODES.reshape(30, 3, 1), FACTORS, r"codes have shape \(30, 3, 1\).*averaging over positions"),
        (CODES[:20], FACTORS, "codes hold 20 images and factors 30; expected the same images"),
        (CODES.T, FACTORS, "codes hold 3 images and factors 30.*transpose"),
        (
            changed(CODES, (4, 1), np.nan),
            FACTORS,
            r"codes hold values that are not finite \(1 of 90\).*image 4, latent 1",
        ),
        (
            changed(CODES, (7, 2), np.inf),
            FACTORS,
            r"codes hold values that are not finite \(1 of 90\).*image 7, latent 2",
        ),
        (CODES, changed(FACTORS, (5, 1), 0.5), "factors hold 0.5 in image 5, factor 1; expected whole numbers"),
        (CODES, changed(FACTORS, (5, 1), np.nan), "factors hold nan in image 5, factor 1; expected whole"),
        (CODES[:0], FACTORS[:0], r"codes have shape \(0, 3\); expected at least one image"),
        (CODES, FACTORS[:, :0], r"factors have shape \(30, 0\); expected at least one image and one factor"),
        (CODES, [["red"]] * 30, "factors hold <U3; expected an array .* of real numbers"),
        ([[1.0], [1.0, 2.0]], FACTORS, "codes is a list that NumPy cannot read.*expected an array"),
        (torch.zeros(30, 3, requires_grad=True), FACTORS, r"codes is a Tensor that NumPy cannot read.*detach"),
        (CODES, np.ones_like(FACTORS), "every factor has one value.*expected a factor that varies"),
    ],
)
def test_every_metric_refuses_what_is_no_pair_of_arrays(metric, codes, factors, message):
    with pytest.raises(VaelensError, match=message):
        metric(codes, factors)


def test_torch_tensors_lists_and_whole_floats_are_the_same_arrays():
    for codes, factors in (
        (torch.tensor(CODES), torch.tensor(FACTORS)),
        (CODES.tolist(), FACTORS.tolist()),
        (CODES, FACTORS.astype(float)),
    ):
        seen_codes, seen_factors = check_pair(codes, factors)
        np.testing.assert_array_equal(seen_codes, CODES)
        np.testing.assert_array_equal(seen_factors, FACTORS)
        assert seen_factors.dtype == np.int64


def test_codes_keep_float32_and_everything_else_becomes_float64():
    assert check_codes(CODES.astype(np.float32)).dtype == np.float32
    for dtype in (np.float64, np.float16, np.int32, bool):
        assert check_codes(CODES.astype(dtype)).dtype == np.float64
    assert check_factors(FACTORS.astype(bool)).dtype == np.int64


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
