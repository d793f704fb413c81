"""Precision, recall and AUROC by hand, and what a public implementation gets wrong: a missing edge is no hit."""

import math

import numpy as np
import pytest

import vaelens as vl
from vaelens.planted import recovery, score_recovery


def test_sets_by_hand():
    planted = {("a", 0), ("a", 1), ("b", 0), ("b", 1)}
    assert recovery({("a", 0)}, planted) == vl.planted.Recovery(1.0, 0.25)
    assert recovery(planted | {("c", k) for k in range(4)}, planted) == vl.planted.Recovery(0.5, 1.0)
    assert recovery({("c", 0)}, planted) == vl.planted.Recovery(0.0, 0.0)
    nothing = recovery(set(), planted)
    assert math.isnan(nothing.precision)
    assert nothing.recall == 0
    with pytest.raises(vl.VaelensError, match="nothing was planted"):
        recovery({1}, set())


def scores_of(truth, units, inside=1.0, outside=0.0):
    return {
        site: np.where(np.isin(np.arange(len(types)), units[site]), inside, outside)
        for site, types in truth.unit_types.items()
    }


def test_scores_of_what_was_planted_are_perfect_and_their_opposite_is_not():
    truth = vl.planted_model("rotated", 2, seed=1).truth
    perfect, area = score_recovery(truth, "first", scores_of(truth, truth.circuits["first"]))
    assert (perfect, area) == (vl.planted.Recovery(1.0, 1.0), 1.0)
    worst, area = score_recovery(truth, "first", scores_of(truth, truth.circuits["first"], 0.0, 1.0))
    assert (worst, area) == (vl.planted.Recovery(0.0, 0.0), 0.0)


def test_ties_earn_nothing():
    truth = vl.planted_model("chain", 2, seed=1).truth
    flat, area = score_recovery(truth, "first", scores_of(truth, truth.circuits["first"], 1.0, 1.0))
    assert (flat, area) == (vl.planted.Recovery(0.0, 0.0), 0.5)


def test_one_unit_missed_by_hand():
    truth = vl.planted_model("chain", 2, seed=1).truth
    circuit = truth.circuits["first"]
    planted, units = sum(map(len, circuit.values())), sum(map(len, truth.unit_types.values()))
    scores = scores_of(truth, circuit)
    scores["latent"] = -scores["latent"]  # the latent of the circuit comes last of all
    found, area = score_recovery(truth, "first", scores)
    assert found.recall == pytest.approx((planted - 1) / planted)
    # Of the pairs of a planted unit and another, those of this latent are lost.
    assert area == pytest.approx(1 - (units - planted) / (planted * (units - planted)))


def test_any_of_several_planted_circuits_counts():
    truth = vl.planted_model("backup", 2, seed=1).truth
    for units in (truth.circuits["first"], *truth.alternatives["first"]):
        assert score_recovery(truth, "first", scores_of(truth, units))[0] == vl.planted.Recovery(1.0, 1.0)


def test_scores_that_miss_a_unit_are_refused():
    truth = vl.planted_model("chain", 2).truth
    scores = scores_of(truth, truth.circuits["first"])
    with pytest.raises(vl.VaelensError, match=r"scores of latent have shape \(0,\); expected \(2,\)"):
        score_recovery(truth, "first", {site: values for site, values in scores.items() if site != "latent"})
    with pytest.raises(vl.VaelensError, match="a finite number for each unit"):
        score_recovery(truth, "first", scores | {"latent": [0.0, float("nan")]})
