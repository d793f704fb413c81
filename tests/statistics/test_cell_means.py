"""The correlation of cell means against least squares and slow permuting, and by how often it errs."""

import itertools

import numpy as np
import pandas as pd
import pytest
from benchmarks import coverage

from vaelens.errors import VaelensError
from vaelens.statistics import cell_mean_correlation


def runs(seed=0, datasets=3, architectures=4, seeds=2):
    rng = np.random.default_rng(seed)
    dataset, architecture, repeat = (index.ravel() for index in np.indices((datasets, architectures, seeds)))
    table = pd.DataFrame({"dataset": dataset, "architecture": architecture, "seed": repeat})
    for name in ("x", "y", "error", "live"):
        table[name] = rng.normal(size=len(table)) + 5 * dataset
    return table


def residuals(cells, name, covariates):
    """What least squares leaves of a measure's cell means."""
    design = [pd.get_dummies(cells["dataset"]).to_numpy(float), *(cells[[c]].to_numpy() for c in covariates)]
    design = np.hstack(design)
    values = cells[name].to_numpy()
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


@pytest.mark.parametrize("covariates", [(), ("error",), ("error", "live")])
def test_r_and_p_are_those_of_slow_permuting(covariates):
    table = runs()
    result = cell_mean_correlation(table, "x", "y", covariates)
    cells = table.groupby(["dataset", "architecture"], as_index=False).mean()
    first, second = (residuals(cells, name, covariates) for name in ("x", "y"))
    assert result.r == pytest.approx(np.corrcoef(first, second)[0, 1])
    reached = 0
    for order in itertools.permutations(range(4)):
        moved = second.reshape(3, 4)[:, list(order)].ravel()
        left = residuals(cells.assign(moved=moved), "moved", covariates)
        reached += abs(np.corrcoef(first, left)[0, 1]) >= abs(result.r) - 1e-12
    assert result.p == pytest.approx(reached / 24)
    assert (result.cells, result.groups, result.blocks, result.permutations, result.exact) == (12, 4, 3, 24, True)
    assert result.covariates == covariates


def test_the_interval_is_as_wide_as_other_orders_spread():
    table = runs()
    result = cell_mean_correlation(table, "x", "y")
    cells = table.groupby(["dataset", "architecture"], as_index=False).mean()
    first, second = (residuals(cells, name, ()) for name in ("x", "y"))
    others = [
        np.corrcoef(first, second.reshape(3, 4)[:, list(order)].ravel())[0, 1]
        for order in itertools.permutations(range(4))
    ][1:]
    reach = 1.959964 * np.sqrt(np.mean(np.arctanh(others) ** 2))
    ends = np.tanh(np.arctanh(result.r) + reach * np.array([-1, 1]))
    np.testing.assert_allclose([result.low, result.high], ends, rtol=1e-6)


def test_architectures_alike_everywhere_make_it_wide():
    table = runs(datasets=5, architectures=6)
    alike = table.assign(
        x=table["architecture"] ** 2 + 0.01 * table["x"], y=(3 * table["architecture"]) % 7 + 0.01 * table["y"]
    )
    wide, narrow = (cell_mean_correlation(each, "x", "y") for each in (alike, table))
    assert wide.high - wide.low > 1.2 > narrow.high - narrow.low


def test_seeds_that_repeat_each_other_count_once():
    table = runs()
    more = pd.concat([table] * 5)
    once, often = (cell_mean_correlation(each, "x", "y") for each in (table, more))
    assert often.r == pytest.approx(once.r)
    assert often.p == once.p


def test_levels_of_datasets_and_what_the_covariate_explains_do_not_matter():
    table = runs()
    moved = table.assign(y=table["y"] + 100 * table["dataset"] - 7 * table["error"], x=3 * table["x"] + table["error"])
    first, second = (cell_mean_correlation(each, "x", "y", ["error"]) for each in (table, moved))
    assert second.r == pytest.approx(first.r)
    assert second.p == first.p


def test_a_cell_that_is_missing_is_missing_wherever_it_moves():
    table = runs()
    holed = table[(table["dataset"] != 1) | (table["architecture"] != 2)]
    result = cell_mean_correlation(holed, "x", "y")
    cells = holed.groupby(["dataset", "architecture"], as_index=False).mean()
    assert result.r == pytest.approx(np.corrcoef(residuals(cells, "x", ()), residuals(cells, "y", ()))[0, 1])
    first, second = (residuals(cells, name, ()) for name in ("x", "y"))
    grid = np.full((2, 3, 4), np.nan)
    grid[:, cells["dataset"], cells["architecture"]] = first, second
    reached = 0
    for order in itertools.permutations(range(4)):
        x, y = grid[0], grid[1][:, list(order)]
        both = ~np.isnan(x) & ~np.isnan(y)
        pairs = pd.DataFrame({"dataset": np.nonzero(both)[0], "x": x[both], "y": y[both]})
        r = np.corrcoef(residuals(pairs, "x", ()), residuals(pairs, "y", ()))[0, 1]
        reached += abs(r) >= abs(result.r) - 1e-12
    assert result.p == pytest.approx(reached / 24)
    assert result.cells == 11


def test_many_architectures_are_drawn_by_the_seed():
    table = runs(architectures=8)
    first, again, reseeded = (cell_mean_correlation(table, "x", "y", permutations=500, seed=s) for s in (0, 0, 1))
    assert first == again
    assert not first.exact
    assert first.permutations == 500
    assert first.p != reseeded.p
    assert abs(first.p - cell_mean_correlation(table, "x", "y", permutations=50_000).p) < 0.1


def test_no_correlation_is_found_as_often_as_the_level_says():
    for name in ("none", "none, architectures alike on all datasets", "none, both fall with the error"):
        plain, partial, naive = coverage.significant(coverage.STUDIES[name], repetitions=100, seed=3)
        assert abs(partial - 0.05) <= 3 * np.sqrt(0.05 * 0.95 / 100), name
        assert naive > 0.12, name
    assert plain > 0.3  # both measures follow the covariate: without it out, they correlate


def test_a_true_correlation_is_found():
    plain, partial, _ = coverage.significant(coverage.STUDIES["−0.7"], repetitions=50, seed=3)
    assert plain > 0.7
    assert partial > 0.7


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (runs(architectures=2), {}, "column 'architecture' names 2; expected at least 3"),
        (runs().assign(y=1.0), {}, "column 'y' has nothing left once each dataset's mean and the covariates"),
        (runs().assign(x=lambda t: 2 * t["error"]), {"covariates": "error"}, "column 'x' has nothing left"),
        (runs(), {"covariates": ["x"]}, "measures and covariates are 'x', 'y', 'x'; expected each once"),
        (runs(), {"permutations": 0}, "permutations is 0; expected 1 or more"),
        (runs().assign(y=np.nan), {}, "column 'y' has 24 of 24 rows that are missing"),
        (runs().drop(columns="architecture"), {}, "unknown column 'architecture'"),
    ],
)
def test_tables_that_tell_nothing_are_refused(table, options, message):
    with pytest.raises(VaelensError, match=message):
        cell_mean_correlation(table, "x", "y", **options)


def test_orders_that_leave_no_cell_speak_for_no_correlation():
    """Of 24 orders 4 leave the pairs together, two of them with |r| = 1; the 20 others leave no pair, or no cell."""
    rows = [(d, m, float(k), float(k)) for d, pair in (("a", "pq"), ("b", "rs")) for k, m in enumerate(pair)]
    table = pd.DataFrame(rows, columns=["dataset", "architecture", "x", "y"])

    result = cell_mean_correlation(table, "x", "y")

    assert result.r == pytest.approx(1)
    assert result.p == pytest.approx(22 / 24)
