import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.effects.ces_by_mode import ces_by_mode
from vaelens.effects.entropy import rounding_of, row_specificities
from vaelens.lens import other_images

TOLERANCE = {"rtol": 1e-5, "atol": 1e-9}


def replaced(model, mode, values, seed):
    """v for every value, image and latent, by hand: (values, n, d)."""
    z = model.z
    if mode == "range":
        values = np.linspace(-3, 3, 7) if values is None else values
        return np.stack([np.full_like(z, v) for v in values])
    if mode == "shift":
        values = (-2, -1, 1, 2) if values is None else values
        return np.stack([z + delta * z.std(axis=0) for delta in values])
    if mode == "posterior":
        return np.stack([z[other_images(len(z), seed + draw)] for draw in range(values or 1)])
    generator = torch.Generator().manual_seed(seed)
    return np.stack([torch.randn(z.shape, generator=generator).numpy() for _ in range(values or 1)])


def entropy(p):
    p = p / p.sum(axis=0)
    return -np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(axis=0)


def mean_distance(model):
    """The mean distance of two reconstructions, pair by pair."""
    images = model.z @ model.w.T + model.b
    total, pairs = 0.0, 0
    for i in range(len(images)):
        for j in range(i + 1, len(images)):
            total += np.sqrt(((images[i] - images[j]) ** 2).sum())
            pairs += 1
    return total / pairs


MODES = [
    ("range", None),
    ("range", [0.5, -4.0]),
    ("shift", None),
    ("shift", [0.5]),
    ("posterior", None),
    ("posterior", 3),
    ("prior", None),
    ("prior", 2),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("mode", "values"), MODES)
@pytest.mark.parametrize("bias", [True, False])
def test_effects_on_a_linear_vae_are_those_of_the_formulas(linear, provenance, intervals, mode, values, dtype, bias):
    model = linear(dtype=dtype, bias=bias)
    effects = vl.latent_effects(model.lens, model.x, mode=mode, values=values, seed=3)
    columns = np.linalg.norm(model.w, axis=0)  # (d,)
    moves = np.abs(replaced(model, mode, values, 3) - model.z)  # (values, n, d)
    effect = columns * moves.mean(axis=1)  # (values, d)
    np.testing.assert_allclose(effects.effect, effect.T, **TOLERANCE)
    np.testing.assert_allclose(effects.ces, effect.mean(axis=0), **TOLERANCE)
    np.testing.assert_allclose(effects.ces_mean, effect.mean(), **TOLERANCE)
    np.testing.assert_allclose(effects.ces_relative, effect.mean(axis=0) / mean_distance(model), **TOLERANCE)
    partner = model.z[other_images(6, 3)]
    np.testing.assert_allclose(effects.ces_posterior, columns * np.abs(partner - model.z).mean(axis=0), **TOLERANCE)
    picture = np.abs(model.w) * moves.mean(axis=(0, 1))  # (pixels, d)
    small = 1e-6 * picture.max()  # a pixel is a difference of two: in float32 it loses digits
    np.testing.assert_allclose(effects.effect_map, picture.T.reshape(3, 1, 4, 4), rtol=1e-5, atol=small)
    h = entropy(np.abs(model.w))  # whatever the values, p_i(o) is proportional to |W_oi|
    np.testing.assert_allclose(effects.specificity, 1 / (h + 1e-8), **TOLERANCE)
    np.testing.assert_allclose(effects.specificity_normalised, 1 - h / np.log(16), **TOLERANCE)
    np.testing.assert_allclose(effects.scale, model.z.std(axis=0), **TOLERANCE)
    assert effects.effect.dims == ("latent", "value")
    assert effects.effect_map.dims == ("latent", "channel", "height", "width")
    assert effects.latent.values.tolist() == [0, 1, 2]
    assert effects.attrs["reference_distance"] == pytest.approx(mean_distance(model), rel=1e-5)
    provenance(effects, model="Sequential", seed=3, images=6, mode=mode, specificity_over="pixels")
    intervals(effects, "effect", "ces", "ces_relative", "ces_posterior", "ces_mean")


@pytest.mark.parametrize(
    ("mode", "values", "labels"),
    [
        ("range", None, [-3, -2, -1, 0, 1, 2, 3]),
        ("shift", None, [-2, -1, 1, 2]),
        ("range", (1, 2.5), [1, 2.5]),
        ("posterior", 2, [0, 1]),
        ("prior", None, [0]),
    ],
)
def test_values_are_labelled(linear, mode, values, labels):
    model = linear()
    assert vl.latent_effects(model.lens, model.x, mode=mode, values=values).value.values.tolist() == labels


@pytest.mark.parametrize(("mode", "values"), MODES)
def test_specificity_over_latents_is_that_of_the_code_read_again(linear, mode, values):
    model = linear()
    effects = vl.latent_effects(model.lens, model.x, mode=mode, values=values, over="latents")
    h = entropy(np.abs(model.a @ model.w) / model.z.std(axis=0)[:, None])  # in the code's own standard deviations
    np.testing.assert_allclose(effects.specificity, 1 / (h + 1e-8), **TOLERANCE)
    np.testing.assert_allclose(effects.specificity_normalised, 1 - h / np.log(3), **TOLERANCE)
    pixels = vl.latent_effects(model.lens, model.x, mode=mode, values=values)
    np.testing.assert_array_equal(effects.ces, pixels.ces)
    np.testing.assert_array_equal(effects.effect_map, pixels.effect_map)
    assert effects.attrs["specificity_over"] == "latents"


def test_a_latent_that_moves_one_pixel_is_as_specific_as_can_be(linear_of):
    w = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    lens = linear_of(np.eye(4)[:2], w, shape=(1, 2, 2))
    effects = vl.latent_effects(lens, torch.rand(4, 1, 2, 2))
    np.testing.assert_allclose(effects.specificity, [1e8, 1 / np.log(4)], rtol=1e-6)
    np.testing.assert_allclose(effects.specificity_normalised, [1, 0], atol=1e-7)


def test_a_latent_with_positions_is_set_at_all_of_them(joined):
    encoder, decoder = nn.Conv2d(1, 2, 1, dtype=torch.float64), nn.Conv2d(2, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        encoder.weight.copy_(torch.tensor([2.0, -3.0]).reshape(2, 1, 1, 1))
        encoder.bias.copy_(torch.tensor([0.5, 1.0]))
        decoder.weight.copy_(torch.tensor([1.5, -0.25]).reshape(1, 2, 1, 1))
    model = joined(encoder, decoder)
    x = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    lens = vl.Lens(model, encoder, decoder, example=x)
    z = np.stack([2 * x[:, 0] + 0.5, -3 * x[:, 0] + 1], axis=1)  # (n, d, h, w)
    effects = vl.latent_effects(lens, x, values=[-1, 2])
    for k, v in enumerate([-1, 2]):
        expected = np.array([1.5, 0.25]) * np.linalg.norm((z - v).reshape(5, 2, 16), axis=2).mean(axis=0)
        np.testing.assert_allclose(effects.effect[:, k], expected, **TOLERANCE)
    scale = z.swapaxes(0, 1).reshape(2, -1).std(axis=1)
    np.testing.assert_allclose(effects.scale, scale, **TOLERANCE)
    shifted = vl.latent_effects(lens, x, mode="shift", values=[2])
    np.testing.assert_allclose(shifted.ces, np.array([1.5, 0.25]) * 2 * scale * 4, **TOLERANCE)
    swapped = vl.latent_effects(lens, x, mode="posterior", seed=1)
    moved = np.linalg.norm((z - z[other_images(5, 1)]).reshape(5, 2, 16), axis=2).mean(axis=0)
    np.testing.assert_allclose(swapped.ces, np.array([1.5, 0.25]) * moved, **TOLERANCE)


@pytest.mark.parametrize("mode", ["range", "shift", "posterior", "prior"])
@pytest.mark.parametrize("over", ["pixels", "latents"])
def test_effects_do_not_depend_on_chunks(linear, same, mode, over):
    wide, narrow = linear(), linear(memory_mb=1e-6)
    assert (wide.lens.engine.rows, narrow.lens.engine.rows) == (64, 1)
    one, other = (vl.latent_effects(m.lens, m.x, mode=mode, over=over, seed=1) for m in (wide, narrow))
    same(one, other)


def test_effects_of_many_images_do_not_depend_on_chunks(linear, same):
    wide, narrow = linear(images=70), linear(images=70, memory_mb=4e-2)
    assert 10 < narrow.lens.engine.rows < 35
    same(*(vl.latent_effects(m.lens, m.x, mode="posterior") for m in (wide, narrow)))


@pytest.mark.parametrize("mode", ["range", "shift", "posterior"])
def test_permuting_latents_permutes_the_results(linear, linear_of, mode):
    model = linear(d=4)
    order = [2, 0, 3, 1]
    other = linear_of(model.a[order], model.w[:, order], model.c[order], model.b, shape=model.shape)
    before = vl.latent_effects(model.lens, model.x, mode=mode)
    after = vl.latent_effects(other, model.x, mode=mode)
    for name in before.data_vars:
        expected = before[name].values[order] if "latent" in before[name].dims else before[name].values
        np.testing.assert_allclose(after[name].values, expected, rtol=1e-6, atol=1e-9, err_msg=name)


def test_flipping_a_latent_changes_nothing(linear, linear_of, same):
    model = linear()
    sign = np.array([1, -1, 1])
    other = linear_of(model.a * sign[:, None], model.w * sign, model.c * sign, model.b, shape=model.shape)
    before, after = (vl.latent_effects(lens, model.x, values=[-2, 2]) for lens in (model.lens, other))
    np.testing.assert_allclose(after.ces, before.ces, rtol=1e-9)
    np.testing.assert_allclose(after.effect[1], before.effect[1, ::-1], rtol=1e-9)


def test_a_decoder_that_ignores_its_code_has_no_effect_and_no_specificity(linear_of):
    lens = linear_of(np.eye(4)[:2], np.zeros((4, 2)), b=[0.5] * 4, shape=(1, 2, 2))
    for over in ("pixels", "latents"):
        effects = vl.latent_effects(lens, torch.rand(5, 1, 2, 2), over=over)
        for name in ("effect", "ces", "ces_posterior", "effect_map", "ces_low", "ces_high"):
            assert (effects[name] == 0).all(), name
        for name in ("specificity", "specificity_normalised", "ces_relative", "specificity_low", "ces_relative_high"):
            assert np.isnan(effects[name]).all(), name


def test_only_the_latent_without_effect_has_no_specificity(linear_of):
    w = np.array([[1.0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0]])
    effects = vl.latent_effects(linear_of(np.eye(4)[:3], w, shape=(1, 2, 2)), torch.rand(5, 1, 2, 2))
    assert np.isnan(effects.specificity).values.tolist() == [False, True, False]
    assert effects.ces[1] == 0
    assert effects.ces_relative[1] == 0


def test_one_image_gives_means_without_intervals(linear):
    model = linear(images=1)
    effects = vl.latent_effects(model.lens, model.x)
    np.testing.assert_allclose(
        effects.ces, np.linalg.norm(model.w, axis=0) * np.abs(np.linspace(-3, 3, 7)[:, None] - model.z[0]).mean(axis=0)
    )
    for name in ("ces_low", "ces_high", "effect_low", "ces_posterior", "ces_relative", "specificity_low"):
        assert np.isnan(effects[name]).all(), name


def test_the_seed_decides_what_is_drawn(linear, same):
    model = linear()
    for mode in ("posterior", "prior"):
        first, again, other = (vl.latent_effects(model.lens, model.x, mode=mode, seed=s) for s in (0, 0, 1))
        same(first, again, rtol=0, atol=0)
        assert not np.allclose(first.ces, other.ces)


def test_a_named_model_is_in_the_record(provenance):
    lens = vl.Lens(vl.build_model("beta-vae", image_shape=(1, 8, 8), latent_dim=2))
    effects = vl.latent_effects(lens, torch.rand(3, 1, 8, 8))
    provenance(effects, model="beta-vae", weights_sha256=lens.describe()["weights_sha256"])
    assert set(effects.active.values.tolist()) <= {True, False}
    assert (effects.kl >= 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "ranges"}, r"unknown mode 'ranges'; known: range, shift, posterior, prior.*; did you mean 'range'\?"),
        (
            {"over": "pixel"},
            r"unknown output of the specificity 'pixel'; known: pixels, values, groups, latents, factors; .*'pixels'",
        ),
        ({"values": [1e39]}, "values of mode 'range' are .*; expected a list of finite numbers below 1e"),
        ({"values": []}, r"values of mode 'range' are \[\]; expected a list of finite numbers"),
        ({"values": 3.0}, r"values of mode 'range' are 3\.0; expected a list"),
        ({"values": [[1.0]]}, "values of mode 'range' are .*; expected a list of finite numbers"),
        ({"values": [[1.0], [1.0, 2.0]]}, "values of mode 'range' are .*; expected a list of finite numbers"),
        ({"values": [float("nan")]}, r"values of mode 'range' are \[nan\]; expected a list of finite"),
        ({"values": ["a"]}, r"values of mode 'range' are \['a'\]; expected a list"),
        ({"values": [True]}, r"values of mode 'range' are \[True\]"),
        ({"mode": "shift", "values": "a"}, "values of mode 'shift' are 'a'; expected a list of finite numbers"),
        ({"mode": "posterior", "values": 0}, "values of mode 'posterior' is 0; expected the number of draws for each"),
        ({"mode": "posterior", "values": [1]}, r"values of mode 'posterior' is \[1\]; expected the number of draws"),
        ({"mode": "prior", "values": 1.5}, r"values of mode 'prior' is 1\.5; expected the number of draws"),
        ({"mode": "prior", "values": True}, "values of mode 'prior' is True; expected the number of draws"),
        ({"seed": -1}, "seed is -1; expected a whole number from 0"),
        ({"seed": -1, "mode": "posterior"}, "seed is -1; expected a whole number from 0"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(linear, arguments, message):
    model = linear()
    with pytest.raises(vl.VaelensError, match=message):
        vl.latent_effects(model.lens, model.x, **arguments)


def test_the_posterior_mode_needs_another_image(linear):
    model = linear(images=1)
    with pytest.raises(vl.VaelensError, match="values of another image are asked for, but 1 image was given"):
        vl.latent_effects(model.lens, model.x, mode="posterior")


def test_images_are_checked(linear):
    model = linear()
    with pytest.raises(vl.VaelensError, match=r"expected \[0, 1\]; for 0\.\.255 use x / 255"):
        vl.latent_effects(model.lens, model.x * 255)
    with pytest.raises(vl.VaelensError, match=r"each, this model takes \(1, 4, 4\)"):
        vl.latent_effects(model.lens, model.x[:, :, :3])


def test_ces_by_mode_is_the_ces_of_each_mode(linear):
    vae = linear(images=5)
    modes = ces_by_mode(vae.lens, vae.x, seed=3)
    assert modes.mode.values.tolist() == ["range", "shift", "posterior", "prior", "conditional"]
    for mode in modes.mode.values:
        effects = vl.latent_effects(vae.lens, vae.x, mode=str(mode), seed=3)
        for name in (measure + end for measure in ("ces", "ces_relative") for end in ("", "_low", "_high")):
            np.testing.assert_array_equal(modes[name].sel(mode=mode), effects[name])


def test_means_over_latents_are_means_of_the_columns(linear):
    model = linear()
    effects = vl.latent_effects(model.lens, model.x)
    active = effects.active.values
    for name in ("ces", "ces_relative", "ces_posterior", "specificity", "specificity_normalised"):
        assert float(effects[f"{name}_mean"]) == pytest.approx(float(effects[name].mean()))
        assert float(effects[f"{name}_active_mean"]) == pytest.approx(float(effects[name].values[active].mean()))
        for label in (f"{name}_mean", f"{name}_active_mean"):
            assert effects[f"{label}_low"] <= effects[label] <= effects[f"{label}_high"]


def test_images_that_change_by_rounding_alone_have_not_changed():
    class Rounds(nn.Module):
        """Adds what kernels for other numbers of rows round otherwise; its second latent does nothing."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def encode(self, x):
            return x.flatten(1)[:, :2]

        def decode(self, z):
            image = 0.5 + 0.1 * nn.functional.pad(z[:, :1].tanh(), (0, 63)).reshape(-1, 1, 8, 8)
            generator = torch.Generator().manual_seed(len(z))
            return image + 6e-8 * torch.randn(image.shape[1:], generator=generator)

    model = Rounds()
    x = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    lens = vl.Lens(model, encode=model.encode, decode=model.decode, example=x[:4], progress=False, execution="hooks")

    found = vl.latent_effects(lens, x, mode="shift", progress=False)

    assert found["specificity_per_image"].values[0] == pytest.approx(1, abs=1e-3)  # one pixel of 64 alone
    assert np.isnan(found["specificity_per_image"].values[1])


def test_what_changes_by_rounding_alone_depends_on_the_type_and_not_on_the_size_of_the_image():
    change = torch.zeros(3, 64 * 64, dtype=torch.float64)
    change[:, 7] = torch.tensor([1e-3, 1e-6, 1e-8])  # one pixel of many
    outputs = torch.ones(3, 64 * 64)

    single = row_specificities(change, rounding=rounding_of(outputs))[:, 1]
    double = row_specificities(change, rounding=rounding_of(outputs.double()))[:, 1]

    assert single.tolist() == [1, 1, 0]
    assert double.tolist() == [1, 1, 1]
