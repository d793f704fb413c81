"""The continuous modes, responses and levels 1, 3 and 4 on quantised latents, as NumPy has them."""

import numpy as np
import pytest
import torch
import xarray as xr

import vaelens as vl
from vaelens.effects.responses import decoder_responses

CODES = np.array([[0.0, 0.0], [0.4, 0.0], [0.4, 0.5], [1.0, 1.0]])
A = [[1.0], [0.6]]


def images(n=7, seed=0):
    return torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def model(coded):
    w = np.random.default_rng(1).normal(size=(4, 8))
    return coded(CODES, w, a=A)


def swept(model, x, moves, place=None):
    """‖D(z) − D(z̃)‖ of every latent, value and image: `moves` gives z̃_i, (n, h, w), of latent i at each value."""
    z = model.embed(x)
    base = model.draw(model.choose(z))
    found = []
    for latent in range(2):
        for new in moves(z, latent):
            changed = z.copy()
            changed[(slice(None), latent, *(place or ()))] = new[(slice(None), *(place or ()))]
            found.append(np.abs(model.draw(model.choose(changed)) - base))
    return np.array(found).reshape(2, -1, len(z), 4)  # (latent, value, image, pixel)


@pytest.mark.parametrize("place", [None, (0, 1)])
@pytest.mark.parametrize("mode", ["range", "shift", "posterior"])
def test_what_is_set_is_quantised_again(model, mode, place):
    x, z = images(), model.embed(images())
    scale = z.swapaxes(0, 1).reshape(2, -1).std(axis=1)
    partner = vl.lens.other_images(7, 3)
    moves = {
        "range": lambda z, i: [np.full_like(z[:, i], v) for v in np.linspace(-3, 3, 7)],
        "shift": lambda z, i: [z[:, i] + delta * scale[i] for delta in (-2, -1, 1, 2)],
        "posterior": lambda z, i: [z[partner, i]],
    }[mode]
    expected = swept(model, x, moves, place)
    effects = vl.latent_effects(model.lens, x, mode=mode, seed=3, positions="all" if place is None else place)
    effect = np.linalg.norm(expected, axis=3).mean(axis=2)
    assert (effect > 0).any()
    np.testing.assert_allclose(effects.effect, effect, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(effects.ces, effect.mean(axis=1), rtol=1e-9)
    picture = expected.mean(axis=(1, 2))
    np.testing.assert_allclose(effects.effect_map.values.reshape(2, 4), picture, rtol=1e-9, atol=1e-12)
    p = (picture + 1e-300) / (picture + 1e-300).sum(axis=1, keepdims=True)
    specificity = np.where(picture.any(axis=1), 1 / (1e-8 - (p * np.log(p)).sum(axis=1)), np.nan)
    np.testing.assert_allclose(effects.specificity, specificity, rtol=1e-9)
    np.testing.assert_allclose(effects.scale, scale, rtol=1e-9)
    pictures = model.draw(model.choose(z))
    distances = [np.linalg.norm(pictures[i] - pictures[j]) for i in range(7) for j in range(i)]
    np.testing.assert_allclose(effects.ces_relative, effect.mean(axis=1) / np.mean(distances), rtol=1e-9)
    assert effects.effect.dims == ("latent", "value")
    assert "kl" not in effects


def test_the_effect_is_nothing_until_a_code_crosses_the_boundary(coded):
    model = coded([[0.0], [1.0]])
    x = torch.full((3, 1, 2, 2), 0.2, dtype=torch.float64)
    values = [-3.0, 0.0, 0.499, 0.501, 3.0]
    effects = vl.latent_effects(model.lens, x, values=values)
    assert effects.effect.values[0, :3].tolist() == [0, 0, 0]
    np.testing.assert_allclose(effects.effect.values[0, 3:], [2, 2])  # four pixels change by 1
    one = vl.latent_effects(model.lens, x, values=values, positions="one")
    np.testing.assert_allclose(one.effect.values[0], [0, 0, 0, 1, 1])
    near = vl.latent_effects(model.lens, x, mode="shift", values=[1.0, 2.0])
    assert (near.effect == 0).all()  # all codes alike: a shift by s_i = 0
    assert np.isnan(near.specificity).all()
    assert near.active.values.tolist() == [False]


def test_sweeps_do_not_depend_on_chunks(coded, same):
    w = np.random.default_rng(1).normal(size=(4, 8))
    wide, narrow = (coded(CODES, w, a=A, memory_mb=memory) for memory in (256, 1e-6))
    for mode in ("range", "prior"):
        same(*(vl.latent_effects(m.lens, images(), mode=mode, over="latents") for m in (wide, narrow)))


def test_attributes_say_how_the_codebook_is_used(vq_vae, provenance, tmp_path):
    lens = vl.Lens(vq_vae())
    x = torch.rand(4, 1, 16, 16)
    for mode in ("range", "swap"):
        effects = vl.latent_effects(lens, x, mode=mode)
        provenance(effects, model="vq-vae", latent="quantised", codes=6, positions="all")
        assert effects.attrs["codes_used"] == len(lens.code_indices(x).unique())
        assert 1 < effects.attrs["code_perplexity"] <= effects.attrs["codes_used"]
        assert '"codes": 6' in effects.attrs["hyperparameters"]
    effects = vl.latent_effects(lens, x, positions=(1, 2))
    effects.to_netcdf(tmp_path / "effects.nc", engine="h5netcdf")
    again = xr.load_dataset(tmp_path / "effects.nc", engine="h5netcdf")
    assert again.attrs["hyperparameters"] == effects.attrs["hyperparameters"]
    assert list(again.attrs["positions"]) == [1, 2]
    continuous = vl.latent_effects(vl.Lens(vl.build_model("vae", (1, 8, 8), latent_dim=2)), torch.rand(3, 1, 8, 8))
    assert continuous.attrs["latent"] == "continuous"
    assert not {"codes", "codes_used", "code_perplexity"} & set(continuous.attrs)


# Responses


def test_responses_are_those_of_the_codes_that_are_chosen(vq_vae):
    model = vq_vae(dtype=torch.float64)
    lens, x = vl.Lens(model), images(3).repeat(1, 1, 8, 8)
    found = decoder_responses(lens, x, values=[-0.05, 0.3])
    expected = np.zeros((4, 256))
    with torch.no_grad():
        z = model.encode(x)[0]
        hidden = model.decoder[:2](model.quantise(z).embedding)
        for latent in range(4):
            for value in (-0.05, 0.3):
                moved = z.clone()
                moved[:, latent] = value
                change = (model.decoder[:2](model.quantise(moved).embedding) - hidden).abs()
                expected[latent] += change.mean(dim=(2, 3)).sum(dim=0).numpy() / 6
    assert expected.any()
    np.testing.assert_allclose(found.response[:, found.site == "decoder.0"], expected, rtol=1e-6, atol=1e-12)


def test_modularity_leaves_out_latents_that_change_no_code(coded):
    far = np.array([[0.0, 0.0], [0.0, 100.0]])  # along the first latent there is but one code
    model = coded(far, np.eye(4, 8), a=[[1.0], [1.0]])
    assert np.isnan(vl.circuit_modularity(model.lens, images()))
    vq = vl.build_model("vq-vae", image_shape=(1, 8, 8), latent_dim=3, codes=4)
    with torch.no_grad():
        vq.quantiser.codebook.copy_(torch.tensor([[50.0, 0, 0], [0, 50, 0], [0, 0, 50], [0, 0, 0]]))
    x = torch.rand(3, 1, 8, 8)
    assert not vl.Lens(vq).code_indices(x).eq(0).any()
    responses = decoder_responses(vl.Lens(vq), x)
    assert (responses.response == 0).all()  # values to ±3 reach no other code
    assert np.isnan(vl.circuit_modularity(vl.Lens(vq), x))


# Level 1


def test_an_input_change_is_measured_before_and_after_quantisation(coded):
    w = np.random.default_rng(1).normal(size=(4, 8))
    model = coded(CODES, w, a=A)
    rng = np.random.default_rng(0)
    factors = np.stack(np.meshgrid(np.arange(3), np.arange(4), indexing="ij"), axis=-1).reshape(-1, 2)
    ds = vl.ArrayDataset(rng.random((12, 1, 2, 2)).astype(np.float32), factors, names=["one", "two"])
    effects = vl.input_effects(model.lens, ds, n=20, seed=1)
    pairs = {name: ds.pairs(name, 20, seed=1) for name in ("one", "two")}
    every = np.concatenate([model.embed(x) for pair in pairs.values() for x in (pair.x, pair.x2)])
    spread = np.sqrt(every.reshape(len(every), 2, 4).var(axis=0).sum(axis=1))
    for name, pair in pairs.items():
        before, after = model.embed(pair.x), model.embed(pair.x2)
        moved = np.linalg.norm((after - before).reshape(20, 2, 4), axis=2).mean(axis=0)
        row = effects.sel(factor=name)
        np.testing.assert_allclose(row.latent_effect, moved / spread, rtol=1e-6)
        chosen = model.choose(before), model.choose(after)
        np.testing.assert_allclose(row.codes_changed, (chosen[0] != chosen[1]).mean(), rtol=1e-9)
        pictures = model.draw(chosen[0]) - model.draw(chosen[1])
        np.testing.assert_allclose(row.output_effect, np.linalg.norm(pictures, axis=1).mean(), rtol=1e-6)
        assert row.codes_changed_low <= row.codes_changed <= row.codes_changed_high
    assert effects.codes_changed.dims == ("factor",)
    manipulated = vl.input_effects(model.lens, ds, n=8, manipulations=["brightness"])
    assert manipulated.codes_changed.dims == ("manipulation",)


def test_only_a_quantised_latent_has_codes_that_change(linear):
    model = linear(shape=(1, 4, 4))
    ds = vl.ArrayDataset(np.random.default_rng(0).random((9, 1, 4, 4)).astype(np.float32))
    assert "codes_changed" not in vl.input_effects(model.lens, ds, n=4)


# Levels 3 and 4


def test_patching_the_latent_quantises_the_mixed_embedding(model):
    x, y = images(), images(seed=1)
    effects = vl.patching_effects(model.lens, x, y, sites=["latent"])
    z, other = model.embed(x), model.embed(y)
    base, total = model.draw(model.choose(z)), model.draw(model.choose(other)) - model.draw(model.choose(z))
    for latent in range(2):
        mixed = z.copy()
        mixed[:, latent] = other[:, latent]
        change = model.draw(model.choose(mixed)) - base
        np.testing.assert_allclose(effects.effect[latent], np.linalg.norm(change, axis=1).mean(), rtol=1e-9)
        np.testing.assert_allclose(effects.recovered[latent], (change * total).sum() / (total**2).sum(), rtol=1e-9)


def test_latents_that_mediate_interact_at_the_boundary(coded):
    # the second code is nearest only when both latents move: neither alone has an effect
    model = coded([[0.0, 0.0], [1.0, 1.0]], np.hstack([np.eye(4), np.eye(4)]), a=[[0.6], [0.6]])
    x, y = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)
    effects = vl.mediation_effects(model.lens, x, y, "latent")
    assert effects.indirect.values.tolist() == [0, 0]
    assert effects.direct.values.tolist() == [0, 0]
    assert effects.interaction.values.tolist() == [1, 1]
    whole = vl.mediation_effects(model.lens, x, y, "latent", units="all")
    assert (float(whole.indirect[0]), float(whole.direct[0])) == (1, 0)


def test_a_treatment_that_changes_no_code_has_no_effect(coded):
    model = coded([[0.0], [1.0]])
    effects = vl.mediation_effects(model.lens, images() * 0.4, vl.Add("latent", 0, 0.05), "decoder.0")
    assert float(effects.total_norm) == 0
    assert np.isnan(effects.direct).all()


def test_a_whole_site_mediates_all_of_it(vq_vae):
    lens = vl.Lens(vq_vae())
    x, y = torch.rand(2, 5, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    for site in lens.sites:
        effects = vl.mediation_effects(lens, x, y, site, units="all")
        assert float(effects.direct[0]) == 0, site
        assert float(effects.indirect[0]) == pytest.approx(1, rel=1e-12), site
        assert float(effects.total_norm) > 0


def test_groups_of_latents_do_not_depend_on_chunks(vq_vae, same):
    model = vq_vae(dtype=torch.float64)
    x, y = torch.rand(2, 5, 1, 16, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    wide, narrow = vl.Lens(model), vl.Lens(model, memory_mb=1e-6)
    same(*(vl.patching_effects(lens, x, y, sites=["latent", "decoder.1"]) for lens in (wide, narrow)))
    same(*(vl.mediation_effects(lens, x, y, "latent") for lens in (wide, narrow)))
