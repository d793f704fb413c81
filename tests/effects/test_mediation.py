import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl

TOLERANCE = {"rtol": 1e-5, "atol": 1e-9}


def fractions(w, change):
    """Each latent's share of W Δ, by projection."""
    total = change @ w.T
    return np.einsum("oi,ni,no->i", w, change, total) / (total**2).sum()


def gate(layer, joined, bias):
    """code = image, hidden = code, first pixel = ReLU(h₀ + h₁ + bias), second pixel 0."""
    return joined(
        nn.Sequential(nn.Flatten(), layer(np.eye(2))),
        nn.Sequential(layer(np.eye(2)), layer([[1, 1], [0, 0]], [bias, 0]), nn.ReLU(), nn.Unflatten(1, (1, 1, 2))),
    )


def pixels(*rows):
    return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), 1, 1, 2)


def shares(effects):
    return {name: effects[name].values for name in ("direct", "indirect", "interaction")}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_fractions_of_a_linear_vae_are_projections_without_interaction(linear, provenance, intervals, dtype):
    model = linear(dtype=dtype)
    change = np.roll(model.z, 1, axis=0) - model.z
    effects = vl.mediation_effects(model.lens, model.x, model.x.roll(1, 0), "latent", seed=5)
    indirect = fractions(model.w, change)
    np.testing.assert_allclose(effects.indirect, indirect, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(effects.direct, 1 - indirect, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(effects.interaction, 0, atol=1e-6)
    np.testing.assert_allclose(effects.total_norm, np.linalg.norm(change @ model.w.T, axis=1).mean(), rtol=1e-5)
    assert effects.direct.dims == ("unit",)
    assert effects.total_norm.dims == ()
    assert effects.site.values.tolist() == ["latent"] * 3
    assert effects.index.values.tolist() == [0, 1, 2]
    provenance(effects, model="Sequential", seed=5, images=6, outcome="image")
    intervals(effects, "direct", "indirect", "total_norm")
    np.testing.assert_allclose(effects.indirect_chance, [1 / 3] * 3, rtol=1e-5)


def test_units_and_groups_of_a_linear_vae_add_up(linear):
    model = linear()
    y = model.x.roll(1, 0)
    indirect = fractions(model.w, np.roll(model.z, 1, axis=0) - model.z)
    some = vl.mediation_effects(model.lens, model.x, y, "latent", units=[2, 0])
    np.testing.assert_allclose(some.indirect, indirect[[2, 0]], **TOLERANCE)
    assert some.index.values.tolist() == [2, 0]
    assert "indirect_chance" not in some  # of a site of which some units are left out nothing can be drawn
    groups = vl.mediation_effects(model.lens, model.x, y, "latent", units=[[0, 2], [1], [2, 1, 0]])
    np.testing.assert_allclose(groups.indirect, [indirect[0] + indirect[2], indirect[1], 1], **TOLERANCE)
    np.testing.assert_allclose(groups.direct, [indirect[1], indirect[0] + indirect[2], 0], **TOLERANCE)
    assert groups.members.values.tolist() == ["0,2", "1", "2,1,0"]
    for all_units in ("all", [[0, 1, 2]]):
        whole = vl.mediation_effects(model.lens, model.x, y, "latent", units=all_units)
        assert whole.sizes["unit"] == 1
        assert float(whole.indirect[0]) == pytest.approx(1, abs=1e-9)
        assert float(whole.direct[0]) == pytest.approx(0, abs=1e-9)
        assert float(whole.interaction[0]) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("bias", "base", "treated", "expected"),
    [
        # an AND: neither way does half the treatment do anything
        (-1, (0, 0), (1, 1), {"direct": [0, 0], "indirect": [0, 0], "interaction": [1, 1]}),
        # 0 to 1.5, by half 0.5: a third each
        (-0.5, (0, 0), (1, 1), {"direct": [1 / 3, 1 / 3], "indirect": [1 / 3, 1 / 3], "interaction": [1 / 3, 1 / 3]}),
        # no gating: each unit passes on its half
        (0, (0, 0), (1, 1), {"direct": [0.5, 0.5], "indirect": [0.5, 0.5], "interaction": [0, 0]}),
        # 0.5 to 0, by either half 0: each way alone gives all of it, and the interaction takes one away again
        (-1, (1, 0.5), (0, 0), {"direct": [1, 1], "indirect": [1, 1], "interaction": [-1, -1]}),
        # 0 to 0.75; h₀ alone 0.5, h₁ alone 0
        (-0.5, (0, 0.0), (1, 0.25), {"direct": [0, 2 / 3], "indirect": [2 / 3, 0], "interaction": [1 / 3, 1 / 3]}),
    ],
)
@pytest.mark.parametrize("site", ["latent", "decoder.0"])
def test_the_interaction_of_a_gate_is_that_on_paper(layer, joined, site, bias, base, treated, expected):
    model = gate(layer, joined, bias)
    lens = vl.Lens(model, model.encoder, model.decoder, example=pixels((0, 0)))
    effects = vl.mediation_effects(lens, pixels(base, base), pixels(treated, treated), site)
    for name, value in expected.items():
        np.testing.assert_allclose(effects[name], value, atol=1e-12, err_msg=name)
    whole = vl.mediation_effects(lens, pixels(base), pixels(treated), site, units="all")
    assert [float(part[0]) for part in shares(whole).values()] == pytest.approx([0, 1, 0])


def test_fractions_are_ratios_of_sums_over_images(layer, joined):
    model = gate(layer, joined, -0.5)
    lens = vl.Lens(model, model.encoder, model.decoder, example=pixels((0, 0)))
    # TE 1.5 and 0.5; NIE of unit 0: 0.5 and 0.5. Σ<NIE, TE> / Σ TE² = (0.75 + 0.25) / (2.25 + 0.25)
    effects = vl.mediation_effects(lens, pixels((0, 0), (0, 0)), pixels((1, 1), (1, 0)), "latent", units=0)
    assert float(effects.indirect[0]) == pytest.approx(0.4)
    assert float(effects.direct[0]) == pytest.approx((0.5 * 1.5 + 0) / 2.5)
    assert float(effects.interaction[0]) == pytest.approx(1 - 0.4 - 0.3)
    assert float(effects.total_norm) == pytest.approx(1.0)


def test_a_treatment_by_interventions_is_held_while_the_mediator_is_not(layer, joined):
    model = gate(layer, joined, -0.5)
    lens = vl.Lens(model, model.encoder, model.decoder, example=pixels((0, 0)))
    x = pixels((0, 0), (0, 0.25))
    both = vl.mediation_effects(lens, x, [vl.Set("latent", 0, 1.0), vl.Add("latent", 1, 0.5)], "decoder.0")
    # images 0 → 1 and 0 → 1.25: by h₀ alone 0.5 and 0.75, by h₁ alone 0 and 0.25
    total = np.array([1, 1.25])
    for unit, alone, other in ((0, np.array([0.5, 0.75]), np.array([0, 0.25])), (1, np.array([0, 0.25]), [0.5, 0.75])):
        assert float(both.indirect[unit]) == pytest.approx((alone * total).sum() / (total**2).sum())
        assert float(both.direct[unit]) == pytest.approx((np.array(other) * total).sum() / (total**2).sum())
    one = vl.mediation_effects(lens, x, vl.Set("latent", 0, 1.0), "decoder.0")
    # the treatment does not reach h₁: it passes on nothing
    assert one.indirect.values == pytest.approx([1, 0])
    assert one.direct.values == pytest.approx([0, 1])
    assert one.interaction.values == pytest.approx([0, 0])


def test_a_treatment_that_takes_a_value_again_wins(layer, joined):
    model = gate(layer, joined, 0.0)
    lens = vl.Lens(model, model.encoder, model.decoder, example=pixels((0, 0)))
    effects = vl.mediation_effects(
        lens, pixels((0, 0)), (vl.Set("latent", 0, 5.0), vl.Set("latent", [0], 0.25)), "decoder.0", units="all"
    )
    assert float(effects.total_norm) == pytest.approx(0.25)


@pytest.mark.parametrize("outcome", ["image", "code"])
def test_a_treatment_inside_the_encoder_reaches_the_code(layer, joined, outcome):
    rng = np.random.default_rng(0)
    b, a, w = rng.normal(size=(3, 4)), rng.normal(size=(2, 3)), rng.normal(size=(4, 2))
    model = joined(
        nn.Sequential(nn.Flatten(), layer(b), layer(a), layer(np.eye(2))),
        nn.Sequential(layer(w), nn.Unflatten(1, (1, 2, 2))),
    )
    x = torch.rand(5, 1, 2, 2)
    lens = vl.Lens(model, model.encoder, model.decoder, example=x)
    effects = vl.mediation_effects(lens, x, vl.Scale("encoder.0", [0, 2], 3.0), "encoder.1", outcome=outcome)
    change = 2 * (x.flatten(1).numpy() @ b.T)[:, [0, 2]] @ a[:, [0, 2]].T
    indirect = fractions(w if outcome == "image" else np.eye(2), change)
    np.testing.assert_allclose(effects.indirect, indirect, rtol=1e-5)
    np.testing.assert_allclose(effects.direct, 1 - indirect, rtol=1e-5)
    assert effects.attrs["outcome"] == outcome


def test_fractions_add_to_one_and_a_whole_site_mediates_everything():
    lens = vl.Lens(vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2).double())
    x, y = torch.rand(2, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for name, site in lens.sites.items():
        single = shares(vl.mediation_effects(lens, x, y, name))
        np.testing.assert_allclose(sum(single.values()), 1, rtol=1e-12)
        whole = [
            shares(vl.mediation_effects(lens, x, y, name, units=units)) for units in ("all", [list(range(site.units))])
        ]
        for one in whole:
            np.testing.assert_allclose([one["indirect"], one["direct"]], [[1], [0]], atol=1e-9)


def test_effects_do_not_depend_on_chunks(linear, same):
    models = linear(images=9), linear(images=9, memory_mb=1e-6)
    for treated in (models[0].x.roll(1, 0), vl.Set("encoder.0", 0, 1.0)):
        if isinstance(treated, torch.Tensor):
            same(*(vl.mediation_effects(m.lens, m.x, treated, "latent", seed=1) for m in models))
    same(*(vl.mediation_effects(m.lens, m.x, vl.Add("latent", 1, 0.5), "decoder.0") for m in models))


def per_image(shape, seed):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize(
    "treatment",
    [
        [vl.Set("encoder.0", 0, 0.3), vl.Add("encoder.0", [0, 2], [1.0, -1.0]), vl.Scale("encoder.1", 1, 3.0)],
        [vl.Set("encoder.0", [0, 2], per_image((9, 2), 0)), vl.Add("encoder.1", "all", per_image((9, 1), 1))],
        [vl.Scale("encoder.1", [1, 0], per_image((9, 2), 2)), vl.Ablate("encoder.0", 1)],
        [vl.Patch("encoder.0", [2, 1], per_image((9, 3), 3)), vl.Patch("encoder.1", 0, per_image((1, 2), 4))],
        [
            vl.Add("encoder.0", "all", 1.0),
            vl.Ablate("encoder.0", [0, 1], "resample", seed=3),
            vl.Scale("encoder.0", 0, 2),
        ],
        [vl.Ablate("encoder.0", 0, "mean"), vl.Ablate("encoder.1", 1, "mean"), vl.Ablate("encoder.1", 0, "resample")],
    ],
)
def test_a_treatment_in_parts_is_the_treatment_of_all_images_at_once(layer, joined, same, treatment):
    rng = np.random.default_rng(0)
    model = joined(
        nn.Sequential(
            nn.Flatten(),
            layer(rng.normal(size=(3, 4))),
            nn.ReLU(),
            layer(rng.normal(size=(2, 3))),
            nn.Tanh(),
            layer(rng.normal(size=(2, 2))),
        ),
        nn.Sequential(layer(rng.normal(size=(4, 2))), nn.Sigmoid(), nn.Unflatten(1, (1, 2, 2))),
    )
    x = torch.rand(9, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    lens = vl.Lens(model, model.encoder, model.decoder, example=x, memory_mb=0.002)
    assert 1 < lens.engine.rows < 9
    run = lens.run(x, treatment, capture="all")
    held = [vl.Patch(site, "all", run) for site in dict.fromkeys(one.site for one in treatment)]
    in_parts = vl.mediation_effects(lens, x, treatment, "latent", seed=1)
    same(in_parts, vl.mediation_effects(lens, x, held, "latent", seed=1), rtol=1e-9)
    change = (run.reconstruction - lens.reconstruct(x)).flatten(1).norm(dim=1)
    assert float(in_parts.total_norm) == pytest.approx(float(change.mean()), rel=1e-9)
    # the mediator is the whole code: what comes through it is all of the effect
    whole = vl.mediation_effects(lens, x, treatment, "latent", units="all")
    assert float(whole.indirect[0]) == pytest.approx(1, rel=1e-9)


def test_values_of_a_treatment_that_fit_a_part_of_the_images_only_are_refused(linear):
    model = linear(images=9, memory_mb=1e-6)
    with pytest.raises(vl.VaelensError, match=r"value at latent has shape \(4, 1\); expected .*\(9, 1\) one for each"):
        vl.mediation_effects(model.lens, model.x, vl.Set("latent", 0, np.ones((4, 1))), "decoder.0")


def test_a_treatment_without_effect_has_no_fractions(linear):
    model = linear()
    for treated in (model.x, vl.Add("latent", 0, 0.0)):
        effects = vl.mediation_effects(model.lens, model.x, treated, "decoder.0")
        assert float(effects.total_norm) == 0
        for name in ("direct", "indirect", "interaction"):
            assert np.isnan(effects[name]).all()
            assert np.isnan(effects[f"{name}_low"]).all()


def test_one_image_gives_means_without_intervals(linear):
    model = linear(images=1)
    effects = vl.mediation_effects(model.lens, model.x, 1 - model.x, "latent")
    assert np.isfinite(effects.interaction).all()
    for name in ("direct_low", "indirect_high", "interaction_low", "total_norm_high"):
        assert np.isnan(effects[name]).all(), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"site": "latents"}, "unknown site 'latents'; .*did you mean 'latent'"),
        ({"outcome": "pixels"}, "unknown outcome 'pixels'; known: code, image"),
        ({"outcome": "code"}, "latent comes after the code and can't change it; use outcome='image'"),
        ({"units": [3]}, "unit 3 of latent does not exist; its units are 0 to 2"),
        ({"units": [0, 0]}, r"units at latent: \[0, 0\] names a unit twice"),
        ({"units": [[0, 1], [1, 1]]}, r"units at latent: \[1, 1\] names a unit twice"),
        (
            {"units": [[0], 1]},
            r"units \[\[0\], 1\] mixes indices and groups; give a list of indices or a list of lists",
        ),
        ({"units": [[0], []]}, r"units at latent: \[\] given, .*name at least one unit"),
        ({"units": []}, r"units at latent: \[\] given, .*name at least one unit"),
        ({"units": "every"}, "units at latent: 'every' given, expected an integer, a list of integers or 'all'"),
        ({"units": 1.0}, r"units at latent: 1\.0 given"),
        ({"treated": []}, "treated is a list without interventions; give images, or interventions such as vl.Set"),
        ({"treated": [vl.Set("encoder.0", 0, 1.0), "latent"]}, "treated is a list without interventions; give images"),
        ({"treated": "latent"}, "images are a str; give a tensor or array"),
        (
            {"treated": vl.Set("latent", 0, 1.0)},
            "the mediator latent is not after the treatment at latent; give a later",
        ),
        ({"treated": [vl.Set("decoder.0", 0, 1.0)]}, r"the mediator latent is not after the treatment at decoder\.0"),
        ({"treated": vl.Set("decoder.9", 0, 1.0)}, r"unknown site 'decoder\.9'"),
        ({"treated": vl.Set("latent", 9, 1.0), "site": "decoder.0"}, "unit 9 of latent does not exist"),
        ({"treated": vl.Set("latent", 0, [1.0, 2.0]), "site": "decoder.0"}, r"value at latent has shape \(2,\)"),
        ({"seed": -1}, "seed is -1; expected a whole number from 0"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(linear, arguments, message):
    model = linear()
    given = {"treated": model.x.roll(1, 0), "site": "latent"} | arguments
    with pytest.raises(vl.VaelensError, match=message):
        vl.mediation_effects(model.lens, model.x, **given)


def test_images_that_are_not_paired_are_refused(linear):
    model = linear()
    with pytest.raises(vl.VaelensError, match="6 base images but 4 to pair them with; give one for each"):
        vl.mediation_effects(model.lens, model.x, model.x[:4], "latent")
    with pytest.raises(vl.VaelensError, match="images contain NaN"):
        vl.mediation_effects(model.lens, model.x, model.x * float("nan"), "latent")
