"""Steps that are PyTorch's own need no more than their modes and a random state; all others are watched in full."""

import operator

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import vaelens as vl
from vaelens.lens.incremental.own_steps import own_modules
from vaelens.lens.incremental.steps import Step


class Counting(nn.Module):
    """A layer that keeps count on itself."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return 2 * x


def tanh_of(x):
    return torch.tanh(x)


@pytest.mark.parametrize("call", [torch.relu, functional.silu, torch.ops.aten.relu.default, operator.getitem])
def test_functions_of_pytorch_and_python_are(call):
    assert own_modules([Step("x"), Step("f", call)]) == ()


@pytest.mark.parametrize("module", [Counting(), nn.MultiheadAttention(4, 2)], ids=lambda module: type(module).__name__)
def test_other_modules_are_not(module):
    assert own_modules([Step("x"), Step("module", module, module=module)]) is None


def test_a_layer_whose_forward_was_replaced_is_not_and_keeps_what_it_had():
    layer = nn.Linear(6, 6)
    plain, layer.calls = layer.forward, []

    def counted(x):
        layer.calls.append(len(x))
        layer.weight = nn.Parameter(layer.weight.detach().clone())  # as offloading brings weights in
        return plain(x)

    layer.forward = counted
    weight = layer.weight
    swept(layer)
    assert layer.calls == []
    assert layer.weight is weight


def test_functions_of_the_user_are_not():
    assert own_modules([Step("x"), Step("tanh", tanh_of)]) is None


def swept(layer):
    """What a sweep gives of a model in training mode with a layer in its encoder; the model is checked to be left."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.Dropout(), layer, nn.BatchNorm1d(6), nn.Linear(6, 2))
    decoder = nn.Sequential(nn.Linear(2, 16), nn.Sigmoid(), nn.Unflatten(1, (1, 4, 4)))
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder}).train()
    images = torch.rand(8, 1, 4, 4)
    lens = vl.Lens(model, encode=encoder, decode=decoder, example=images[:2], progress=False)
    assert lens.execution["encoder"] == "torch.fx"
    before = {name: value.clone() for name, value in model.state_dict().items()}
    drawn, numpy = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002
    effects = vl.patching_effects(lens, images[:4], images[4:], progress=False)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), drawn)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy[1])  # noqa: NPY002
    return effects


def test_a_model_in_training_mode_is_left_so_whoever_wrote_its_layers():
    own, counting = swept(nn.Identity()), swept(counted := Counting())
    assert counted.calls == 0
    assert set(own.site.values) == set(counting.site.values)
