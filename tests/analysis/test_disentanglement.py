import numpy as np
import pytest

import vaelens as vl
from vaelens.analysis.disentanglement import DCI_SCORES, METRICS, disentanglement
from vaelens.statistics import half_samples


@pytest.fixture(scope="module", autouse=True)
def _all_halves():
    """Here the intervals are those that users get."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelens.analysis.disentanglement.half_samples", half_samples)
        yield


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 4, size=(400, 2))
    return factors + 0.3 * rng.normal(size=(400, 2)), factors


@pytest.fixture(scope="module")
def scored(data):
    return disentanglement(*data, ["one", "two"], 200, seed=1, made="400 codes")


def test_the_scores_are_those_of_the_public_functions(data, scored):
    codes, factors = data
    expected = {"mig": vl.mig(codes, factors), "sap": vl.sap(codes, factors, seed=1), "irs": vl.irs(codes, factors)}
    expected |= {"modularity": vl.modularity(codes, factors)}
    standardised = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    expected |= {"explicitness": vl.explicitness(standardised, factors, seed=1)}
    expected |= {"total_correlation": vl.gaussian_total_correlation(codes)}
    reference = vl.dci(codes[:200], factors[:200], seed=1)
    expected |= {name: getattr(reference, name) for name in DCI_SCORES}
    for name, value in expected.items():
        assert float(scored[name]) == pytest.approx(value), name
        assert scored[f"{name}_low"] <= scored[name] <= scored[f"{name}_high"]
    np.testing.assert_array_equal(scored.importance, reference.importance)
    assert scored.attrs["dci_made"].startswith("gradient-boosting, 134 training and 66 test codes, seed 1; interval")


def test_chance_lies_far_below_codes_that_are_the_factors(scored):
    for name in (*DCI_SCORES, *METRICS):
        if name != "modularity":  # a latent of nothing but chance knows about one factor more than about the other
            assert float(scored[f"{name}_chance"]) < float(scored[f"{name}_low"]), name
    assert float(scored.informativeness_chance) == pytest.approx(0.25, abs=0.12)
    assert float(scored.mig_chance) == pytest.approx(0, abs=0.03)
    assert float(scored.explicitness_chance) == pytest.approx(0.5, abs=0.1)


def test_a_score_that_is_not_defined_is_nan(data):
    codes, factors = data
    scored = disentanglement(codes[:, :1], factors[:, :1], ["one"], 100, seed=0, made="codes")
    for name in ("mig", "sap", "modularity", "disentanglement", "completeness"):
        assert np.isnan([scored[f"{name}{end}"] for end in ("", "_low", "_high")]).all(), name
    assert scored.irs > 0.5
