import numpy as np
import pytest

import vaelens as vl
from vaelens.analysis.disentanglement import DCI_SCORES, SCORERS, disentanglement, disentanglement_seconds
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
    return disentanglement(*data, ["one", "two"], 200, seed=1, origin="400 codes")


def test_the_scores_are_those_of_the_public_functions(data, scored):
    codes, factors = data
    expected = {"mig": vl.mig(codes, factors), "sap": vl.sap(codes, factors, seed=1), "irs": vl.irs(codes, factors)}
    expected |= {"modularity": vl.modularity(codes, factors)}
    standardised = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    expected |= {"explicitness": vl.explicitness(standardised, factors, seed=1)}
    expected |= {"total_correlation": vl.gaussian_total_correlation(codes)}
    reference = vl.dci(codes[:200], factors[:200], seed=1)
    expected |= {key: getattr(reference, key.removeprefix("dci_")) for key in DCI_SCORES}
    for name, value in expected.items():
        assert float(scored[name]) == pytest.approx(value), name
        assert scored[f"{name}_low"] <= scored[name] <= scored[f"{name}_high"]
    np.testing.assert_array_equal(scored.importance, reference.importance)
    for key in DCI_SCORES:
        assert scored.attrs[f"{key}_made"].startswith(
            "gradient-boosting, 134 training and 66 test codes, seed 1; interval"
        )


def test_chance_lies_far_below_codes_that_are_the_factors(scored):
    for name in (*DCI_SCORES, *SCORERS):
        # A latent of nothing but chance knows about one factor more than about the other; and no factor is asked for.
        if name not in ("modularity", "total_correlation"):
            assert float(scored[f"{name}_chance"]) < float(scored[f"{name}_low"]), name
    assert float(scored.dci_informativeness_chance) == pytest.approx(0.25, abs=0.12)
    assert float(scored.mig_chance) == pytest.approx(0, abs=0.03)
    assert float(scored.explicitness_chance) == pytest.approx(0.5, abs=0.1)


def test_a_score_that_is_not_defined_is_nan_and_says_why(data):
    codes, factors = data
    scored = disentanglement(codes[:, :1], factors[:, :1], ["one"], 100, seed=0, origin="codes")
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
    scored = disentanglement(codes, np.zeros_like(factors), ["one", "two"], 100, seed=0, origin="codes")
    for key in (*DCI_SCORES, *SCORERS):
        if key != "total_correlation":
            assert np.isnan(scored[key]), key
            assert "has one value in" in scored.attrs[f"{key}_made"], key
    assert np.isnan(scored.importance).all()


def test_its_steps_add_up_to_what_it_announces(data):
    steps = []
    disentanglement(
        *data, ["one", "two"], 100, seed=0, origin="codes", progress=lambda done, total: steps.append((done, total))
    )
    assert steps[-1][0] == steps[-1][1]
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})


def test_its_time_grows_with_the_codes_and_with_the_values_of_the_factors(data):
    codes, factors = data
    few, many = (disentanglement_seconds(codes, factors, n, n, seed=0) for n in (200, 4000))
    assert many > 10 * few
