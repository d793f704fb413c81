"""Permutation tests against SciPy's and against counting by hand."""

import numpy as np
import pytest
from scipy import stats

from vaelens.errors import VaelensError
from vaelens.statistics import permutation_test


def size_of_difference(left, right, axis):
    return np.abs(left.mean(axis=axis) - right.mean(axis=axis))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("n", [6, 40])
def test_p_is_that_of_scipy(paired, n):
    rng = np.random.default_rng(n)
    first, second = rng.normal(0.4, 1, size=(n, 5)), rng.exponential(size=(n, 5))
    ours = permutation_test(first, second, paired=paired, permutations=5000)
    theirs = stats.permutation_test(
        (first, second),
        size_of_difference,
        permutation_type="samples" if paired else "independent",
        alternative="greater",
        n_resamples=5000,
        vectorized=True,
        rng=1,
    )
    np.testing.assert_allclose(ours.difference, first.mean(axis=0) - second.mean(axis=0), rtol=1e-10)
    if n == 6:
        assert ours.exact
        assert ours.permutations == (64 if paired else 924)
        np.testing.assert_allclose(ours.p, theirs.pvalue, rtol=1e-12)
    else:
        assert not ours.exact
        np.testing.assert_allclose(ours.p, theirs.pvalue, atol=4 * np.sqrt(0.5 / 5000))


def test_counted_by_hand():
    # Of the 6 ways to choose two of 1, 2, 3, 10: |difference of means| is 5, 4, 3, 3, 4, 5; found is that of {1, 3}.
    test = permutation_test([1.0, 3.0], [2.0, 10.0])
    assert (test.permutations, test.exact, float(test.difference), float(test.p)) == (6, True, -4.0, 4 / 6)
    # Differences 1, 2, 3 under 8 signs: |sum| is 6 twice, 4 twice, 2 twice and 0 twice; found is 1 + 2 + 3.
    pairs = permutation_test([2.0, 4.0, 6.0], [1.0, 2.0, 3.0], paired=True)
    assert (pairs.permutations, float(pairs.p)) == (8, 2 / 8)


def test_no_drawn_p_is_zero_and_the_seed_decides():
    first, second = np.arange(30.0), np.arange(30.0) + 100
    assert float(permutation_test(first, second, permutations=99).p) == 1 / 100
    near = np.random.default_rng(0).normal(size=(2, 30, 9))
    first, same, reseeded = (permutation_test(*near, permutations=200, seed=seed).p for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != reseeded).any()


def test_equal_samples_and_nan():
    values = np.random.default_rng(0).normal(1e8, 1, size=(8, 2))
    assert (permutation_test(values, values).p == 1).all()
    broken = values.copy()
    broken[0, 1] = np.nan
    p = permutation_test(broken, values).p
    assert not np.isnan(p[0])
    assert np.isnan(p[1])


@pytest.mark.parametrize("paired", [False, True])
def test_a_true_null_is_rejected_as_often_as_the_level_says(paired):
    rng = np.random.default_rng(3)
    first, second = rng.exponential(size=(12, 2000)), rng.exponential(size=(12, 2000))
    p = permutation_test(first, second, paired=paired, permutations=999).p
    np.testing.assert_allclose((p <= 0.05).mean(), 0.05, atol=0.015)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"second": np.ones((3, 2))}, r"first has shape \(3,\) and second \(3, 2\); expected \(n, \*shape\) and"),
        ({"second": [1.0], "paired": True}, r"row by row a pair, with at least one row"),
        ({"first": []}, "with at least one row"),
        ({"permutations": 0}, "permutations is 0; expected 1 or more"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    with pytest.raises(VaelensError, match=message):
        permutation_test(**{"first": [1.0, 2.0, 3.0], "second": [1.0, 2.0, 3.0], **change})
