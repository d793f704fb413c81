import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import vaelens as vl


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
    spread = np.asarray(model.z).std(axis=0)[:, None]  # of an encoder without variance the codes' own
    for over, w in (("pixels", model.w), ("latents", model.a @ model.w / spread)):
        p = np.abs(w) / np.abs(w).sum(axis=0)
        expected = 1 / (-(p * np.log(p)).sum(axis=0) + 1e-8)
        np.testing.assert_allclose(vl.intervention_specificity(model.lens, model.x, over=over), expected, rtol=1e-5)


def test_modularity_of_a_vae_is_in_range_and_over_its_decoder_responses():
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=4)
    model.encoder[-1].weight.data *= 10  # codes far from 0, so that latents are active
    lens = vl.Lens(model)
    x = np.random.default_rng(0).random((3, 1, 8, 8))
    responses = vl.decoder_responses(lens, x)
    active = responses.response.values[responses.active.values]
    assert len(active) > 1
    pairs = [(i, j) for i in range(len(active)) for j in range(i)]
    paper = vl.circuit_modularity(lens, x, form="paper")
    assert 0 <= paper <= 1
    assert paper == pytest.approx(1 - np.mean([abs(np.corrcoef(active[i], active[j])[0, 1]) for i, j in pairs]))
    sites = []
    for site, activation in lens.run(x, capture="decoder.*").activations.items():
        if site == lens.sites.output:
            continue
        spread = activation.reshape(3, activation.shape[1], -1).double().numpy().var(axis=0).mean(axis=1) ** 0.5
        r = active[:, responses.site.values == site][:, spread > 0] / spread[spread > 0]
        r /= np.linalg.norm(r, axis=1, keepdims=True)
        sites.append(1 - np.mean([r[i] @ r[j] for i, j in pairs]))
    assert len(sites) > 1
    assert vl.circuit_modularity(lens, x) == pytest.approx(np.mean(sites), rel=1e-5)


@pytest.fixture
def deep(layer, joined):
    """Builds code = first pixels, hidden = ReLU(V z), image = U h, with the hidden site's scale to choose."""

    def build(v, scale=1.0, bias=0.1):
        v = np.asarray(v, dtype=float)
        u = np.random.default_rng(1).normal(size=(16, len(v)))
        model = joined(
            nn.Sequential(nn.Flatten(), layer(np.eye(v.shape[1], 16))),
            nn.Sequential(
                layer(scale * v, np.full(len(v), scale * bias)), nn.ReLU(), layer(u / scale), nn.Unflatten(1, (1, 4, 4))
            ),
        )
        return vl.Lens(model, model.encoder, model.decoder, example=torch.zeros(1, 1, 4, 4))

    return build


IMAGES = torch.rand(9, 1, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("latents", range(2, 11))
def test_latents_with_units_of_their_own_score_one_and_with_the_same_zero(deep, latents):
    scales = np.arange(1, 3 * latents + 1)
    own = np.repeat(np.eye(latents), 3, axis=0) * scales[:, None]
    assert vl.circuit_modularity(deep(own), IMAGES) == pytest.approx(1, abs=1e-12)
    same = np.tile(np.linspace(1, 2, 7)[:, None], latents)
    linear = deep(same, bias=1000.0)  # so far above 0 that the ReLU changes nothing
    assert vl.circuit_modularity(linear, IMAGES) == pytest.approx(0, abs=1e-9)
    paper = vl.circuit_modularity(deep(np.eye(latents)), IMAGES, form="paper")
    assert paper == pytest.approx(1 - 1 / (latents - 1), abs=0.05)


@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_rescaling_a_hidden_site_changes_no_normalised_modularity(deep, scale):
    v = np.random.default_rng(2).normal(size=(12, 4))
    value = vl.circuit_modularity(deep(v), IMAGES)
    assert 0.05 < value < 0.95
    assert vl.circuit_modularity(deep(v, scale), IMAGES) == pytest.approx(value, rel=1e-9)


def rescaled(site):
    """A VAE of several sites, one of which is 10 times as large while the next undoes it."""
    model = vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=4)
    model.encoder[-1].weight.data *= 10
    layers = [module for module in model.decoder.modules() if isinstance(module, nn.Linear | nn.ConvTranspose2d)]
    if site is not None:
        layers[site].weight.data *= 10
        layers[site].bias.data *= 10
        layers[site + 1].weight.data /= 10
    return vl.Lens(model)


def test_no_hidden_site_of_a_vae_has_a_scale_that_matters():
    x = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    plain = rescaled(None)
    normalised, paper = (vl.circuit_modularity(plain, x, form=form) for form in ("normalised", "paper"))
    papers = []
    for site in range(len([name for name in plain.sites if name.startswith("decoder.")]) - 1):
        torch.manual_seed(0)
        scaled_site = rescaled(site)
        assert vl.circuit_modularity(scaled_site, x) == pytest.approx(normalised, rel=1e-4)
        papers.append(vl.circuit_modularity(scaled_site, x, form="paper"))
    assert max(abs(value - paper) for value in papers) > 0.01


def test_units_that_no_image_moves_are_left_out(deep):
    v = np.random.default_rng(2).normal(size=(6, 3))
    with_dead = np.vstack([v, np.zeros((2, 3))])
    assert vl.circuit_modularity(deep(with_dead), IMAGES) == pytest.approx(vl.circuit_modularity(deep(v), IMAGES))


def test_errors_reach_the_user(linear):
    model = linear()
    with pytest.raises(vl.VaelensError, match=r"unknown mode 'rnge'; .*did you mean 'range'"):
        vl.causal_effect_strength(model.lens, model.x, mode="rnge")
    with pytest.raises(vl.VaelensError, match=r"unknown output of the specificity 'factor'.*did you mean 'factors'"):
        vl.intervention_specificity(model.lens, model.x, over="factor")
    with pytest.raises(vl.VaelensError, match="over='factors' needs a reader"):
        vl.intervention_specificity(model.lens, model.x, over="factors")
    with pytest.raises(
        vl.VaelensError, match=r"unknown form of circuit modularity 'normal'.*did you mean 'normalised'"
    ):
        vl.circuit_modularity(model.lens, model.x, form="normal")


@pytest.mark.parametrize("form", ["normalised", "paper"])
def test_a_model_whose_numbers_are_none_is_refused(deep, form):
    lens = deep(np.eye(3))
    with torch.no_grad():
        lens.module.decoder[0].weight[0, 0] = np.nan
    with pytest.raises(
        vl.VaelensError, match=r"9 of 9 responses of decoder units are not finite|responses .* not finite"
    ):
        vl.circuit_modularity(lens, IMAGES, form=form)
    with pytest.raises(vl.VaelensError, match=r"causal effect strengths are not finite; .*check the model's weights"):
        vl.causal_effect_strength(lens, IMAGES)
