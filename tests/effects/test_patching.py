from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.lens import other_images

TOLERANCE = {"rtol": 1e-5, "atol": 1e-9}


@pytest.fixture
def chain(layer, joined):
    """Builds hidden = B x, code = A h, spread = V z, image = U s: linear, with a site between each two."""

    def build(images=6, dtype=torch.float64, **options):
        rng = np.random.default_rng(4)
        b, a, v, u = (
            rng.normal(size=size).astype(np.float32).astype(float) for size in ((5, 4), (3, 5), (6, 3), (4, 6))
        )
        x, y = rng.random((2, images, 4)).astype(np.float32).astype(float)
        model = joined(
            nn.Sequential(nn.Flatten(), layer(b, dtype=dtype), layer(a, dtype=dtype)),
            nn.Sequential(layer(v, dtype=dtype), layer(u, dtype=dtype), nn.Unflatten(1, (1, 2, 2))),
        )
        shaped = [torch.as_tensor(part).reshape(images, 1, 2, 2) for part in (x, y)]
        lens = vl.Lens(model, model.encoder, model.decoder, example=shaped[0], **options)
        h, z, s = x @ b.T, x @ b.T @ a.T, x @ b.T @ a.T @ v.T
        moved = SimpleNamespace(h=y @ b.T - h, z=y @ b.T @ a.T - z, s=y @ b.T @ a.T @ v.T - s)
        return SimpleNamespace(lens=lens, x=shaped[0], y=shaped[1], b=b, a=a, v=v, u=u, h=h, z=z, s=s, moved=moved)

    return build


def linear_scores(columns, changes, total):
    """Effect and recovered fraction of each unit: its column (outputs, units) times its change (n, units)."""
    effect = np.linalg.norm(columns, axis=0) * np.abs(changes).mean(axis=0)
    shared = np.einsum("ou,nu,no->u", columns, changes, total)
    return effect, shared / (total**2).sum()


def expectation(m, given):
    """Both scores over encoder.0, latent and decoder.0, when the units change by `given`."""
    parts = [
        linear_scores(m.a, given.h, m.moved.z),
        linear_scores(m.u @ m.v, given.z, m.moved.z @ m.v.T @ m.u.T),
        linear_scores(m.u, given.s, m.moved.s @ m.u.T),
    ]
    return (np.concatenate([part[k] for part in parts]) for k in range(2))


def changes(m, method, seed=0):
    if method == "patch":
        return m.moved
    new = {
        "zero": np.zeros_like,
        "mean": lambda values: np.broadcast_to(values.mean(axis=0), values.shape),
        "resample": lambda values: values[other_images(len(values), seed)],
    }[method]
    return SimpleNamespace(h=new(m.h) - m.h, z=new(m.z) - m.z, s=new(m.s) - m.s)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("method", ["patch", "zero", "mean", "resample"])
def test_effects_on_a_linear_chain_are_those_of_the_formulas(chain, provenance, intervals, method, dtype):
    m = chain(dtype=dtype)
    effects = vl.patching_effects(m.lens, m.x, m.y, method=method, seed=2)
    effect, recovered = expectation(m, changes(m, method, 2))
    np.testing.assert_allclose(effects.effect, effect, **TOLERANCE)
    np.testing.assert_allclose(effects.recovered, recovered, rtol=1e-5, atol=1e-6)
    assert effects.effect.dims == ("unit",)
    assert effects.site.values.tolist() == ["encoder.0"] * 5 + ["latent"] * 3 + ["decoder.0"] * 6
    assert effects.index.values.tolist() == [*range(5), *range(3), *range(6)]
    provenance(effects, model="Sequential", seed=2, images=6, method=method)
    assert effects.attrs["outcomes"] == ["encoder.0: code", "latent: image", "decoder.0: image"]
    intervals(effects, "effect", "recovered")


def test_what_linear_units_recover_adds_to_one_at_every_site(chain):
    m = chain()
    effects = vl.patching_effects(m.lens, m.x, m.y)
    for site, sums in effects.recovered.groupby("site"):
        assert float(sums.sum()) == pytest.approx(1, rel=1e-9), site
    # so that one drawn at random recovers one over their number
    np.testing.assert_allclose(effects.recovered_chance, [1 / 5] * 5 + [1 / 3] * 3 + [1 / 6] * 6, rtol=1e-9)
    for site, every in effects.effect.groupby("site"):
        np.testing.assert_allclose(effects.effect_chance[effects.site == site], every.mean(), rtol=1e-9)


def test_the_image_can_be_the_outcome_of_an_encoder_site(chain):
    m = chain()
    effects = vl.patching_effects(m.lens, m.x, m.y, sites="encoder.0", outcome="image")
    d = m.u @ m.v
    effect, recovered = linear_scores(d @ m.a, m.moved.h, m.moved.z @ d.T)
    np.testing.assert_allclose(effects.effect, effect, **TOLERANCE)
    np.testing.assert_allclose(effects.recovered, recovered, **TOLERANCE)
    assert effects.attrs["outcomes"] == ["encoder.0: image"]


def test_the_output_is_a_site_on_request_and_recovers_all(chain):
    m = chain()
    effects = vl.patching_effects(m.lens, m.x, m.y, sites=["decoder.1"])
    assert effects.recovered.values.tolist() == [pytest.approx(1)]
    expected = np.linalg.norm(m.moved.s @ m.u.T, axis=1).mean()
    assert float(effects.effect[0]) == pytest.approx(expected, rel=1e-9)


def test_a_whole_site_of_a_chain_recovers_all(chain):
    given = chain()
    effects = vl.patching_effects(given.lens, given.x, given.y, unit="site", progress=False)
    assert effects.site.values.tolist() == ["encoder.0", "latent", "decoder.0"]
    assert effects["index"].values.tolist() == [0, 0, 0]
    assert effects.attrs["unit"] == "site"
    np.testing.assert_allclose(effects.recovered, 1, rtol=0, atol=1e-9)
    code, image = given.moved.z, given.moved.s @ given.u.T
    expected = [np.linalg.norm(moved, axis=1).mean() for moved in (code, image, image)]
    np.testing.assert_allclose(effects.effect, expected, **TOLERANCE)
    mediation = vl.mediation_effects(given.lens, given.x, given.y, "decoder.0", unit="site", progress=False)
    np.testing.assert_allclose([mediation.indirect, mediation.direct], [[1], [0]], rtol=0, atol=1e-9)


def test_sites_come_in_the_order_of_the_data(chain):
    m = chain()
    effects = vl.patching_effects(m.lens, m.x, m.y, sites=["decoder.0", "encoder.0"])
    assert list(dict.fromkeys(effects.site.values.tolist())) == ["encoder.0", "decoder.0"]


@pytest.mark.parametrize("method", ["zero", "mean", "resample"])
def test_an_ablation_without_source_has_no_recovered_fraction(chain, method):
    m = chain()
    effects = vl.patching_effects(m.lens, m.x, method=method)
    np.testing.assert_allclose(effects.effect, next(expectation(m, changes(m, method))), **TOLERANCE)
    assert not [name for name in effects if name.startswith("recovered")]
    assert "effect_chance" in effects


@pytest.mark.parametrize("method", ["patch", "zero", "mean", "resample"])
def test_effects_do_not_depend_on_chunks(chain, same, method):
    wide, narrow = chain(images=11), chain(images=11, memory_mb=0.005)
    assert wide.lens.engine.rows == 64
    assert 1 < narrow.lens.engine.rows < 6
    same(*(vl.patching_effects(m.lens, m.x, m.y, method=method) for m in (wide, narrow)))


def test_identical_base_and_source_change_nothing_and_recover_nothing(chain):
    m = chain()
    effects = vl.patching_effects(m.lens, m.x, m.x)
    for name in ("effect", "effect_low", "effect_high"):
        assert (effects[name] == 0).all()
    for name in ("recovered", "recovered_low", "recovered_high"):
        assert np.isnan(effects[name]).all()


def test_one_image_gives_means_without_intervals(chain):
    m = chain(images=1)
    effects = vl.patching_effects(m.lens, m.x, m.y)
    np.testing.assert_allclose(effects.recovered, list(expectation(m, m.moved))[1], **TOLERANCE)
    assert np.isnan(effects.effect_low).all()
    assert np.isnan(effects.recovered_high).all()


# Paths


def test_paths_of_a_linear_chain_are_products_of_weights(chain, provenance, intervals):
    m = chain()
    total = m.moved.s @ m.u.T
    for units, members in (("all", list(range(5))), ([1, 4], [1, 4])):
        effects = vl.path_effects(m.lens, m.x, m.y, "encoder.0", "latent", units)
        arriving = m.moved.h[:, members] @ m.a[:, members].T  # (n, d)
        effect, recovered = linear_scores(m.u @ m.v, arriving, total)
        np.testing.assert_allclose(effects.effect, effect, **TOLERANCE)
        np.testing.assert_allclose(effects.recovered, recovered, **TOLERANCE)
        provenance(effects, seed=0, images=6, method="path", sender="encoder.0", sender_units=members)
        intervals(effects, "effect", "recovered")
    effects = vl.path_effects(m.lens, m.x, m.y, "latent", "decoder.0", 2)
    effect, recovered = linear_scores(m.u, np.outer(m.moved.z[:, 2], m.v[:, 2]), total)
    np.testing.assert_allclose(effects.effect, effect, **TOLERANCE)
    np.testing.assert_allclose(effects.recovered, recovered, **TOLERANCE)


def test_all_that_a_whole_site_sends_arrives_at_the_only_unit_of_the_output(chain):
    m = chain()
    for sender in ("encoder.0", "latent", "decoder.0"):
        effects = vl.path_effects(m.lens, m.x, m.y, sender, "decoder.1")
        assert effects.recovered.values.tolist() == [pytest.approx(1)]


def test_paths_from_a_whole_site_are_patches_at_the_receiver(same):
    lens = vl.Lens(vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2).double())
    x, y = torch.rand(2, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for sender, receiver in (("encoder.0", "encoder.1"), ("encoder.1", "latent"), ("latent", "decoder.1")):
        same(vl.path_effects(lens, x, y, sender, receiver), vl.patching_effects(lens, x, y, sites=receiver))


def test_paths_do_not_depend_on_chunks(chain, same):
    models = chain(images=7), chain(images=7, memory_mb=0.005)
    same(*(vl.path_effects(m.lens, m.x, m.y, "encoder.0", "decoder.0", [0, 2]) for m in models))


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "patches"}, r"unknown method 'patches'; known: patch, zero, mean, resample; did you mean 'patch'"),
        ({"source": None}, "method 'patch' takes values from source images, and none were given; give source="),
        ({"sites": "latents"}, "unknown site 'latents'; .*did you mean 'latent'"),
        ({"sites": ["encoder.0", "encoder.7"]}, r"unknown site 'encoder\.7'; .*did you mean 'encoder\.0'"),
        ({"sites": []}, "no site was named; name at least one, or leave sites out for all"),
        ({"outcome": "images"}, "unknown outcome 'images'; known: code, image; did you mean 'image'"),
        ({"outcome": "code"}, "latent comes after the code and can't change it; use outcome='image'"),
        ({"seed": -1}, "seed is -1; expected a whole number from 0"),
        ({"seed": -1, "method": "resample"}, "seed is -1; expected a whole number from 0"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(chain, arguments, message):
    m = chain()
    with pytest.raises(vl.VaelensError, match=message):
        vl.patching_effects(m.lens, m.x, **({"source": m.y} | arguments))


def test_images_that_are_not_paired_are_refused(chain):
    m = chain()
    with pytest.raises(vl.VaelensError, match="6 base images but 5 to pair them with; give one for each"):
        vl.patching_effects(m.lens, m.x, m.y[:5])
    with pytest.raises(vl.VaelensError, match="6 base images but 1 to pair them with"):
        vl.path_effects(m.lens, m.x, m.y[:1], "latent", "decoder.0")
    with pytest.raises(vl.VaelensError, match=r"images range from .*; for 0\.\.255 use x / 255"):
        vl.patching_effects(m.lens, m.x, m.y * 255)
    with pytest.raises(vl.VaelensError, match="images are a str"):
        vl.patching_effects(m.lens, "x", m.y)


def test_resampling_needs_another_image(chain):
    m = chain(images=1)
    with pytest.raises(vl.VaelensError, match="values of another image are asked for, but 1 image was given"):
        vl.patching_effects(m.lens, m.x, method="resample")


@pytest.mark.parametrize(
    ("sender", "receiver", "units", "message"),
    [
        ("latent", "encoder.0", "all", r"the receiver encoder\.0 does not come after the sender latent; give a later"),
        ("latent", "latent", "all", "the receiver latent does not come after the sender latent"),
        ("latents", "decoder.0", "all", "unknown site 'latents'; .*did you mean 'latent'"),
        ("latent", "decoder.9", "all", r"unknown site 'decoder\.9'; .*did you mean 'decoder\.0'|'decoder\.1'"),
        ("latent", "decoder.0", [3], "unit 3 of latent does not exist; its units are 0 to 2"),
        ("latent", "decoder.0", [], "name at least one unit"),
    ],
)
def test_paths_that_do_not_exist_are_refused(chain, sender, receiver, units, message):
    m = chain()
    with pytest.raises(vl.VaelensError, match=message):
        vl.path_effects(m.lens, m.x, m.y, sender, receiver, units)
