"""What is refused, and with which words; what is accepted, and as what."""

import numpy as np
import pytest
import torch

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import dci, explicitness, irs, mig, modularity, sap
from vaelens.metrics.disentanglement.arrays import check_codes
from vaelens.metrics.disentanglement.labels import check_continuous, check_factors, check_kinds
from vaelens.metrics.disentanglement.pairs import check_pair, check_pair_of_kinds

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
        (CODES, changed(FACTORS, (5, 1), np.inf), "factors hold inf in image 5, factor 1; expected whole"),
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


def test_a_factor_is_continuous_or_not():
    np.testing.assert_array_equal(check_continuous(np.True_, 2), [True, True])
    np.testing.assert_array_equal(check_continuous((False, True, False), 3), [False, True, False])
    # Numbers of factors, too few, neither true nor false, a word.
    for continuous in ([0, 1], [True], [[True, False]], 1, None, "all"):
        with pytest.raises(VaelensError, match=r"continuous is .*; expected True or False, or one of them for each of"):
            check_continuous(continuous, 2)


def test_discrete_factors_stay_whole_beside_continuous_ones():
    factors = np.array([[1.0, 0.5], [2.0, -1.5]])
    np.testing.assert_array_equal(check_kinds(factors, [False, True]), factors)
    assert check_kinds(factors, True).dtype == np.float64
    assert check_kinds(factors[:, :1], False).dtype == np.int64
    with pytest.raises(VaelensError, match=r"ours hold 0.5 in image 0, factor 1; expected whole numbers"):
        check_kinds(factors, [True, False], "ours")
    with pytest.raises(VaelensError, match=r"factors hold inf in image 1, factor 0; expected finite numbers"):
        check_kinds([[0.5, 1], [np.inf, 1]], [True, False])
    with pytest.raises(VaelensError, match="codes hold 3 images and factors 2"):
        check_pair_of_kinds(np.zeros((3, 2)), factors, True)
