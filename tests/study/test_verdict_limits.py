"""Verdicts that must not be given: of what was not measured, of rounding, of models that differ in more than beta."""

import numpy as np
import pytest

from study.simulated import quantised_table, sweep_table, tidy, trade_off_table
from vaelens.study import findings_of
from vaelens.study.findings.runs import runs_of
from vaelens.study.findings.seeds_needed import seeds_needed


@pytest.mark.parametrize("without", ["ces_relative", "ces_relative_one_position"])
def test_near_zero_is_undecided_where_a_measure_of_a_width_is_not_known(without):
    table = quantised_table({64: (0.05, 0.01), 10: (0.05, 0.01)})
    table.loc[(table["latent_dim"] == 10) & (table["model"] != "vae") & (table["measure"] == without), "value"] = np.nan

    finding = findings_of(table)["quantised"]

    assert finding.verdict == "undecided"
    unit = {"ces_relative": "at all positions", "ces_relative_one_position": "at one position"}[without]
    assert f"There is no interval of a channel {unit} for embeddings of 10 dimensions" in finding.sentence


def test_near_zero_is_undecided_where_a_width_has_no_values():
    table = quantised_table({64: (0.05, 0.01), 10: (0.05, 0.01)})
    table.loc[table["model"] == "vq-10", "value"] = np.nan

    finding = findings_of(table)["quantised"]

    assert finding.verdict == "undecided"
    assert "embeddings of 10 dimensions: nothing measured" in finding.sentence


def test_near_zero_is_undecided_without_the_measure_at_one_position():
    table = quantised_table({64: (0.05, 0.01)})

    finding = findings_of(table[table["measure"] != "ces_relative_one_position"])["quantised"]

    assert finding.verdict == "undecided"
    assert "no interval of a channel at one position for embeddings of 64 dimensions" in finding.sentence


@pytest.mark.parametrize("value", [0.1, 0.3, 0.7])
def test_equal_scores_differ_in_nothing(value):
    """Means of 3 and of 9 times the same number differ by 1e-17."""
    table = tidy(
        {"dataset": dataset, "model": model, "seed": s, "measures": {"dci_disentanglement": value}}
        for dataset in ("sprites", "room")
        for model, seeds in (("m1", 3), ("m2", 9))
        for s in range(seeds)
    )
    finding = findings_of(table)["no_best"]

    assert finding.verdict == "undecided"
    assert [(test.value, test.p) for test in finding.tests] == [(0.0, 1.0)] * 2
    assert seeds_needed(runs_of(table), ["dci_disentanglement"]).empty


def test_a_sweep_without_any_difference_has_a_slope_of_zero():
    table = sweep_table("true", latent_dims=(5, 10, 20))
    table.loc[table["measure"] == "dci_disentanglement", "value"] = 0.1

    tests = [test for test in findings_of(table)["bottleneck"].tests if "DCI disentanglement" in test.about]

    assert len(tests) > 3  # the mean, where ratios are largest, the interaction, and each dataset by itself
    assert {(test.value, test.p) for test in tests} == {(0.0, 1.0)}


def of_two_likelihoods(betas=(4.0, 16.0)):
    """DCI does not depend on beta, and is lower by 0.4 with a Gaussian likelihood."""
    rng = np.random.default_rng(0)
    models = [
        ("bernoulli", 1.0, 0.6),
        ("bernoulli", betas[0], 0.6),
        ("gaussian", 1.0, 0.2),
        ("gaussian", betas[1], 0.2),
    ]
    return tidy(
        {
            "dataset": "sprites",
            "model": f"{likelihood}-{beta:g}-{latent_dim}",
            "objective": "vae" if beta == 1 else "beta-vae",
            "seed": s,
            "latent_dim": latent_dim,
            "beta": np.nan if beta == 1 else beta,
            "factors": 4,
            "likelihood": likelihood,
            "measures": {"dci_disentanglement": dci + 0.005 * rng.normal()},
        }
        for latent_dim in (4, 8)
        for likelihood, beta, dci in models
        for s in range(4)
    )


def test_models_of_another_likelihood_are_lines_of_their_own():
    finding = findings_of(of_two_likelihoods())["bottleneck"]

    overall = finding.tests[0]
    assert overall.low < 0 < overall.high
    assert overall.high - overall.low < 0.01
    assert "lines of their own (likelihood bernoulli; likelihood gaussian)" in finding.sentence


def test_a_model_that_no_other_is_trained_like_is_left_out_and_said():
    table = of_two_likelihoods()
    alone = table[table["model"].str.contains("bernoulli") | table["model"].str.startswith("gaussian-1-")]

    finding = findings_of(alone)["bottleneck"]

    assert finding.tests[0].n == 16
    assert "Left out, since no other beta was trained alike: sprites/gaussian-1-4, sprites/gaussian-1-8." in (
        finding.sentence
    )


def _scores(of_run):
    """DCI of m1 and m2 from three seeds on two datasets, m1 better by 0.4, and what `of_run` has besides."""
    clear = [
        (dataset, model, seed, level + 0.01 * seed)
        for dataset in ("room", "sprites")
        for model, level in (("m1", 0.7), ("m2", 0.3))
        for seed in range(3)
    ]
    return tidy(
        {"dataset": dataset, "model": model, "seed": seed, "measures": {"dci_disentanglement": value}}
        for dataset, model, seed, value in [*clear, *of_run]
    )


def test_a_model_is_not_best_over_one_that_it_is_not_compared_with():
    """One seed has no test, and may be the better: here it is."""
    assert findings_of(_scores([]))["no_best"].verdict == "not supported"

    for other in ("sprites", "garden"):
        finding = findings_of(_scores([(other, "m1", 9, 0.7), (other, "m3", 0, 0.95)]))["no_best"]

        assert finding.verdict == "undecided"
        assert f"one seed alone, so not compared: {other}/m" in finding.sentence


def test_a_table_without_the_mode_range_has_no_order_to_compare_with():
    table = tidy(
        {"dataset": "sprites", "model": m, "seed": 0, "measures": {"ces_relative_shift": value}}
        for m, value in (("m1", 0.2), ("m2", 0.4))
    )

    (mode,) = findings_of(table).modes.to_dict("records")

    assert (mode["mode"], mode["strongest"]) == ("shift", "m2")
    assert np.isnan(mode["order"])


def test_no_ratio_where_no_latent_of_the_other_models_moves_anything():
    table = quantised_table({64: (0.05, 0.01)})
    table.loc[(table["model"] == "vae") & (table["measure"] == "ces_relative"), "value"] = 0.0

    finding = findings_of(table)["quantised"]

    assert finding.verdict == "supported"
    assert "ratio" not in {test.statistic for test in finding.tests}


def test_what_no_run_has_is_named_alone():
    table = trade_off_table("true")

    assert findings_of(table[table["measure"] != "ces"])["trade_off"].sentence == "no run has ces"
    one = (table["measure"] == "ces") & (table["seed"] == 0)
    other = (table["measure"] != "ces") & (table["seed"] == 1)
    said = "no run has all of ces, dci_disentanglement and reconstruction_error"
    assert findings_of(table[one | other])["trade_off"].sentence == said
