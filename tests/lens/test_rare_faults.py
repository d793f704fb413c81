"""What is wrong only rarely: rows that decide for others at large values alone, memory kept, what is set anew."""

import random
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl

WAYS = ["auto", "hooks"]


class Linear(nn.Module):
    """A code that is the first two numbers of x, and twice the code as the decoder's result, so that all is known."""

    def __init__(self):
        super().__init__()
        self.e, self.d, self.scale = nn.Linear(4, 2, bias=False), nn.Linear(2, 4, bias=False), 1.0
        with torch.no_grad():
            self.e.weight.copy_(torch.eye(4)[:2])
            self.d.weight.copy_(2 * torch.eye(4)[:, :2])

    def encode(self, x):
        return self.e(x)

    def decode(self, z):
        return self.scale * self.d(z)


class Largest(Linear):
    def decode(self, z):
        return super().decode(z / z.abs().max().clamp(min=4))


class SoFar(Linear):
    def decode(self, z):
        return super().decode(torch.where(z > 4, z.cummax(0).values, z))


class IntoItsOwn(nn.Module):
    def __init__(self):
        super().__init__()
        self.kept = torch.zeros(64, 2)

    def forward(self, h):
        return torch.clamp(h, min=-1, out=self.kept[: len(h)])


class Keeps(Linear):
    def __init__(self):
        super().__init__()
        self.h, self.a = nn.Linear(2, 2, bias=False), IntoItsOwn()
        with torch.no_grad():
            self.h.weight.copy_(torch.eye(2))

    def decode(self, z):
        return super().decode(self.a(self.h(z)))


def lens_of(model, **options):
    return vl.Lens(model, model.encode, model.decode, example=torch.rand(2, 4), progress=False, **options)


X = torch.tensor([[0.5, 1.0, 0, 0], [0.25, -0.5, 0, 0]])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [Largest, SoFar])
def test_a_row_that_decides_for_others_at_large_values_alone_does_so_in_a_sweep(way, kind):
    lens, model, codes = lens_of(kind(), execution=way), kind(), X[:, :2]
    values = (8.0, 5.0)
    effects = vl.latent_effects(lens, X, values=list(values), progress=False).effect.values
    for latent in range(2):
        for k, value in enumerate(values):
            changed = codes.clone()
            changed[:, latent] = value
            with torch.no_grad():
                change = model.decode(changed) - model.decode(codes)
            assert effects[latent, k] == pytest.approx(float(change.norm(dim=1).mean()), abs=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_a_layer_that_writes_into_memory_of_its_own_has_effects(way):
    model, y = Keeps(), X.flip(0)
    lens = lens_of(model, execution=way)
    effects = vl.patching_effects(lens, X, y, sites="decoder.0", outcome="image", progress=False)
    # Twice the change of a unit, which is 0.25 of the first and 1.5 of the second.
    assert effects.effect.values == pytest.approx([0.5, 3.0])
    assert lens.run(y, capture="decoder.0").activations["decoder.0"].tolist() == y[:, :2].tolist()
    assert not model.a.kept.any()


def test_an_attribute_that_is_set_anew_is_noticed_at_once():
    model = Linear()
    lens = lens_of(model)
    assert lens.execution["decoder"] == "torch.fx"
    assert float(vl.latent_effects(lens, X, values=[1.5], progress=False).effect[0, 0]) == pytest.approx(2.25)
    model.scale = 2.0
    with pytest.raises(vl.VaelensError, match="what it reads has been set anew"):
        lens.engine.cached_run(X, ["decoder.0"])
    scale = [1.0]
    model = Linear()
    lens = vl.Lens(model, model.encode, lambda z: scale[0] * model.decode(z), example=X, progress=False)
    vl.latent_effects(lens, X, values=[1.5], progress=False)
    scale[0] = 2.0
    with pytest.raises(vl.VaelensError, match="what it reads has been set anew"):
        vl.latent_effects(lens, X, values=[1.5], progress=False)


class Draws(Linear):
    def __init__(self, generator, draw):
        super().__init__()
        self.own, self.draw = generator, draw

    def decode(self, z):
        return super().decode(z + self.draw(self.own, len(z)))


@pytest.mark.parametrize(
    ("own", "draw", "state"),
    [
        (
            np.random.default_rng(3),
            lambda own, n: torch.from_numpy(own.normal(size=(n, 2))).float(),
            lambda own: own.bit_generator.state,
        ),
        (
            np.random.RandomState(3),
            lambda own, n: torch.from_numpy(own.normal(size=(n, 2))).float(),
            lambda own: own.get_state()[2:],
        ),
        (random.Random(3), lambda own, n: own.random(), lambda own: own.getstate()),
    ],
    ids=["numpy", "numpy's old", "python"],
)
def test_a_generator_that_the_model_holds_is_put_back_and_its_draws_are_shared(own, draw, state):
    before = state(own)
    lens = lens_of(Draws(own, draw))
    assert "because it draws random numbers" in lens.execution["decoder"]
    effects = vl.latent_effects(lens, X, values=[1.5], progress=False)
    assert float(effects.effect[0, 0]) == pytest.approx(2.25)  # twice 1 and twice 1.25
    assert state(own) == before


class BuildsLate(Linear):
    def __init__(self):
        super().__init__()
        self.recent = OrderedDict(a=1, b=2)
        vars(self.d)["by_name"] = OrderedDict()

    def decode(self, z):
        self.recent.move_to_end("a")
        self.recent["c"] = z
        vars(self.d)["by_name"]["z"] = z
        if not hasattr(self, "late"):
            self.late = nn.Identity()
            self.register_buffer("none", torch.zeros(4), persistent=False)
        return super().decode(self.late(z)) + self.none


@pytest.mark.parametrize("way", WAYS)
def test_what_is_built_late_and_an_ordered_cache_are_as_before(way):
    model = BuildsLate()
    lens = lens_of(model, execution=way)
    assert float(vl.latent_effects(lens, X, values=[1.5], progress=False).effect[0, 0]) == pytest.approx(2.25)
    assert (list(model.recent.items()), list(vars(model.d)["by_name"])) == ([("a", 1), ("b", 2)], [])
    assert (list(model._modules), list(model._buffers), model._non_persistent_buffers_set) == (["e", "d"], [], set())


class Energy(Linear):
    def decode(self, z):
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            (slope,) = torch.autograd.grad((z**2).sum() / 2, z, create_graph=True)
            return super().decode(slope)


@pytest.mark.parametrize("way", WAYS)
def test_a_decoder_that_follows_a_gradient_has_effects(way):
    effects = vl.latent_effects(lens_of(Energy(), execution=way), X, values=[1.5], progress=False)
    assert float(effects.effect[0, 0]) == pytest.approx(2.25)
