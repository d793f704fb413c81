"""Scores with intervals and levels of chance: one estimator each, finite and in range, or absent with the reason."""

from dataclasses import replace

import numpy as np
import pytest

from vaelens.errors import VaelensError, VaelensWarning
from vaelens.metrics.disentanglement import dci, explicitness, gaussian_total_correlation, irs, mig, modularity, sap
from vaelens.metrics.disentanglement.estimates import estimate_score, estimate_scores
from vaelens.metrics.disentanglement.scorers import ScoredArrays, Scorer, scorers
from vaelens.statistics import half_sample_interval

KEYS = {
    "mig", "modularity", "sap", "explicitness", "irs", "total_correlation", "dci_disentanglement", "dci_completeness",
    "dci_informativeness",
}  # fmt: skip


@pytest.fixture(scope="module")
def arrays():
    """Codes that know their factors with noise, 400 to fit to and 200 to test on."""
    rng = np.random.default_rng(0)
    factors = np.column_stack([rng.integers(size, size=600) for size in (2, 3, 4)])
    codes = factors[:, [0, 1, 2, 0]] + 0.5 * rng.normal(size=(600, 4))
    return codes[:400], factors[:400], codes[400:], factors[400:]


@pytest.fixture(scope="module")
def estimates(arrays):
    return estimate_scores(*arrays, seed=3)


def test_values_are_those_of_the_scores(arrays, estimates):
    codes, factors, test_codes, test_factors = arrays
    assert set(estimates) == KEYS
    mean, spread = codes.mean(axis=0), codes.std(axis=0)
    forest = dci(*arrays, estimator="random-forest", seed=3)
    expected = {
        "mig": mig(codes, factors, estimator="nearest-neighbours"),
        "modularity": modularity(codes, factors, estimator="nearest-neighbours"),
        "sap": sap(*arrays),
        "explicitness": explicitness((codes - mean) / spread, factors, (test_codes - mean) / spread, test_factors),
        "irs": irs(codes, factors),
        "total_correlation": gaussian_total_correlation(codes),
        "dci_disentanglement": forest.disentanglement,
        "dci_completeness": forest.completeness,
        "dci_informativeness": forest.informativeness,
    }
    for key, estimate in estimates.items():
        assert estimate.value == pytest.approx(expected[key], abs=1e-12), key
        assert estimate.key == key
        assert estimate.codes == 400
        assert estimate.test_codes == (200 if key in {"sap", "explicitness"} or key.startswith("dci") else 0)
    assert estimates["dci_completeness"].estimator == "DCI by random-forest"


def test_everything_is_finite_and_in_range_or_says_why_not(estimates):
    for key, estimate in estimates.items():
        assert 0 <= estimate.value <= (np.inf if key == "total_correlation" else 1)
        if key == "irs":
            assert np.isnan([estimate.low, estimate.high]).all()
            assert "no interval: it divides by the largest deviation" in estimate.reason
        elif key in ("dci_disentanglement", "dci_completeness"):
            assert np.isnan([estimate.low, estimate.high]).all()
            assert estimate.reason.startswith(
                "no interval: by this estimator it goes on growing with the number of codes"
            )
        else:
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= (np.inf if key == "total_correlation" else 1)
            assert estimate.reason == ""
        if key == "total_correlation":
            assert np.isnan(estimate.chance)
        else:
            assert 0 <= estimate.chance < estimate.value, key


def test_value_interval_and_chance_are_of_one_scorer(arrays):
    seen = []

    def score(parts, seed):
        seen.append((len(parts.codes), len(parts.test_codes), seed, parts.factors[:, 0]))
        return (parts.codes[:, 0].mean(), float(np.mean(parts.factors[:, 0] == (parts.codes[:, 0] > 0.5))))

    scorer = Scorer(("first", "second"), "plain", score, tested=True, halves=7, shuffles=3)
    parts = ScoredArrays(*arrays)
    first, second = estimate_score(scorer, parts, seed=5)
    assert [entry[:3] for entry in seen] == [(400, 200, 5)] + 7 * [(200, 100, 5)] + 3 * [(400, 200, 5)]
    assert first.estimator == second.estimator == "plain"
    values = [arrays[0][:, 0].mean(), np.mean(arrays[1][:, 0] == (arrays[0][:, 0] > 0.5))]
    assert [first.value, second.value] == pytest.approx(values)
    generator = np.random.default_rng(5)
    halves = [score(parts.half(generator), 5) for _ in range(7)]
    chance = np.mean([score(parts.shuffled(generator), 5) for _ in range(3)], axis=0)
    low, high = half_sample_interval(values, halves, doublings=np.log2(60_000 / 400))
    assert (first.low, first.high) == pytest.approx((max(low[0], 0), min(high[0], 1)))
    assert (second.low, second.high) == pytest.approx((max(low[1], 0), min(high[1], 1)))
    assert (first.chance, second.chance) == pytest.approx(tuple(chance))


def test_information_is_counted_in_bins_where_codes_are_many():
    assert scorers(9_999)["mig"].estimator == "3 nearest neighbours"
    assert scorers(10_000)["mig"].estimator == "20-bin histogram"
    rng = np.random.default_rng(0)
    factors = rng.integers(3, size=(10_000, 2))
    codes = factors + rng.normal(size=(10_000, 2))
    few = replace(scorers(10_000)["mig"], halves=2, shuffles=0)
    estimates = estimate_score(few, ScoredArrays(codes, factors, codes[:0], factors[:0]))
    assert [estimate.value for estimate in estimates] == [mig(codes, factors), modularity(codes, factors)]


def test_total_correlation_may_be_of_some_latents(arrays):
    dead = np.column_stack([arrays[0], 1e-6 * arrays[0][:, 0]])
    parts = ScoredArrays(dead, arrays[1], dead[:0], arrays[1][:0])
    (everything,) = estimate_score(scorers(400)["total_correlation"], parts)
    assert np.isnan([everything.value, everything.low]).all()
    assert everything.reason == "infinite: a latent is a linear function of others"
    (live,) = estimate_score(scorers(400, latents=range(4))["total_correlation"], parts)
    assert live.value == gaussian_total_correlation(arrays[0])
    assert live.low < live.value < live.high


def test_a_score_that_cannot_be_computed_says_why():
    rng = np.random.default_rng(0)
    factors = rng.integers(2, size=(60, 1))
    estimates = estimate_scores(factors + 0.1 * rng.normal(size=(60, 1)), factors)
    assert np.isnan(estimates["mig"].value)
    assert "codes hold 1 latent; expected at least 2" in estimates["mig"].reason
    assert "factors hold 1 factor that varies" in estimates["modularity"].reason
    assert estimates["dci_disentanglement"].reason == "not defined for these codes and factors"
    assert estimates["dci_informativeness"].value > 0.9
    assert estimates["dci_informativeness"].reason == ""


def test_a_half_without_a_score_leaves_no_interval(arrays):
    def score(parts, seed):
        if len(parts.codes) < 400:
            raise VaelensError("too few codes for this one")
        return (0.5,)

    (estimate,) = estimate_score(Scorer(("picky",), "plain", score), ScoredArrays(*arrays))
    assert (estimate.value, estimate.chance) == (0.5, 0.5)
    assert np.isnan([estimate.low, estimate.high]).all()
    assert estimate.reason == "no interval: too few codes for this one"


def test_missing_labels_are_said_once(arrays):
    codes, factors, *test = arrays
    holed = factors.astype(float)
    holed[:100, 1] = np.nan
    with pytest.warns(VaelensWarning, match="hold missing labels, −1 or NaN: 100 of 400 of factor 1") as warned:
        estimates = estimate_scores(codes, holed, *test)
    assert len(warned) == 1
    for key, score in (("mig", mig), ("modularity", modularity)):
        with pytest.warns(VaelensWarning, match="hold missing labels"):
            assert estimates[key].value == score(codes, holed, estimator="nearest-neighbours")
    assert all(np.isfinite(estimate.value) for estimate in estimates.values())


def test_without_test_images_a_third_is_tested_on(arrays):
    estimates = estimate_scores(*arrays[:2], seed=1)
    assert (estimates["sap"].codes, estimates["sap"].test_codes) == (267, 133)
    assert estimates["sap"].value == sap(*arrays[:2], seed=1)
    assert (estimates["mig"].codes, estimates["mig"].test_codes) == (400, 0)
