"""BCa intervals against SciPy's, and where there is nothing to correct."""

import numpy as np
import pytest
from scipy import stats

from vaelens.errors import VaelensError
from vaelens.statistics import bca_interval

STATISTICS = {
    "mean": (None, np.mean),
    "median": (lambda v: np.median(v, axis=0), np.median),
    "ratio": (lambda v: v.std(axis=0) / v.mean(axis=0), lambda v, axis: v.std(axis=axis) / v.mean(axis=axis)),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_ends_are_those_of_scipy(name):
    ours, theirs = STATISTICS[name]
    values = np.random.default_rng(0).exponential(size=60)
    low, high = bca_interval(values, ours, level=0.9, resamples=8000)
    defined = stats.bootstrap((values,), theirs, confidence_level=0.9, n_resamples=8000, method="BCa", rng=1)
    width = defined.confidence_interval.high - defined.confidence_interval.low
    np.testing.assert_allclose(low, defined.confidence_interval.low, atol=0.04 * width)
    np.testing.assert_allclose(high, defined.confidence_interval.high, atol=0.04 * width)


def test_a_mean_is_the_statistic_mean_cell_by_cell():
    values = np.random.default_rng(1).gamma(1.0, size=(40, 2, 3))
    cells = bca_interval(values, resamples=300)
    called = bca_interval(values, lambda v: v.mean(axis=0), resamples=300)
    np.testing.assert_allclose(cells, called, rtol=1e-12)
    alone = bca_interval(values[:, 1, 2], resamples=300)
    np.testing.assert_allclose([end[1, 2] for end in cells], alone, rtol=1e-12)


def test_a_constant_is_its_interval_and_nan_stays_in_its_cell():
    values = np.random.default_rng(0).normal(size=(30, 4))
    values[:, 1], values[3, 2], values[4, 3] = 0.1, np.nan, np.inf
    low, high = bca_interval(values, resamples=200)
    assert low[1] == high[1] == 0.1
    assert np.isnan([low[2], high[2], low[3], high[3]]).all()
    assert low[0] < values[:, 0].mean() < high[0]


def test_no_bias_correction_without_bounds():
    low, high = bca_interval(np.arange(20.0), lambda v: v.max(axis=0) + len(np.unique(v)), resamples=200)
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": [1.0]}, r"values have shape \(1,\); expected \(n, \*shape\)"),
        ({"values": 1.0}, r"values have shape \(\)"),
        ({"level": 95.0}, "level is 95.0; expected a probability"),
        ({"resamples": 0}, "resamples is 0; expected 1 or more"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    with pytest.raises(VaelensError, match=message):
        bca_interval(**{"values": [1.0, 2.0], **change})
