"""Adjusted p-values against statsmodels."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from vaelens.errors import VaelensError
from vaelens.statistics import holm_sidak


@pytest.mark.parametrize("m", [1, 2, 7, 50])
def test_adjusted_values_are_those_of_statsmodels(m):
    p = np.random.default_rng(m).random(m) ** 3
    np.testing.assert_allclose(holm_sidak(p), multipletests(p, method="holm-sidak")[1], rtol=1e-9)


def test_nan_does_not_count_and_keeps_its_place():
    p = np.array([[0.03, np.nan], [0.2, 0.001]])
    adjusted = holm_sidak(p)
    assert np.isnan(adjusted[0, 1])
    np.testing.assert_allclose(adjusted[~np.isnan(p)], holm_sidak(p[~np.isnan(p)]))


def test_extremes():
    np.testing.assert_array_equal(holm_sidak([0.0, 1.0, 1.0]), [0, 1, 1])
    np.testing.assert_allclose(holm_sidak([1e-20, 1.0]), [2e-20, 1])
    assert holm_sidak([]).shape == (0,)


@pytest.mark.parametrize("wrong", [-0.1, 1.5, np.inf])
def test_what_is_no_probability_is_refused(wrong):
    with pytest.raises(VaelensError, match=f"p has the value {wrong}; expected probabilities"):
        holm_sidak([0.5, wrong])
