"""Verdicts on tables with known answers, and numbers computed again by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import vaelens as vl
from study.simulated import best_table, quantised_table, sweep_table, tidy, trade_off_table
from vaelens.errors import VaelensError
from vaelens.study import findings_of
from vaelens.study.findings.bottleneck import bottleneck
from vaelens.study.findings.no_best import best_models
from vaelens.study.findings.rules import RULES, markdown_rules
from vaelens.study.findings.runs import runs_of
from vaelens.study.findings.seeds_needed import seeds_needed
from vaelens.study.findings.trade_off import trade_off


def of_sweep(kind, **options):
    table = sweep_table(kind, **options)
    return bottleneck(runs_of(table), table[table["latent"].notna()])


@pytest.mark.parametrize(
    ("kind", "verdict"), [("true", "supported"), ("confounded", "not supported"), ("positive", "not supported")]
)
def test_the_trade_off_is_told_from_its_confounder(kind, verdict):
    found = [trade_off(runs_of(trade_off_table(kind, seed=seed))) for seed in range(6)]

    verdicts = [finding.verdict for finding in found]
    explained = ["reconstruction error explains it" in finding.sentence for finding in found]
    assert verdicts.count(verdict) >= 5  # the tests are at 5 %
    assert explained.count(kind == "confounded") >= 5


def test_where_there_is_no_trade_off_none_is_found():
    verdicts = [trade_off(runs_of(trade_off_table("false", seed=seed))).verdict for seed in range(8)]

    assert verdicts.count("supported") <= 1  # of tests at 5 %
    assert verdicts.count("not supported") >= 4  # the others are undecided


def test_the_trade_offs_numbers_are_those_by_hand():
    table = trade_off_table("true")
    cells = runs_of(table).groupby(["dataset", "model"])[["ces", "dci_disentanglement", "reconstruction_error"]].mean()
    centred = cells - cells.groupby("dataset").transform("mean")
    slopes = centred.drop(columns="reconstruction_error").apply(
        lambda column: column @ centred["reconstruction_error"] / (centred["reconstruction_error"] ** 2).sum()
    )
    left = [centred[name] - slopes[name] * centred["reconstruction_error"] for name in slopes.index]

    raw, partialled = trade_off(runs_of(table)).tests[:2]

    assert raw.value == pytest.approx(np.corrcoef(centred["ces"], centred["dci_disentanglement"])[0, 1])
    assert partialled.value == pytest.approx(np.corrcoef(*left)[0, 1])
    assert (raw.n, raw.decides, raw.p) == (90, True, pytest.approx(1 / 720, abs=1.5 / 720))


@pytest.mark.parametrize(
    ("kind", "verdict"), [("true", "supported"), ("false", "not supported"), ("flat", "not supported")]
)
def test_a_bottleneck_needs_a_steeper_fall_at_more_factors_per_latent(kind, verdict):
    assert {of_sweep(kind, seed=seed).verdict for seed in range(4)} == {verdict}


def test_the_slopes_of_the_sweep_are_those_by_hand():
    table = sweep_table("true")
    runs = runs_of(table)
    fits = [
        (latent_dim, stats.linregress(np.log2(group["beta"]), group["dci_disentanglement"]).slope)
        for (latent_dim, _), group in runs.groupby(["latent_dim", "seed"])
    ]
    ratios, slopes = np.log2(5 / np.array([fit[0] for fit in fits])), np.array([fit[1] for fit in fits])

    of_dci = [test for test in of_sweep("true").tests if "disentanglement" in test.about]
    tests = {(test.statistic, test.decides): test for test in of_dci if "latents" not in test.where or test.decides}

    assert tests["interaction", True].value == pytest.approx(stats.linregress(ratios, slopes).slope)
    assert tests["slope", True].value == pytest.approx(slopes[ratios == 0].mean())
    assert tests["slope", False].value == pytest.approx(slopes.mean())
    assert tests["interaction", True].n == len(runs)
    assert tests["slope", True].n == len(runs) / 3  # of the three numbers of latents the smallest


def test_the_slopes_of_each_dataset_stand_beside_their_mean():
    steep, flat = (sweep_table("true", latent_dims=(5,)).assign(dataset=name) for name in ("steep", "flat"))
    flat.loc[flat["measure"] == "information", "value"] = 1.0
    table = pd.concat([steep, flat], ignore_index=True)
    nats = table[table["measure"] == "information"]
    runs = nats[nats["dataset"] == "steep"].groupby(["beta", "seed"])["value"].sum().div(5).reset_index()
    fits = [stats.linregress(np.log2(of_seed["beta"]), of_seed["value"]).slope for _, of_seed in runs.groupby("seed")]

    finding = bottleneck(runs_of(table), table[table["latent"].notna()])
    slopes = {test.where: test for test in finding.tests if test.about.startswith("information")}

    assert slopes["steep"].value == pytest.approx(np.mean(fits))
    assert slopes["steep"].low == pytest.approx(np.mean(fits) - stats.t.ppf(0.975, 2) * stats.sem(fits))
    assert slopes["flat"].value == pytest.approx(0)
    assert slopes[""].value == pytest.approx(np.mean(fits) / 2)
    assert (slopes["steep"].n, slopes[""].n) == (12, 24)


def test_the_sentence_on_beta_says_how_far_apart_the_datasets_are():
    steep = sweep_table("true", latent_dims=(5, 10)).assign(dataset="steep")
    flat = sweep_table("true", latent_dims=(10,)).assign(dataset="flat")
    flat.loc[flat["measure"] == "information", "value"] = 1.0
    table = pd.concat([steep, flat], ignore_index=True)

    said = bottleneck(runs_of(table), table[table["latent"].notna()]).sentence

    assert "where the ratio of factors to latents is largest (1)" in said
    assert "nats for each factor, the mean of 3 slopes from −0.12" in said
    assert said.endswith("to 0 (flat, 10 latents).")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (
            sweep_table("true", latent_dims=(10,)),
            r"ratio of factors to latents is 0\.5 throughout.*sweep latent_dim too",
        ),
        (sweep_table("true", betas=(4.0,)), "no dataset and seed has vae or beta-vae at two values of beta"),
        (sweep_table("true", seeds=1), "beta was swept from one seed"),
    ],
)
def test_a_sweep_that_lacks_something_is_not_examined(table, reason):
    finding = findings_of(table)["bottleneck"]

    assert finding.verdict == "not examined"
    assert pd.Series([finding.sentence]).str.contains(reason).all()


@pytest.mark.parametrize(
    ("kind", "verdict"), [("true", "supported"), ("false", "not supported"), ("none", "undecided")]
)
def test_whether_a_model_is_best_everywhere(kind, verdict):
    assert {findings_of(best_table(kind, seed=seed))["no_best"].verdict for seed in range(3)} == {verdict}


def test_a_difference_is_students_t_with_the_larger_of_two_variances():
    scores = {"vae": [1.0, 1.2, 1.1], "beta-vae": [2.0, 2.1, 2.2], "vq-vae": [0.0, 1.0, 2.0]}
    table = tidy(
        {"dataset": "sprites", "model": model, "seed": s, "measures": {"mig": value, "dci_disentanglement": value}}
        for model, values in scores.items()
        for s, value in enumerate(values)
    )
    finding = findings_of(table)["no_best"]
    tests = {test.about: test for test in finding.tests if test.about.startswith("DCI")}
    pooled = sum(np.var(values) * 3 for values in scores.values()) / 6
    own = (np.var(scores["vae"]) + np.var(scores["vq-vae"])) * 3 / 4

    near = tests["DCI disentanglement: beta-vae less vae"]
    far = tests["DCI disentanglement: vae less vq-vae"]

    assert near.p == pytest.approx(2 * stats.t.sf(1.0 / np.sqrt(pooled * 2 / 3), 6))
    assert far.p == pytest.approx(2 * stats.t.sf(0.1 / np.sqrt(own * 2 / 3), 6))
    assert near.p_adjusted > near.p
    assert finding.verdict == "not examined"  # one dataset


def test_the_best_model_of_each_dataset_and_those_not_told_from_it():
    table = best_models(runs_of(best_table("true")), "dci_disentanglement", higher=True)

    best = {
        "sprites": "vae",
        "room": "beta-vae",
        "pendulum": "factor-vae",
        "garden": "beta-tc-vae",
        "faces": "dip-vae-ii",
    }
    assert dict(zip(table["dataset"], table["best"], strict=True)) == best
    assert (table["not_told_from"] == "").all()
    assert (table["not_compared"] == "").all()


def test_models_without_a_test_are_not_compared_with_the_best():
    scores = {"vae": [1.0, 1.1, 0.9], "beta-vae": [0.9, 1.0, 0.8], "vq-vae": [0.01, 0.0, 0.02]}
    scores |= {"dip-vae-ii": [0.1, np.nan, np.nan], "factor-vae": [np.nan] * 3}
    table = tidy(
        {"dataset": "sprites", "model": model, "seed": s, "measures": {"mig": value, "ces": 1.0}}
        for model, values in scores.items()
        for s, value in enumerate(values)
    )
    runs = runs_of(table)

    (row,) = best_models(runs, "mig", higher=True).to_dict("records")
    (lone,) = best_models(runs[runs["model"] != "vq-vae"], "mig", higher=False).to_dict("records")

    assert (row["best"], row["not_told_from"]) == ("vae", "beta-vae")
    assert row["not_compared"] == "dip-vae-ii (one seed), factor-vae (no value)"
    assert (lone["best"], lone["not_told_from"]) == ("dip-vae-ii", "")
    assert lone["not_compared"] == "beta-vae, factor-vae, vae (dip-vae-ii has a value of one seed alone)"


@pytest.mark.parametrize(
    ("widths", "verdict"),
    [
        ({64: (0.05, 0.01)}, "supported"),
        ({64: (0.05, 0.01), 10: (0.3, 0.07)}, "not supported"),
        ({64: (0.1, 0.01)}, "undecided"),
    ],
)
def test_near_zero_is_a_question_of_width(widths, verdict):
    finding = findings_of(quantised_table(widths))["quantised"]

    assert finding.verdict == verdict
    assert finding.sentence.count("swapped") == len(widths)
    ratios = [test for test in finding.tests if test.statistic == "ratio"]
    assert [test.value for test in ratios] == pytest.approx([widths[w][0] / 0.5 for w in sorted(widths)], rel=0.05)


def test_a_table_that_lacks_what_findings_need_says_so():
    table = tidy({"dataset": "digits", "model": m, "seed": 0, "measures": {"mig": 0.1}} for m in ("vae", "vq-vae"))

    found = findings_of(table)

    assert {finding.verdict for finding in found} == {"not examined"}
    assert "no run has ces" in found["trade_off"].sentence
    assert "no vq-vae run has ces_relative" in found["quantised"].sentence
    assert found.frame().empty


def test_seeds_needed_are_those_of_the_normal_power():
    rng = np.random.default_rng(0)
    shift = {"a": 0.0, "b": 1.0, "c": 4.0}  # in standard deviations
    table = tidy(
        {"dataset": "sprites", "model": model, "seed": s, "measures": {"dci_disentanglement": by + rng.normal()}}
        for model, by in shift.items()
        for s in range(40)
    )
    needed = seeds_needed(runs_of(table), ["dci_disentanglement"]).set_index(["first", "second"])

    difference = abs(needed.loc[("a", "b"), "hedges_g"])
    normal = next(
        k
        for k in (2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
        if stats.nct.sf(stats.t.ppf(0.975, 2 * k - 2), 2 * k - 2, difference * np.sqrt(k / 2)) >= 0.8
    )
    assert needed.loc[("a", "b"), "needed"] in (normal, {15: 20, 20: 15, 30: 20}.get(normal))
    assert needed.loc[("a", "c"), "needed"] <= 3


def test_findings_are_written_with_their_rules(tmp_path):
    found = findings_of(trade_off_table("confounded"))
    found.write(tmp_path)

    told = json.loads((tmp_path / "findings.json").read_text())
    assert [finding["rule"]["key"] for finding in told] == list(RULES)
    assert told[0]["verdict"] == "not supported"
    assert len(pd.read_csv(tmp_path / "findings.csv")) == len(found.frame())


def test_numbers_of_findings_written_before_are_not_left_beside_those_of_now(tmp_path):
    findings_of(best_table("true")).write(tmp_path)
    assert (tmp_path / "seeds_needed.csv").exists()

    findings_of(best_table("true").query("seed == 0")).write(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["findings.csv", "findings.json"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([1], "the table is no study's"),
        (pd.concat([best_table("none")] * 2), "more than once; give each run and measure one row"),
        (best_table("none").assign(value="high"), "the table's column value holds 'high'; expected numbers"),
        (best_table("none").assign(beta="4"), "the table's column beta holds '4'; expected numbers"),
        (
            best_table("none").assign(measure="seed"),
            "a measure called 'seed', as a column is; call the measure otherwise",
        ),
    ],
)
def test_tables_of_other_things_are_refused(table, message):
    with pytest.raises(VaelensError, match=message):
        findings_of(table)


def test_a_study_that_was_not_run_has_no_findings():
    with pytest.raises(VaelensError, match="was not run yet"):
        vl.Study.from_text("{name: a, datasets: [digits], models: [vae], seeds: [0]}").findings()


def test_the_documentation_holds_the_rules():
    text = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    written = text.split("<!-- rules: begin -->")[1].split("<!-- rules: end -->")[0]

    assert written.strip() == markdown_rules()
