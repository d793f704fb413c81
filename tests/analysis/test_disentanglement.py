from dataclasses import replace

import numpy as np
import pytest

import vaelens as vl
from vaelens.analysis.disentanglement import (
    DCI_SCORES,
    ScoreOptions,
    disentanglement,
    disentanglement_seconds,
)
from vaelens.metrics.catalogue import METRICS
from vaelens.metrics.disentanglement import estimate_scores
from vaelens.metrics.disentanglement.scorers import scorers

BOTH = ScoreOptions(predicted=400, informative=np.array([True, True]), seed=1)
KEYS = (*DCI_SCORES, "mig", "sap", "modularity", "explicitness", "irs", "total_correlation")


@pytest.fixture(scope="module", autouse=True)
def _all_halves():
    """Here the intervals are those that users get."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelens.analysis.disentanglement.scorers", scorers)
        yield


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 4, size=(400, 2))
    return factors + 0.3 * rng.normal(size=(400, 2)), factors


@pytest.fixture(scope="module")
def scored(data):
    return disentanglement(*data, ["level", "shade"], BOTH, "means")


def test_value_interval_and_chance_are_those_of_one_estimator(data, scored):
    estimates = estimate_scores(*data, latents=BOTH.informative, seed=1)
    assert set(estimates) == set(KEYS)
    for key, estimate in estimates.items():
        np.testing.assert_array_equal(
            [scored[f"{key}{end}"] for end in ("", "_low", "_high")], [estimate.value, estimate.low, estimate.high]
        )
        if key != "total_correlation":
            assert float(scored[f"{key}_chance"]) == estimate.chance
    forest = vl.dci(*data, estimator="random-forest", seed=1)
    np.testing.assert_array_equal(scored.importance, forest.importance)
    for key in DCI_SCORES:
        assert scored.attrs[f"{key}_made"].startswith("267 codes and 133 to test on, means, DCI by random-forest")
    assert scored.attrs["mig_made"] == "400 codes, means, 3 nearest neighbours; fewer than 10,000 codes, so no bins"


def test_intervals_are_finite_and_in_range_or_absent_with_the_reason(scored):
    for key in KEYS:
        low, high = float(scored[f"{key}_low"]), float(scored[f"{key}_high"])
        if key == "irs":
            assert np.isnan([low, high]).all()
            assert "no interval: it divides by the largest deviation" in scored.attrs["irs_made"]
        else:
            least, most = METRICS[key].range
            if key in ("dci_disentanglement", "dci_completeness"):
                assert np.isnan([low, high]).all()
                assert "no interval: by this estimator it goes on growing" in scored.attrs[f"{key}_made"]
            elif np.isnan([low, high]).any():
                assert "it could be anything in its range" in scored.attrs[f"{key}_made"]
            else:
                assert least <= low <= float(scored[key]) <= high <= most, key
                assert (low, high) != (least, most), key


def test_the_reference_makes_all_three_numbers_of_dci_where_it_is_asked_for(data):
    codes, factors = data[0][:80], data[1][:80]
    options = replace(BOTH, predicted=60, dci_estimator="gradient-boosting")
    scored = disentanglement(codes, factors, ["level", "shade"], options, "means")
    reference = vl.dci(codes[:60], factors[:60], seed=1)
    assert float(scored.dci_disentanglement) == reference.disentanglement
    made = scored.attrs["importance_made"]
    assert made.startswith("40 codes and 20 to test on, means, DCI by gradient-boosting")
    for score in ("disentanglement", "completeness", "informativeness"):
        low, high = (float(scored[f"dci_{score}_{end}"]) for end in ("low", "high"))
        assert low <= getattr(reference, score) <= high or np.isnan([low, high]).all()


def test_chance_lies_far_below_codes_that_are_the_factors(scored):
    for name in (*DCI_SCORES, "mig", "sap", "explicitness"):
        assert float(scored[f"{name}_chance"]) < float(scored[name]) - 0.25, name
    assert float(scored.dci_informativeness_chance) == pytest.approx(0.25, abs=0.12)
    assert float(scored.mig_chance) == pytest.approx(0, abs=0.03)
    assert float(scored.explicitness_chance) == pytest.approx(0.5, abs=0.1)


def test_a_dead_latent_does_not_change_total_correlation(data, scored):
    codes, factors = data
    rng = np.random.default_rng(1)
    # It varies by 1e-4, as a function of the others.
    dead = 1e-4 * (codes.sum(axis=1, keepdims=True) + 1e-3 * rng.normal(size=(400, 1)))
    options = replace(BOTH, informative=np.array([True, True, False]))
    with_dead = disentanglement(np.hstack([codes, dead]), factors, ["level", "shade"], options, "means")
    for end in ("", "_low", "_high"):
        assert float(with_dead[f"total_correlation{end}"]) == float(scored[f"total_correlation{end}"])
    all_count = replace(options, informative=np.array([True, True, True]))
    of_all = disentanglement(np.hstack([codes, dead]), factors, ["level", "shade"], all_count, "means")
    assert float(of_all.total_correlation) > 3 + float(scored.total_correlation)


def test_a_score_that_is_not_defined_is_nan_and_says_why(data):
    codes, factors = data
    options = replace(BOTH, informative=np.array([True]))
    scored = disentanglement(codes[:, :1], factors[:, :1], ["level"], options, "codes")
    for key in ("mig", "sap", "modularity", "dci_disentanglement", "dci_completeness"):
        assert np.isnan([scored[f"{key}{end}"] for end in ("", "_low", "_high")]).all(), key
        assert scored.attrs[f"{key}_made"].startswith("not computed: "), key
    assert (
        scored.attrs["mig_made"]
        == "not computed: codes hold 1 latent; expected at least 2: the gap is between the best two"
    )
    assert scored.attrs["dci_completeness_made"] == "not computed: it compares latents, and there is only 1"
    assert scored.attrs["dci_disentanglement_made"] == "not computed: it compares factors, and only 1 varies"
    assert scored.irs > 0.5


def test_factors_of_one_value_leave_every_score_of_them_uncomputed(data):
    codes, factors = data
    scored = disentanglement(codes, np.zeros_like(factors), ["level", "shade"], BOTH, "codes")
    for key in KEYS:
        if key != "total_correlation":
            assert np.isnan(scored[key]), key
            assert "has one value in" in scored.attrs[f"{key}_made"], key
    assert np.isnan(scored.importance).all()


def test_its_steps_add_up_to_what_it_announces(data):
    steps = []
    disentanglement(*data, ["level", "shade"], BOTH, "codes", progress=lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1] == len(steps)
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})


def test_the_values_alone_are_those_with_intervals_for_a_tenth_of_the_steps(data, scored):
    steps = []
    told = lambda done, total: steps.append(total)  # noqa: E731
    alone = disentanglement(*data, ["level", "shade"], replace(BOTH, values_only=True), "codes", progress=told)
    for key in ("mig", "sap", "dci_informativeness"):
        assert float(alone[key]) == float(scored[key])
        assert np.isnan(alone[f"{key}_low"])
        assert f"{key}_chance" not in alone
        assert "the value alone was asked for" in alone.attrs[f"{key}_made"]
    assert steps[-1] < 10


def test_its_time_is_that_of_each_score_and_of_each_code(data, monkeypatch):
    monkeypatch.setattr(
        "vaelens.analysis.disentanglement._seconds",
        lambda scorer, arrays, factors, options: 1 + (len(arrays.codes) + len(arrays.test_codes)) / 100,
    )
    n = 4000
    repeats = [(1 + each.shuffles, 0 if each.no_interval else each.halves) for each in scorers(n, None).values()]

    seconds = disentanglement_seconds(*data, n, replace(BOTH, predicted=n))

    assert seconds == pytest.approx(sum(whole * (1 + n / 100) + half * (1 + n / 200) for whole, half in repeats))
