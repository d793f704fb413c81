"""Weights that are elsewhere, packed, not made yet, or beside other things in a model's state."""

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.lens.weights import weights_hash

X = torch.rand(5, 4, generator=torch.Generator().manual_seed(0))


class Model(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.e, self.d = nn.Linear(4, 2, bias=False), layer
        with torch.no_grad():
            self.e.weight.copy_(torch.eye(4)[:2])

    def encode(self, x):
        return self.e(x)

    def decode(self, z):
        return self.d(z)


class WithExtraState(nn.Linear):
    version = 1

    def get_extra_state(self):
        return {"version": self.version, "table": [torch.ones(2), None], "kept": object()}

    def set_extra_state(self, state):
        self.version = state["version"]


def linear():
    torch.manual_seed(0)
    return nn.Linear(2, 4)


def effects(model):
    lens = vl.Lens(model, model.encode, model.decode, example=X[:2], progress=False)
    return vl.latent_effects(lens, X, values=[2.0], progress=False)


def test_weights_that_a_layer_brings_in_for_each_call_are_followed_and_away_again_afterwards():
    layer = linear()
    expected = effects(Model(linear())).effect
    plain, weights = layer.forward, layer.weight.detach().clone()

    def bringing(input):
        layer.weight = nn.Parameter(weights, requires_grad=False)
        try:
            return plain(input)
        finally:
            layer.weight = nn.Parameter(weights.to("meta"), requires_grad=False)

    layer.forward = bringing
    away = layer.weight = nn.Parameter(weights.to("meta"), requires_grad=False)
    torch.testing.assert_close(effects(Model(layer)).effect.values, expected.values)
    assert layer.weight is away


def test_a_state_holds_what_it_likes():
    layer = WithExtraState(2, 4)
    model = Model(layer)
    before = effects(model).weights_sha256
    assert effects(Model(layer)).weights_sha256 == before
    layer.version = 2
    assert weights_hash(model) != before


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated", "ignore:torch.quantize_per_tensor")
def test_packed_weights_are_hashed():
    packed = torch.ao.quantization.quantize_dynamic(nn.Sequential(linear()), {nn.Linear}, dtype=torch.qint8)
    model = Model(packed)
    before = effects(model).weights_sha256
    assert effects(model).weights_sha256 == before
    model.d = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(2, 4)), {nn.Linear}, dtype=torch.qint8)
    assert weights_hash(model) != before


def test_a_sparse_buffer_is_hashed():
    model = Model(linear())
    model.register_buffer("graph", torch.eye(3).to_sparse())
    before = weights_hash(model)
    model.graph = (2 * torch.eye(3)).to_sparse()
    assert weights_hash(model) != before


def test_a_lazy_layer_that_has_not_run_is_told():
    with pytest.raises(vl.VaelensError, match=r"d\.weight of this Model is made when the model first runs"):
        effects(Model(nn.LazyLinear(4)))


def test_weights_that_are_all_elsewhere_are_told():
    with pytest.raises(vl.VaelensError, match="on the meta device and have no values"):
        effects(Model(linear()).to("meta"))


def test_a_sparse_buffer_that_is_cast_in_a_forward_has_effects():
    """As the adjacency of a graph is; with the identity it is a linear encoder."""

    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.code, self.image = nn.Linear(16, 3), nn.Linear(3, 16)
            self.register_buffer("edges", torch.eye(16, dtype=torch.float64).to_sparse())

        def encode(self, x):
            return self.code(torch.sparse.mm(self.edges.float(), x.flatten(1).T).T)

        def decode(self, z):
            return self.image(z).view(-1, 1, 4, 4)

    torch.manual_seed(0)
    model, (x, y) = Graph(), torch.rand(2, 5, 1, 4, 4)
    lens = vl.Lens(model, model.encode, model.decode, example=x)

    effects = vl.patching_effects(lens, x, y, sites="latent", progress=False).effect

    with torch.no_grad():
        change = model.code(y.flatten(1)) - model.code(x.flatten(1))
        expected = change.abs().mean(0) * model.image.weight.norm(dim=0)
    np.testing.assert_allclose(effects, expected, rtol=1e-4)
