"""Counting against scikit-learn's mutual information and NumPy's histogram, and against values on paper."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from vaelens.metrics.disentanglement.information import discretise, entropy, mutual_information


def test_mutual_information_equals_scikit_learn():
    generator = np.random.default_rng(0)
    first = generator.integers(-3, 20, size=(500, 4))
    second = np.column_stack([first[:, 0] // 3, generator.integers(5, size=500), 100 - 7 * first[:, 1]])
    computed = mutual_information(first, second)
    expected = [[mutual_info_score(a, b) for b in second.T] for a in first.T]
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-12)


def test_information_on_paper():
    # b is a with one of its two halves told apart further: H(a) = log 2, H(b) = 1.5 log 2, I = H(a).
    a = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    b = np.array([7, 7, 7, 7, 5, 5, 9, 9])
    columns = np.stack([a, b], axis=1)
    np.testing.assert_allclose(entropy(columns), np.log(2) * np.array([1.0, 1.5]))
    np.testing.assert_allclose(mutual_information(columns, columns), np.log(2) * np.array([[1, 1], [1, 1.5]]))


def test_exactly_independent_columns_have_no_information(grid):
    information = mutual_information(grid, grid)
    np.testing.assert_allclose(information, np.diag(np.log([2, 3, 4])), rtol=0, atol=1e-12)
    assert (information >= 0).all()


def test_one_value_has_neither_entropy_nor_information(grid):
    constant = np.full((len(grid), 1), 3)
    np.testing.assert_array_equal(entropy(constant), [0.0])
    np.testing.assert_allclose(mutual_information(constant, grid), 0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [2, 7, 20])
def test_bins_are_those_of_numpy_histograms(dtype, bins):
    # Whole numbers and simple fractions lie on edges, where rounding decides.
    generator = np.random.default_rng(0)
    codes = np.concatenate([generator.normal(size=(300, 5)), generator.integers(21, size=(300, 5)) / 20], axis=1)
    codes = codes.astype(dtype)
    binned = discretise(codes, bins)
    for column, computed in zip(codes.T, binned.T, strict=True):
        edges = np.histogram(column, bins)[1][:-1]
        np.testing.assert_array_equal(computed, np.digitize(column, edges) - 1)
    assert binned.min() == 0
    assert binned.max() == bins - 1


def test_a_constant_or_nearly_constant_latent_needs_no_special_care():
    # The second latent has fewer float32 numbers between its extremes than there are bins.
    nearly = np.nextafter(np.float32(1), np.float32(2))
    codes = np.array([[5.0, 1.0], [5.0, nearly], [5.0, 1.0], [5.0, nearly]], dtype=np.float32)
    binned = discretise(codes)
    assert len(np.unique(binned[:, 0])) == 1
    assert binned[0, 1] == binned[2, 1] < binned[1, 1] == binned[3, 1]
