"""A lens that is kept while its model changes, which computes with the model as it is or says that it cannot."""

import copy
import math
import os
import pickle
import threading

import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.lens.settings import Execution

WAYS = ["auto", "torch.export", "hooks"]
OTHER_VALUES = "gives other values than when its sites were found"


class Model(nn.Module):
    """A convolution that doubles, and a code that is the mean of each channel; decoded, each pixel is its sum."""

    def __init__(self):
        super().__init__()
        self.conv, self.act, self.spread = nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Linear(2, 16)
        self.norm, self.scale, self.least = nn.BatchNorm1d(16), 1.0, -5.0
        with torch.no_grad():
            for weights in (*self.conv.parameters(), *self.spread.parameters()):
                weights.zero_()
            self.conv.weight[:, :, 1, 1:] = torch.tensor([[2.0, 1.0]])
            self.spread.weight.fill_(1)

    def encode(self, x):
        mean = self.act(self.conv(x)).mean((2, 3))
        return mean, (mean - 9).clamp(min=self.least)

    def decode(self, z):
        return (self.scale * self.norm(self.spread(z))).view(-1, 1, 4, 4)


@pytest.fixture
def model():
    return Model().eval()


def lens_of(model, way: Execution = "auto"):
    return vl.Lens(model, model.encode, model.decode, torch.rand(2, 1, 4, 4), execution=way, progress=False)


X = torch.arange(96.0).reshape(6, 1, 4, 4) / 96


def effect(lens):
    return vl.latent_effects(lens, X, values=[1.5], progress=False).effect.values


def both_parts(lens):
    return vl.patching_effects(lens, X, X.flip(0), sites=["encoder.0"], outcome="image", progress=False)


@pytest.mark.parametrize("way", WAYS)
def test_a_layer_is_what_it_has_been_set_to(model, way, monkeypatch):
    def circular():
        model.conv.padding_mode, model.conv._reversed_padding_repeated_twice = "circular", [1, 1, 1, 1]

    def strided():
        model.conv.padding_mode, model.conv.stride = "zeros", (2, 2)

    def other_forward():
        model.conv.stride = (1, 1)
        forward = nn.Conv2d.forward
        monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: 3 * forward(self, x))

    lens = lens_of(model, way)
    lens.engine.cached_run(X)
    for change in (circular, strided, other_forward):
        change()
        if way == "hooks":
            with torch.no_grad():
                torch.testing.assert_close(lens.engine.cached_run(X).code, model.encode(X)[0])
        else:
            with pytest.raises(vl.VaelensError, match=OTHER_VALUES):
                both_parts(lens)
            new = lens_of(model, way)
            with torch.no_grad():
                torch.testing.assert_close(new.engine.cached_run(X).code, model.encode(X)[0])


@pytest.mark.parametrize("scale", [1.0002, math.nan, math.inf])
def test_a_small_change_and_one_to_no_number_are_noticed(model, scale):
    lens = lens_of(model)
    effect(lens)
    model.scale = scale
    with pytest.raises(vl.VaelensError, match=OTHER_VALUES):
        effect(lens)


def test_a_change_of_the_variance_alone_is_noticed(model):
    lens = lens_of(model)
    model.least = -8.5
    with pytest.raises(vl.VaelensError, match=OTHER_VALUES):
        both_parts(lens)


def drawing(module, given, output):
    return output + torch.randn_like(output)


def mixing(module, given, output):
    return output - output.mean(0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("hook", "sentence"), [(drawing, "now draws random numbers"), (mixing, "now depends on the others of its batch")]
)
def test_a_hook_by_which_rows_are_no_longer_independent_is_noticed_and_a_new_lens_has_it(model, way, hook, sentence):
    lens = lens_of(model, way)
    before = effect(lens)
    handle = model.spread.register_forward_hook(hook)
    with pytest.raises(vl.VaelensError, match=sentence):
        effect(lens)
    new = effect(lens_of(model, way))
    # Base and counterfactual share the noise; the mean takes away a change that is the same for all images.
    if hook is drawing:
        assert new == pytest.approx(before, rel=1e-5)
    else:
        assert (new < before).all()
    handle.remove()
    assert effect(lens) == pytest.approx(before)


@pytest.mark.parametrize("way", WAYS)
def test_normalisation_that_has_lost_its_statistics_is_noticed(model, way):
    lens = lens_of(model, way)
    effect(lens)
    model.norm.running_mean = model.norm.running_var = None
    with pytest.raises(vl.VaelensError, match=OTHER_VALUES if way == "torch.export" else "depends on the others"):
        effect(lens)


@pytest.mark.parametrize("way", WAYS)
def test_weights_that_change_while_a_sweep_runs_are_told(model, way):
    lens = lens_of(model, way)

    def step(*progress):  # as training in another thread may at any moment
        with torch.no_grad():
            model.spread.weight.mul_(2)

    with pytest.raises(vl.VaelensError, match="weights of Model were changed while a sweep ran"):
        vl.latent_effects(lens, X, values=[1.5], progress=step)
    assert effect(lens) == pytest.approx(effect(lens_of(model)), rel=1e-5)


def test_draws_of_another_thread_are_not_the_models(model):
    lens, expected, ends = lens_of(model), effect(lens_of(model)), threading.Event()

    def draws():
        while not ends.is_set():
            torch.rand(3)

    thread = threading.Thread(target=draws)
    thread.start()
    try:
        assert all(effect(lens) == pytest.approx(expected) for _ in range(5))
    finally:
        ends.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_waits_for_a_run_in_another_thread(model):
    lens, inside, goes_on = lens_of(model, "hooks"), threading.Event(), threading.Event()

    def wait(*call):
        inside.set()
        goes_on.wait(10)

    handle = model.spread.register_forward_hook(wait)
    thread = threading.Thread(target=lens.decode, args=(torch.ones(1, 2),))
    thread.start()
    inside.wait(10)
    threading.Timer(0.2, goes_on.set).start()
    child = os.fork()
    if child == 0:  # no run is in its middle here, and none waits for a thread that is not
        handle.remove()
        os._exit(0 if not lens.decode(torch.ones(1, 2)).isnan().any() and not model._forward_hooks else 1)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_a_lens_is_not_copied_with_its_model(model, copied):
    lens = lens_of(model)
    with pytest.raises(vl.VaelensError, match="make a new Lens"):
        copied(lens)
    assert copy.copy(lens).module is model


def test_another_method_in_the_place_of_a_vaes_own_is_what_runs():
    vae = vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=3).eval()
    lens, x, decode = vl.Lens(vae), torch.rand(3, 1, 32, 32), vae.decode
    before = lens.reconstruct(x)
    vae.decode = lambda z: decode(z) / 2
    torch.testing.assert_close(lens.reconstruct(x), before / 2)
    with pytest.raises(vl.VaelensError, match=OTHER_VALUES):
        lens.engine.cached_run(x, ["latent"])
    torch.testing.assert_close(vl.Lens(vae).engine.cached_run(x, ["latent"]).image, before / 2)


def test_whatever_searches_and_scores_begins_by_comparing(model):
    factors = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    images = 0.1 * torch.rand(16, 1, 4, 4) + (factors[:, :1, None, None] + factors[:, 1:, None, None] / 4) / 5
    ds, scale = vl.ArrayDataset(images, factors, names=["u", "v"]), [1.0]
    lens = vl.Lens(model, lambda x: scale[0] * model.encode(x)[0], model.decode, images[:2], progress=False)
    for function in (
        lambda: vl.discover_circuit(lens, ds, "u", n=8, progress=False),
        lambda: vl.unit_selectivity(lens, ds, n=16, progress=False),
        lambda: vl.circuit_stability(lens, ds, "u", n=8, progress=False),
        lambda: vl.circuit_stability([lens, lens], ds, "u", n=8, progress=False),
    ):
        scale[0] = 1.0
        lens.engine.cached_run(images)  # after which they are trusted for a while
        scale[0] = 2.0
        with pytest.raises(vl.VaelensError, match=OTHER_VALUES):
            function()


def test_a_site_that_has_grown_is_told(model):
    lens = lens_of(model, "hooks")
    model.conv, model.spread = nn.Conv2d(1, 3, 3, padding=1), nn.Linear(3, 16)
    with pytest.raises(vl.VaelensError, match="latent has 3 units now, and had 2 when the sites were found"):
        effect(lens)
    with pytest.raises(vl.VaelensError, match=r"encoder\.0 has 3 units now, and had 2"):
        both_parts(lens)
    assert effect(lens_of(model)).shape == (3, 1)


class Merging(Model):
    """Adds a low-rank change to its weights in eval mode, and takes it away in train mode, as LoRA's layers do."""

    def __init__(self):
        super().__init__()
        self.merged, self.low_rank = False, torch.full((16, 2), 0.5)

    def train(self, mode=True):
        if mode == self.merged:
            self.spread.weight.data += (-1 if mode else 1) * self.low_rank
            self.merged = not mode
        return super().train(mode)


@pytest.mark.parametrize("way", WAYS)
def test_weights_that_are_merged_in_eval_mode_are_apart_again_afterwards(way):
    model = Merging().eval()
    lens, code = lens_of(model, way), model.encode(X)[0].detach()
    # Each of 16 pixels changes by the latent's change times the weight, which is 1 and 0.5 in eval mode.
    expected = 4 * 1.5 * (1.5 - code).abs().mean(0)[:, None].numpy()
    assert effect(lens) == pytest.approx(expected, rel=1e-4)
    model.train()
    loss = model.spread(code.clone().requires_grad_()).sum()
    for _ in range(2):
        assert effect(lens) == pytest.approx(expected, rel=1e-4)
        assert (model.spread.weight == 1).all()
        assert model.training
        assert not model.merged
    loss.backward()  # whose graph still holds the weights as they were
    assert effect(lens_of(model, way)) == pytest.approx(expected, rel=1e-4)
    assert (model.spread.weight == 1).all()


def test_a_lens_of_a_model_with_a_replaced_module_can_be_printed(model):
    lens = lens_of(model)
    model.spread = nn.Linear(2, 16)
    assert "spread of Model is another module than when its sites were found" in lens.execution["decoder"]
    assert "spread of Model is another module" in repr(lens)


@pytest.mark.parametrize("execution", ["auto", "hooks"])
def test_what_depends_on_a_state_that_every_run_begins_with_is_no_mixing(execution):
    """A decoder that counts its calls, and darkens with them, makes of each row the same beside others as alone."""

    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.code, self.wide, self.image, self.calls = nn.Linear(16, 3), nn.Linear(3, 8), nn.Linear(8, 16), 0

        def encode(self, x):
            return self.code(x.flatten(1))

        def decode(self, z):
            self.calls += 1
            return (self.image(self.wide(z).relu()).sigmoid() * (1 - 0.2 * self.calls)).view(-1, 1, 4, 4)

    torch.manual_seed(0)
    model, (x, y) = Counting(), torch.rand(2, 6, 1, 4, 4)
    lens = vl.Lens(model, model.encode, model.decode, example=x, execution=execution)
    effects = vl.patching_effects(lens, x, y, sites="decoder.0", progress=False)

    with torch.no_grad():
        before, after = (model.wide(model.code(images.flatten(1))).relu() for images in (x, y))
        base = model.image(before).sigmoid() * 0.8
        for unit in range(8):
            changed = before.clone()
            changed[:, unit] = after[:, unit]
            expected = (model.image(changed).sigmoid() * 0.8 - base).norm(dim=1).mean()
            assert float(effects.effect[unit]) == pytest.approx(float(expected), rel=1e-4, abs=1e-7)
    assert model.calls == 0
