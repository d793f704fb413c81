"""The mixed model against statsmodels, against analysis of variance on full designs, and by how often it errs."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from vaelens.errors import VaelensError
from vaelens.statistics import compare_groups, hedges_g, holm_sidak


def runs(seed=0, datasets=5, architectures=4, seeds=3, interaction=0.5, noise=0.3, missing=0, offset=0.0):
    rng = np.random.default_rng(seed)
    levels, cells = rng.normal(size=datasets), interaction * rng.normal(size=(datasets, architectures))
    rows = [
        (f"d{d}", f"a{a}", s, offset + 0.3 * a + levels[d] + cells[d, a] + noise * rng.normal())
        for d in range(datasets)
        for a in range(architectures)
        for s in range(seeds)
    ]
    table = pd.DataFrame(rows, columns=["dataset", "architecture", "seed", "score"])
    return table.drop(table.index[rng.choice(len(table), missing, replace=False)])


@pytest.mark.parametrize("missing", [0, 15])
def test_estimates_are_those_of_statsmodels(missing):
    table = runs(missing=missing)
    ours = compare_groups(table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels' own, of pandas and of its optimiser
        theirs = smf.mixedlm(
            "score ~ architecture", table, groups="dataset", re_formula="1", vc_formula={"cell": "0 + architecture"}
        ).fit(reml=True)
    assert theirs.converged
    with_first = ours[ours["first"] == "a0"]
    assert list(with_first["second"]) == ["a1", "a2", "a3"]
    np.testing.assert_allclose(-with_first["estimate"], theirs.params.iloc[1:4], rtol=2e-3)
    np.testing.assert_allclose(with_first["standard_error"], theirs.bse.iloc[1:4], rtol=1e-2)
    np.testing.assert_allclose(
        [ours.attrs[name] for name in ("between_blocks", "interaction", "residual")],
        [theirs.cov_re.iloc[0, 0], theirs.vcomp[0], theirs.scale],
        rtol=5e-3,
    )


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_full_design_is_the_analysis_of_variance_of_its_cells(offset):
    table = runs(seed=1, offset=offset)
    cells = table.pivot_table(index="dataset", columns="architecture", values="score").to_numpy()
    rest = cells - cells.mean(axis=0) - cells.mean(axis=1, keepdims=True) + cells.mean()
    error = np.sqrt(2 * (rest**2).sum() / (4 * 3) / 5)
    contrasts = compare_groups(table).iloc[1]
    np.testing.assert_allclose(contrasts["estimate"], cells[:, 0].mean() - cells[:, 2].mean(), rtol=1e-6)
    np.testing.assert_allclose(contrasts["standard_error"], error, rtol=1e-3)
    assert contrasts["degrees_of_freedom"] == 12
    np.testing.assert_allclose(contrasts["high"] - contrasts["low"], 2 * 2.178813 * error, rtol=1e-3)


def test_two_architectures_with_one_seed_are_a_paired_t_test():
    table = runs(seed=2, datasets=7, architectures=2, seeds=1)
    first, second = (table.loc[table["architecture"] == name, "score"].to_numpy() for name in ("a0", "a1"))
    contrasts = compare_groups(table).iloc[0]
    difference = first - second
    np.testing.assert_allclose(contrasts["standard_error"], difference.std(ddof=1) / np.sqrt(7), rtol=1e-4)
    # One run varies by 1/√2 of what a difference of two does.
    size = np.sqrt(2) * hedges_g(first, second, paired=True).estimate
    np.testing.assert_allclose(contrasts["hedges_g"], size, rtol=1e-4)


def test_p_values_are_adjusted_over_all_pairs():
    contrasts = compare_groups(runs(seed=3))
    assert len(contrasts) == 6
    np.testing.assert_allclose(contrasts["p_adjusted"], holm_sidak(contrasts["p"]))
    assert ((contrasts["p"] < 0.05) == ((contrasts["low"] > 0) | (contrasts["high"] < 0))).all()


@pytest.mark.parametrize("interaction", [0.0, 0.5])
def test_no_difference_is_rarely_found(interaction):
    contrasts = []
    for seed in range(60):
        table = runs(seed=seed, interaction=interaction, architectures=3, missing=3)
        table["score"] -= 0.3 * table["architecture"].str[1:].astype(int)
        contrasts.append(compare_groups(table)["p"].min() < 0.05 / 3)
    assert np.mean(contrasts) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)


def test_seeds_that_repeat_each_other_count_once():
    table = runs(seed=4, seeds=1)
    twice = pd.concat([table, table])
    once, two = compare_groups(table), compare_groups(twice)
    np.testing.assert_allclose(once["standard_error"], two["standard_error"], rtol=1e-6)
    np.testing.assert_allclose(once["p"], two["p"], rtol=1e-4)


def test_scores_that_never_vary_have_no_p():
    table = runs().assign(score=0.25)
    contrasts = compare_groups(table)
    np.testing.assert_array_equal(contrasts[["estimate", "low", "high"]], 0)
    assert contrasts[["p", "p_adjusted", "hedges_g"]].isna().all(axis=None)


def test_other_columns_may_be_named():
    table = runs().rename(columns={"score": "ces", "architecture": "model", "dataset": "data"})
    pd.testing.assert_frame_equal(
        compare_groups(table, score="ces", group="model", block="data"), compare_groups(runs())
    )


def linked(pairs):
    return pd.DataFrame([(d, a, 1.0) for d, a in pairs], columns=["dataset", "architecture", "score"])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (linked([("d", "a"), ("d", "b")]), "'architecture' names 2 and 'dataset' 1; expected at least two of each"),
        (linked([("d", "a"), ("d", "b"), ("e", "c"), ("e", "f")]), "share no value of 'dataset' with the others"),
        (linked([("d", "a"), ("d", "b"), ("e", "b")]), "3 combinations .* expected at least 4"),
        (runs().assign(score="high"), "column 'score' is of type .*; expected numbers"),
        (runs().assign(score=np.nan), "column 'score' has 60 of 60 rows that are missing or not finite"),
        (runs().drop(columns="dataset"), "unknown column 'dataset'; known: architecture"),
    ],
)
def test_designs_that_tell_nothing_are_refused(table, message):
    with pytest.raises(VaelensError, match=message):
        compare_groups(table)


def test_a_level_is_a_probability():
    with pytest.raises(VaelensError, match="level is 95; expected a probability"):
        compare_groups(runs(), level=95)
