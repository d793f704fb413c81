from collections import namedtuple
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.lens.hook_points import HookPoint, presented, returned

Pair = namedtuple("Pair", "hidden state")
OUTPUT = torch.arange(24.0).reshape(2, 3, 4)  # (n, tokens, channels)


@pytest.mark.parametrize("kind", [None, tuple, list, lambda items: Pair(*items)])
@pytest.mark.parametrize("axis", [1, -1])
def test_what_is_presented_goes_back_as_it_came(kind, axis):
    output = OUTPUT if kind is None else kind([OUTPUT, "state"])
    point = HookPoint(nn.Identity(), 0, False, axis, None if kind is None else 0)
    seen = presented(output, point)
    assert seen.shape == ((2, 4, 3) if axis == -1 else (2, 3, 4))
    assert (seen[1, 2, 0] == OUTPUT[1, 0, 2]) if axis == -1 else (seen[1, 2, 0] == OUTPUT[1, 2, 0])
    back = returned(seen + 1, output, point)
    assert type(back) is type(output)
    values = back if kind is None else back[0]
    assert torch.equal(values, OUTPUT + 1)
    assert values.is_contiguous()
    assert kind is None or back[1] == "state"


def edit_by_hooks(model, module, x, change):
    """What the decoder gives when a plain hook changes a module's output."""
    handle = module.register_forward_hook(lambda _, arguments, output: change(output))
    try:
        with torch.no_grad():
            posterior = model.encode(x)
            return model.decode(posterior[0] if isinstance(posterior, tuple) else posterior)
    finally:
        handle.remove()


def test_a_channel_of_attention_is_one_channel_at_every_token(build):
    model = build("attention")
    projection = model.model["a"].q
    for unit in range(4):

        def change(output, unit=unit):
            output = output.clone()
            output[:, :, unit] = 0.5
            return output

        expected = edit_by_hooks(model, projection, model.x, change)
        run = model.lens.run(model.x, vl.Set("encoder.1", unit, 0.5), capture="encoder.1")
        assert torch.equal(run.reconstruction, expected)
        assert (run.activations["encoder.1"][:, unit] == 0.5).all()


def test_a_unit_of_a_module_that_gives_several_things(build):
    for name, module, site in (("recurrent", "r", "decoder.1"), ("multihead attention", "a", "encoder.1")):
        model = build(name)

        def change(output):
            changed = output[0].clone()
            changed[:, :, 3] = -1.0
            return (changed, *output[1:])

        expected = edit_by_hooks(model, model.model[module], model.x, change)
        assert torch.equal(model.lens.run(model.x, vl.Set(site, 3, -1.0)).reconstruction, expected)


def test_images_may_lie_behind_time(layer):
    model = nn.ModuleDict({"e": nn.Linear(4, 3), "r": nn.LSTM(3, 2), "o": nn.Linear(2, 4)})

    def decode(z):
        steps, _ = model["r"](z.expand(2, *z.shape))  # two steps, of any number of images
        return model["o"](steps[-1]).view(-1, 1, 2, 2)

    lens = vl.Lens(model, lambda x: model["e"](x.flatten(1)), decode, example=torch.rand(2, 1, 2, 2))
    assert {name: site.shape for name, site in lens.sites.items()} == {
        "latent": (3,),
        "decoder.0": (2, 2),  # of 2 units at 2 steps
        "decoder.1": (1, 2, 2),
    }
    base, source = torch.rand(2, 3, 1, 2, 2)
    steps = model["r"](lens.encode(source).expand(2, 3, 3))[0].detach()  # (steps, n, units)
    torch.testing.assert_close(lens.run(source, capture="decoder.0").activations["decoder.0"], steps.permute(1, 2, 0))
    run = lens.run(base, vl.Patch("decoder.0", "all", lens.run(source, capture="decoder.0")))
    torch.testing.assert_close(run.reconstruction, lens.reconstruct(source))


def test_a_transformer_gives_the_same_with_and_without_captures():
    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    model = nn.ModuleDict({"e": nn.Linear(16, 3), "d": nn.Linear(3, 16), "t": block, "o": nn.Linear(4, 4)})
    lens = vl.Lens(
        model,
        lambda x: model["e"](x.flatten(1)),
        lambda z: model["o"](model["t"](model["d"](z).view(-1, 4, 4))).view(-1, 1, 4, 4),
        example=torch.rand(2, 1, 4, 4),
    )
    x = torch.rand(3, 1, 4, 4)
    run = lens.run(x, capture="all")
    shapes = {name: tuple(a.shape[1:]) for name, a in run.activations.items()}
    # d, attention, the two dense layers of the block (the first with its relu and dropout), and o
    assert shapes == {
        "latent": (3,),
        "decoder.0": (16,),
        "decoder.1": (4, 4),
        "decoder.2": (8, 4),
        "decoder.3": (4, 4),
        "decoder.4": (4, 4),
    }
    assert torch.equal(lens.run(x).reconstruction, run.reconstruction)
    assert torch.backends.mha.get_fastpath_enabled()
    with torch.no_grad():
        plain = model.eval()["o"](block(model["d"](run.code).view(-1, 4, 4))).view(-1, 1, 4, 4)
    np.testing.assert_allclose(run.reconstruction, plain, rtol=1e-5, atol=1e-6)


SHORTCUTS = {
    "identity": (nn.Identity(), lambda block, h: block.between(h) + block.main(h)),
    "nonlinearity": (nn.ReLU(), lambda block, h: h + block.main(block.between(h))),
    "in place": (nn.ReLU(inplace=True), lambda block, h: block.main(block.between(h)) + h),
    "dropout": (nn.Dropout(), lambda block, h: h + block.main(block.between(h))),
    "function": (nn.Identity(), lambda block, h: h + block.main(torch.relu(h))),
}


@pytest.mark.parametrize("how", SHORTCUTS)
@pytest.mark.parametrize("execution", ["auto", "hooks"])
def test_a_site_is_what_all_its_readers_are_given_not_what_follows_on_one_way(how, execution):
    between, joined = SHORTCUTS[how]

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.first, self.between = nn.Linear(3, 2), nn.Linear(2, 3), between
            self.main = nn.Linear(3, 3)

        def decode(self, z):
            return joined(self, self.first(z))

    model = Residual()
    lens = vl.Lens(model, model.encoder, model.decode, example=torch.rand(2, 3), execution=execution)
    x = torch.rand(2, 3)
    run = lens.run(x, vl.Ablate("decoder.0", "all"))
    torch.testing.assert_close(run.reconstruction, model.main.bias.detach().expand(2, 3))
    effects = vl.patching_effects(lens, x, x.flip(0), sites="decoder.0", method="zero", progress=False)
    base = lens.run(x).reconstruction
    for unit in range(3):
        changed = lens.run(x, vl.Ablate("decoder.0", unit)).reconstruction
        assert float(effects.effect[unit]) == pytest.approx(float((changed - base).norm(dim=1).mean()), rel=1e-5)


def returned_in_place(model, h):
    return model.nonlinearity(h)


def written_over(model, h):
    model.nonlinearity(h)
    return h


@pytest.mark.parametrize("nonlinearity", [returned_in_place, written_over])
@pytest.mark.parametrize("execution", ["auto", "torch.export", "hooks"])
def test_a_nonlinearity_in_place_belongs_to_its_stage_before_a_skip_connection_too(nonlinearity, execution):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.first, self.nonlinearity = nn.Linear(3, 2), nn.Linear(2, 4), nn.ReLU(inplace=True)
            self.main = nn.Linear(4, 4)

        def decode(self, z, change=lambda h: h):
            h = change(nonlinearity(self, self.first(z)))
            return (h + self.main(h))[:, :3]

    model = Residual()
    lens = vl.Lens(model, model.encoder, model.decode, example=torch.rand(2, 3), execution=execution)
    base, source = torch.randn(2, 6, 3)
    of_source: list[torch.Tensor] = []
    with torch.no_grad():
        code = model.encoder(base)
        model.decode(model.encoder(source), lambda h: of_source.append(h.clone()) or h)
        expected = [
            (model.decode(code, partial(exchanged, of_source[0], unit)) - model.decode(code)).norm(dim=1).mean()
            for unit in range(4)
        ]

    effects = vl.patching_effects(lens, base, source, sites="nonlinearity", progress=False)

    assert lens.sites["nonlinearity"].name == lens.sites["first"].name == "decoder.0"
    torch.testing.assert_close(torch.as_tensor(effects.effect.values), torch.stack(expected).double())


def exchanged(source, unit, activation):
    changed = activation.clone()
    changed[:, unit] = source[:, unit]
    return changed
