import numpy as np
import pytest
import xarray as xr

import vaelens as vl
from vaelens.metrics.causal import chance_modularity, modularity_interval, response_modularity


def test_causal_effect_strength_of_a_linear_vae_is_its_column_times_the_move(linear):
    model = linear()
    strength = vl.causal_effect_strength(model.lens, model.x)
    moves = np.abs(np.linspace(-3, 3, 7)[:, None, None] - model.z).mean(axis=(0, 1))
    np.testing.assert_allclose(strength, np.linalg.norm(model.w, axis=0) * moves, rtol=1e-5)
    assert strength.dims == ("latent",)
    fixed = vl.causal_effect_strength(model.lens, model.x, values=[2.0])
    np.testing.assert_allclose(fixed, np.linalg.norm(model.w, axis=0) * np.abs(2 - model.z).mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("mode", ["range", "shift", "posterior", "prior"])
@pytest.mark.parametrize("over", ["pixels", "latents"])
def test_metrics_are_the_columns_of_the_effects(linear, mode, over):
    model = linear()
    effects = vl.latent_effects(model.lens, model.x, mode=mode, seed=2, over=over)
    strength = vl.causal_effect_strength(model.lens, model.x, mode=mode, seed=2)
    specificity = vl.intervention_specificity(model.lens, model.x, over=over, mode=mode, seed=2)
    xr.testing.assert_equal(strength.rename("same"), effects.ces.rename("same"))
    xr.testing.assert_equal(specificity.rename("same"), effects.specificity.rename("same"))


def test_specificity_of_a_linear_vae_is_one_over_the_entropy_of_its_column(linear):
    model = linear()
    for over, w in (("pixels", model.w), ("latents", model.a @ model.w)):
        p = np.abs(w) / np.abs(w).sum(axis=0)
        expected = 1 / (-(p * np.log(p)).sum(axis=0) + 1e-8)
        np.testing.assert_allclose(vl.intervention_specificity(model.lens, model.x, over=over), expected, rtol=1e-5)


def responses(rows, active=None):
    flags = [True] * len(rows) if active is None else active
    return xr.Dataset({"response": (("latent", "unit"), np.array(rows, float)), "active": (("latent",), flags)})


def test_modularity_of_responses_on_paper():
    assert response_modularity(responses([[1, 0, 0, 0], [0, 1, 0, 0]])) == (pytest.approx(2 / 3), 2)
    assert response_modularity(responses([[1, 2, 3], [2, 4, 6]])) == (pytest.approx(0), 2)
    assert response_modularity(responses([[1, 2, 3], [3, 2, 1]])) == (pytest.approx(0), 2)  # the sign does not count
    assert response_modularity(responses([[1, 1, 0, 0], [1, 0, 1, 0]])) == (pytest.approx(1), 2)


def test_latents_without_response_or_activity_are_not_counted():
    rows = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [5, 6, 7, 1]]
    assert response_modularity(responses(rows, [True, True, True, False])) == (pytest.approx(2 / 3), 2)
    value, latents = response_modularity(responses(rows, [True, False, True, False]))
    assert np.isnan(value)
    assert latents == 1
    value, latents = response_modularity(responses(np.zeros((3, 0))))
    assert np.isnan(value)
    assert latents == 0


def test_modularity_does_not_depend_on_the_order_of_latents_or_units():
    rows = np.random.default_rng(0).random((4, 9))
    value = response_modularity(responses(rows))[0]
    assert response_modularity(responses(rows[[2, 0, 3, 1]]))[0] == pytest.approx(value)
    assert response_modularity(responses(rows[:, ::-1]))[0] == pytest.approx(value)
    assert response_modularity(responses(rows * np.array([[1], [2], [3], [4]])))[0] == pytest.approx(value)


def test_modularity_of_a_vae_is_in_range_and_over_its_decoder_responses():
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=4)
    model.encoder[-1].weight.data *= 10  # codes far from 0, so that latents are active
    lens = vl.Lens(model)
    x = np.random.default_rng(0).random((3, 1, 8, 8))
    value = vl.circuit_modularity(lens, x)
    assert 0 <= value <= 1
    found = vl.decoder_responses(lens, x)
    kept = found.response.values[found.active.values]
    pairs = [abs(np.corrcoef(kept[i], kept[j])[0, 1]) for i in range(len(kept)) for j in range(i)]
    assert len(kept) > 1
    assert value == pytest.approx(1 - np.mean(pairs))


def test_errors_reach_the_user(linear):
    model = linear()
    with pytest.raises(vl.VaelensError, match=r"unknown mode 'rnge'; .*did you mean 'range'"):
        vl.causal_effect_strength(model.lens, model.x, mode="rnge")
    with pytest.raises(vl.VaelensError, match=r"unknown output of the specificity 'factor'.*did you mean 'factors'"):
        vl.intervention_specificity(model.lens, model.x, over="factor")
    with pytest.raises(vl.VaelensError, match="over='factors' needs a reader"):
        vl.intervention_specificity(model.lens, model.x, over="factors")


def in_parts(parts, site=None):
    """Responses whose parts of the images are given, (part, latent, unit)."""
    parts = np.asarray(parts, float)
    flat = responses(parts.mean(axis=0)).assign(response_part=(("part", "latent", "unit"), parts))
    names = ["decoder.0"] * parts.shape[2] if site is None else site
    return flat.assign_coords(site=("unit", names)).assign_attrs(images=len(parts))


def test_parts_that_agree_leave_no_doubt_about_modularity():
    rows = np.random.default_rng(0).random((3, 20))
    same = in_parts(np.repeat(rows[None], 16, axis=0))
    np.testing.assert_allclose(modularity_interval(same), response_modularity(same)[0])


def test_the_interval_of_modularity_holds_it_and_narrows_as_parts_agree():
    rng = np.random.default_rng(0)
    rows, noise = rng.random((3, 20)), rng.normal(size=(16, 3, 20))
    widths = []
    for scale in (0.01, 0.1):
        one = in_parts(rows + scale * noise)
        low, high = modularity_interval(one)
        assert 0 <= low < response_modularity(one)[0] < high <= 1
        widths.append(high - low)
    assert widths[0] < widths[1]


def test_few_parts_give_no_interval():
    assert np.isnan(modularity_interval(in_parts(np.random.default_rng(0).random((7, 3, 20))))).all()


def test_by_chance_latents_that_drive_the_same_units_look_unrelated():
    row = np.random.default_rng(0).normal(size=400)
    alike = in_parts(np.repeat([[row, row]], 16, axis=0))
    assert response_modularity(alike)[0] == pytest.approx(0, abs=1e-9)
    assert chance_modularity(alike) == pytest.approx(1 - np.sqrt(2 / np.pi / 400), abs=0.03)  # E|ρ| of independent rows


def test_sites_of_different_scale_are_alike_by_chance():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.random((2, 50)), 100 + rng.random((2, 50))], axis=1)
    scales = in_parts(np.repeat(rows[None], 16, axis=0), site=["decoder.0"] * 50 + ["decoder.1"] * 50)
    assert chance_modularity(scales) < 1e-3  # what is at a site stays there
