"""The correlation within groups against least squares, the value published with the method, and its laws."""

import numpy as np
import pandas as pd
import pingouin
import pytest
from scipy import stats

from vaelens.errors import VaelensError
from vaelens.statistics import repeated_measures_correlation


def table(seed=0, groups=5, rows=6):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), rows)
    x = rng.normal(size=groups * rows) + 10 * group
    return pd.DataFrame({"dataset": [f"d{g}" for g in group], "x": x, "y": -x + 30 * group + rng.normal(size=len(x))})


def test_the_published_example():
    # Bland and Altman's blood data; r, degrees of freedom and p as the R package of the authors gives them; the
    # interval, which is on fewer degrees of freedom there, as pingouin's documentation does.
    result = repeated_measures_correlation(pingouin.read_dataset("rm_corr"), "pH", "PacO2", subject="Subject")
    assert result.degrees_of_freedom == 38
    np.testing.assert_allclose([result.r, result.p], [-0.5067697, 0.0008471], rtol=1e-4)
    np.testing.assert_allclose([result.low, result.high], [-0.71, -0.23], atol=0.005)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_it_is_the_correlation_of_what_the_groups_means_leave(level):
    runs = table()
    x, y = (runs[name] - runs.groupby("dataset")[name].transform("mean") for name in ("x", "y"))
    result = repeated_measures_correlation(runs, "x", "y", level=level)
    r, freedom = np.corrcoef(x, y)[0, 1], 30 - 5 - 1
    t = r * np.sqrt(freedom / (1 - r**2))
    np.testing.assert_allclose([result.r, result.p], [r, 2 * stats.t.sf(abs(t), freedom)], rtol=1e-8)
    ends = np.tanh(np.arctanh(r) + stats.norm.ppf((1 + level) / 2) / np.sqrt(freedom - 1) * np.array([-1, 1]))
    np.testing.assert_allclose([result.low, result.high], ends, rtol=1e-8)
    # Across groups the two rise together, within them they do not: the sign is that within.
    assert runs["x"].corr(runs["y"]) > 0 > result.high


def test_levels_of_groups_do_not_matter_and_nor_do_names():
    runs = table()
    moved = runs.assign(y=runs["y"] + 100 * runs["dataset"].str[1:].astype(int) ** 2)
    original, two = (repeated_measures_correlation(each, "x", "y") for each in (runs, moved))
    np.testing.assert_allclose([original.r, original.p], [two.r, two.p], rtol=1e-6)
    named = runs.rename(columns={"x": "CES (mean)", "y": "1 - dci", "dataset": "data set"})
    assert repeated_measures_correlation(named, "CES (mean)", "1 - dci", "data set").r == pytest.approx(original.r)


def test_a_perfect_correlation():
    runs = table()
    result = repeated_measures_correlation(runs.assign(y=3 * runs["x"]), "x", "y")
    np.testing.assert_allclose([result.r, result.low, result.high], 1, rtol=1e-12)
    np.testing.assert_allclose(result.p, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (table(groups=2), r"12 rows in 2 groups of column 'dataset'; expected at least 3 groups"),
        (table(rows=1), "5 rows in 5 groups"),
        (table().assign(y=1.0), "column 'y' does not vary within any group"),
        (table().assign(y=np.nan), "column 'y' has 30 of 30 rows that are missing"),
        (table().drop(columns="y"), "unknown column 'y'"),
        ([1, 2], "the table is a list; expected a pandas DataFrame"),
    ],
)
def test_tables_that_tell_nothing_are_refused(runs, message):
    with pytest.raises(VaelensError, match=message):
        repeated_measures_correlation(runs, "x", "y")


def test_partialled_it_is_the_partial_correlation_given_groups_and_covariate():
    runs = table()
    runs["error"] = np.random.default_rng(1).normal(size=len(runs)) + runs["x"]
    design = np.column_stack([pd.get_dummies(runs["dataset"]).to_numpy(float), runs["error"]])
    x, y = (runs[name] - design @ np.linalg.lstsq(design, runs[name], rcond=None)[0] for name in ("x", "y"))
    r, freedom = np.corrcoef(x, y)[0, 1], 30 - 5 - 1 - 1
    result = repeated_measures_correlation(runs, "x", "y", covariates=["error"])
    assert result.degrees_of_freedom == freedom
    t = r * np.sqrt(freedom / (1 - r**2))
    np.testing.assert_allclose([result.r, result.p], [r, 2 * stats.t.sf(abs(t), freedom)], rtol=1e-8)


def test_covariates_that_leave_nothing_are_refused():
    runs = table().assign(error=lambda runs: 2 * runs["x"])
    with pytest.raises(VaelensError, match="the covariates explain all of 'x' or 'y' within groups"):
        repeated_measures_correlation(runs, "x", "y", covariates=["error"])
