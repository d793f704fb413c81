"""Conditional models: what encoder and decoder are given besides is held fixed, and every row keeps its own."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import vaelens as vl
from vaelens.effects.ces_by_mode import ces_by_mode
from vaelens.observation import Observation

LABELS, LATENTS = 10, 3


class Conditional(nn.Module):
    """A CVAE of 8×8 images: encoder and decoder see the label one-hot."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(64 + LABELS, 16), nn.ReLU(), nn.Linear(16, 2 * LATENTS))
        self.decoder = nn.Sequential(nn.Linear(LATENTS + LABELS, 16), nn.ReLU(), nn.Linear(16, 64), nn.Sigmoid())

    def encode(self, x, label):
        hot = functional.one_hot(label, LABELS).to(x)
        return self.encoder(torch.cat([x.flatten(1), hot], dim=1)).chunk(2, dim=1)

    def decode(self, z, label):
        hot = functional.one_hot(label, LABELS).to(z)
        return self.decoder(torch.cat([z, hot], dim=1)).reshape(-1, 1, 8, 8)


@pytest.fixture(scope="module")
def digits():
    """The model, a lens on it, and 70 digits with their labels: more than go through at once."""
    model = Conditional().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    x, f = vl.load_dataset("digits").sample(70, seed=0)
    x = functional.avg_pool2d(functional.interpolate(x, size=(16, 16)), 2)
    label = f[:, 0]
    lens = vl.Lens(model, model.encode, model.decode, example=x[:3], context=label[:3])
    return SimpleNamespace(model=model, lens=lens, x=x, label=label)


def moved(digits, change, rows=slice(None)):
    """‖D(z̃, c) − D(z, c)‖₂ of each image, by hand."""
    with torch.no_grad():
        label = digits.label[rows]
        code = digits.model.encode(digits.x[rows], label)[0]
        after = digits.model.decode(change(code.clone()), label) - digits.model.decode(code, label)
        return after.flatten(1).norm(dim=1)


def setting(latent, value):
    def change(code):
        code[:, latent] = value
        return code

    return change


def test_runs_equal_the_models_own(digits):
    with torch.no_grad():
        code, logvar = digits.model.encode(digits.x, digits.label)
        image = digits.model.decode(code, digits.label)
    close = {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(digits.lens.posterior(digits.x, digits.label)[1], logvar, **close)
    torch.testing.assert_close(digits.lens.reconstruct(digits.x, digits.label), image, **close)
    torch.testing.assert_close(digits.lens.decode(code, digits.label), image, **close)
    run = digits.lens.run(digits.x, vl.Set("latent", 1, 2.0), context=digits.label)
    expected = digits.model.decode(setting(1, 2.0)(code.clone()), digits.label)
    torch.testing.assert_close(run.reconstruction, expected.detach(), **close)
    assert "torch.fx" in digits.lens.execution["decoder"]


def test_strength_equals_a_loop_in_any_order_of_the_images(digits):
    by_hand = [
        np.mean([float(moved(digits, setting(latent, value)).mean()) for value in np.linspace(-3, 3, 7)])
        for latent in range(LATENTS)
    ]
    effects = vl.latent_effects(digits.lens, digits.x, context=digits.label, progress=False)
    np.testing.assert_allclose(effects.ces, by_hand, rtol=1e-5)
    np.testing.assert_allclose(effects.effect.sel(value=2.0)[1], moved(digits, setting(1, 2.0)).mean(), rtol=1e-5)
    # With a tolerance images go in a random order, each in its own context: all of them are needed here.
    with pytest.warns(vl.VaelensWarning, match="tolerance"):
        ordered = vl.latent_effects(digits.lens, digits.x, tolerance=1e-6, context=digits.label, progress=False)
    np.testing.assert_allclose(ordered.ces, by_hand, rtol=1e-5)
    strength = vl.causal_effect_strength(digits.lens, digits.x, context=digits.label, progress=False)
    np.testing.assert_allclose(strength, by_hand, rtol=1e-5)
    modes = ces_by_mode(digits.lens, digits.x, context=digits.label, progress=False)
    np.testing.assert_allclose(modes.ces.sel(mode="range"), by_hand, rtol=1e-5)


def test_all_ways_of_running_agree(digits):
    model, x, label = digits.model, digits.x, digits.label
    hooks = vl.Lens(model, model.encode, model.decode, example=(x[:3], label[:3]), context=True, execution="hooks")
    exported = vl.Lens(model, model.encode, model.decode, example=x[:3], context=label[:3], execution="torch.export")
    for measure in (
        lambda lens: vl.latent_effects(lens, x, over="latents", context=label, progress=False),
        lambda lens: vl.decoder_responses(lens, x, context=label, progress=False),
        lambda lens: vl.patching_effects(lens, x[:35], x[35:], context=label[:35], progress=False),
        lambda lens: vl.patching_effects(lens, x, method="resample", outcome="image", context=label, progress=False),
    ):
        expected = measure(digits.lens)
        for other in (hooks, exported):
            result = measure(other)
            for name, values in expected.data_vars.items():
                np.testing.assert_allclose(
                    result[name].values.astype(float), values.values.astype(float), atol=2e-5, err_msg=name
                )


def test_a_source_is_run_in_the_context_of_its_base(digits):
    base, source = digits.x[:35], digits.x[35:]
    effects = vl.patching_effects(
        digits.lens, base, source, sites=["encoder.0", "latent"], context=digits.label[:35], progress=False
    )
    with torch.no_grad():
        target = digits.model.encode(source, digits.label[:35])[0]
    for latent in range(LATENTS):
        by_hand = moved(digits, setting(latent, target[:, latent]), slice(35)).mean()
        value = float(effects.effect[effects.site == "latent"][latent])
        assert value == pytest.approx(float(by_hand), rel=1e-5)
    share = vl.mediation_effects(digits.lens, base, source, "latent", units="all", context=digits.label[:35])
    assert float(share.indirect[0]) == pytest.approx(1, abs=1e-5)  # the code is all that the source hands on


def test_a_dataset_carries_the_context_of_its_images(digits):
    ds = vl.ArrayDataset(digits.x, digits.label, names=["digit"], context=digits.label)
    swept = vl.manipulation_effects(digits.lens, ds, {"brightness": 0.3}, n=70, progress=False)
    with torch.no_grad():
        codes = [digits.model.encode(x, digits.label)[0] for x in (digits.x, (digits.x + 0.3).clamp(0, 1))]
        before, after = (digits.model.decode(code, digits.label) for code in codes)
    assert float(swept.output_effect[0]) == pytest.approx(
        float((after - before).flatten(1).norm(dim=1).mean()), rel=1e-5
    )
    pairs = vl.factor_effects(digits.lens, ds, n=20, progress=False)
    drawn = ds.pairs("digit", 20, seed=0)
    with torch.no_grad():
        label = torch.as_tensor(drawn.context)
        images = [digits.model.decode(digits.model.encode(x, label)[0], label) for x in (drawn.x, drawn.x2)]
    by_hand = (images[1] - images[0]).flatten(1).norm(dim=1).mean()
    assert float(pairs.output_effect[0]) == pytest.approx(float(by_hand), rel=1e-5)


def test_a_context_of_several_arrays_goes_to_the_parts_by_name():
    torch.manual_seed(1)
    model = nn.ModuleDict({"enc": nn.Linear(4, 2), "dec": nn.Linear(2, 4), "batch": nn.Embedding(3, 4)}).eval()

    def encode(x, given):
        assert set(given) == {"batch", "library"}
        return model["enc"](x / given["library"][:, None])

    def decode(z, given):
        return (model["dec"](z) + model["batch"](given["batch"])) * given["library"][:, None]

    x, batch = torch.rand(9, 4), torch.arange(9) % 3
    context = {"library": torch.rand(9) + 1, "batch": batch.numpy()}
    lens = vl.Lens(model, encode, decode, example=x, context=context)
    tensors = {"library": context["library"], "batch": batch}
    with torch.no_grad():
        torch.testing.assert_close(lens.reconstruct(x, context), decode(encode(x, tensors), tensors))
    # do(context): the same codes in another batch
    other = {**context, "batch": (batch + 1) % 3}
    with torch.no_grad():
        expected = decode(encode(x, tensors), {**tensors, "batch": other["batch"]})
    torch.testing.assert_close(lens.decode(lens.encode(x, context), other), expected)
    for wrong, message in (
        (None, r"this model takes a context besides; give context=, library: floats of shape \(n,\), batch: whole"),
        (batch, "unknown context 'an array without a name'; known: library, batch"),
        ({"library": context["library"]}, r"context 'batch' is missing; give it too, \(n,\)"),
        ({**context, "batsch": batch}, "unknown context 'batsch'; known: library, batch; did you mean 'batch'"),
        ({**context, "batch": batch[:4]}, "context 'batch' has 4 rows for 9 observations; give one row for each"),
        ({**context, "batch": batch.float()}, "context 'batch' has type torch.float32, expected whole numbers"),
        ({**context, "batch": batch[:, None]}, r"context 'batch' has shape \(9, 1\), expected \(n,\)"),
        ({**context, "library": torch.full((9,), torch.nan)}, "context 'library' contains NaN or infinite values"),
        ({**context, "batch": batch + 2**30 + 1}, "context 'batch' has numbers too large for the model's type"),
    ):
        with pytest.raises(vl.VaelensError, match=message):
            lens.encode(x, wrong)


def test_positions_of_a_latent_and_its_context_stay_apart():
    torch.manual_seed(2)
    model = nn.ModuleDict({"enc": nn.Conv2d(2, 2, 2, 2), "dec": nn.ConvTranspose2d(3, 1, 2, 2)}).eval()

    def plane(values, label):
        level = label.to(values)[:, None, None, None].expand(-1, 1, *values.shape[2:])
        return torch.cat([values, level], dim=1)

    def encode(x, label):
        return model["enc"](plane(x, label))

    def decode(z, label):
        return torch.sigmoid(model["dec"](plane(z, label)))

    x, label = torch.rand(6, 1, 4, 4), torch.arange(6) % 2
    lens = vl.Lens(model, encode, decode, example=x, context=label)
    effects = vl.latent_effects(lens, x, values=[1.0], positions=(0, 1), context=label, progress=False)
    with torch.no_grad():
        code = encode(x, label)
        after = code.clone()
        after[:, 0, 0, 1] = 1.0
        by_hand = (decode(after, label) - decode(code, label)).flatten(1).norm(dim=1).mean()
    assert float(effects.ces[0]) == pytest.approx(float(by_hand), rel=1e-5)


def test_a_lens_without_context_refuses_one_and_the_other_way_round(digits):
    plain = vl.Lens(vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2))
    with pytest.raises(vl.VaelensError, match="this vae takes no context; leave context out, or make the lens with"):
        vl.latent_effects(plain, digits.x, context=digits.label)
    with pytest.raises(vl.VaelensError, match=r"give context=, whole numbers of shape \(n,\)"):
        vl.latent_effects(digits.lens, digits.x)
    with pytest.raises(vl.VaelensError, match="what they take besides is given to the lens as context="):
        vl.Lens(digits.model, digits.model.encode, digits.model.decode, example=digits.x[:2])
    with pytest.raises(vl.VaelensError, match=r"context=True takes the example as a pair, example=\(x, c\)"):
        vl.Lens(digits.model, digits.model.encode, digits.model.decode, example=digits.x[:2], context=True)
    ds = vl.ArrayDataset(digits.x)
    with pytest.raises(vl.VaelensError, match="this model takes a context besides"):
        vl.manipulation_effects(digits.lens, ds, "noise", n=10, progress=False)


def test_vectors_with_their_context_stop_within_a_range():
    torch.manual_seed(3)
    model = nn.ModuleDict({"enc": nn.Linear(3, 2), "dec": nn.Linear(2, 3)}).eval()
    x, level = torch.rand(80, 3), torch.rand(80, 1)
    lens = vl.Lens(
        model,
        lambda x, c: model["enc"](x) + c,
        lambda z, c: torch.sigmoid(model["dec"](z - c)),
        example=x,
        context=level,
        observation=Observation.vector(3, 0, 1),
    )
    effects = vl.latent_effects(lens, x, mode="shift", tolerance=0.9, context=level, progress=False)
    assert effects.attrs["images"] < 80
    every = vl.latent_effects(lens, x, mode="shift", context=level, progress=False)
    assert (effects.ces_low <= every.ces).all()
    assert (every.ces <= effects.ces_high).all()
