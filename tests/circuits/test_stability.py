"""Stability over resamples of pairs, and transfer between factors, on planted models."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.circuits.stability import mean_overlap


def test_overlaps_by_hand():
    masks = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]], dtype=bool)
    assert mean_overlap(masks) == pytest.approx((2 / 4 + 0 + 2 / 4) / 3)
    assert mean_overlap(np.zeros((2, 3), dtype=bool)) == 1


def test_a_planted_circuit_is_found_on_every_resample():
    planted = vl.planted_model("rotated", 2, seed=2)
    stability = vl.circuit_stability(planted.lens, planted.dataset, "second", resamples=3, progress=False)
    assert stability.overlap == 1
    assert 0 < stability.overlap_chance < 0.6
    assert all(units == planted.truth.circuits["second"] for units in stability.units)
    planted_units = {(site, unit) for site, units in planted.truth.circuits["second"].items() for unit in units}
    nodes = zip(stability.frequency.site.values, stability.frequency["index"].values, strict=True)
    assert {node for node, share in zip(nodes, stability.frequency.values, strict=True) if share == 1} == planted_units


def test_chance_overlap_by_hand():
    """One unit of each of the sites: two random ones agree with probability 1/6 or 1/5 at each site."""
    planted = vl.planted_model("chain", 2, seed=1)
    stability = vl.circuit_stability(planted.lens, planted.dataset, "first", resamples=4, progress=False)
    sizes = [(len(units), planted.lens.sites[site].units) for site, units in stability.units[0].items()]
    shared = sum(chosen * chosen / units for chosen, units in sizes)
    total = 2 * sum(chosen for chosen, _ in sizes)
    assert stability.overlap_chance == pytest.approx(shared / (total - shared), abs=0.06)


def test_circuits_carry_their_own_factors_and_what_they_share():
    planted = vl.planted_model("aligned", 2, seed=3)
    circuits = [
        vl.discover_circuit(planted.lens, planted.dataset, name, progress=False) for name in ("first", "second")
    ]
    transfer = vl.circuit_transfer(planted.lens, planted.dataset, circuits, progress=False)
    np.testing.assert_allclose(transfer.faithfulness, np.eye(2), atol=1e-5)
    rotated = vl.planted_model("rotated", 2, seed=3)
    circuit = vl.discover_circuit(rotated.lens, rotated.dataset, "first", progress=False)
    assert vl.circuit_transfer(rotated.lens, rotated.dataset, [circuit], progress=False).faithfulness.item() == (
        pytest.approx(1, abs=1e-5)
    )
    assert transfer.circuit.values.tolist() == transfer.factor.values.tolist() == ["first", "second"]


def test_bad_input_is_refused():
    planted, other = vl.planted_model("chain", 2), vl.planted_model("aligned", 3)
    circuit = vl.discover_circuit(planted.lens, planted.dataset, "first", n=8, progress=False)
    with pytest.raises(vl.VaelensError, match="circuits is empty"):
        vl.circuit_transfer(planted.lens, planted.dataset, [])
    with pytest.raises(vl.VaelensError, match="circuits holds a str"):
        vl.circuit_transfer(planted.lens, planted.dataset, ["first"])
    with pytest.raises(vl.VaelensError, match="give the lens that it was found with"):
        vl.circuit_transfer(other.lens, other.dataset, [circuit])
    with pytest.raises(vl.VaelensError, match="resamples is 1"):
        vl.circuit_stability(planted.lens, planted.dataset, "first", resamples=1)
    with pytest.raises(vl.VaelensError, match="unknown scorer 'fast'"):
        vl.circuit_stability(planted.lens, planted.dataset, "first", scorer="fast")


class Dense(nn.Module):
    """A random model, whose hidden units and latents stand in an order of their own."""

    def __init__(self, size, order):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        sizes = [size, 6, 4, 6, size]
        self.layers = nn.ModuleList(nn.Linear(*ends) for ends in pairwise(sizes))
        permutations = [torch.randperm(n, generator=order) if order is not None else torch.arange(n) for n in sizes]
        permutations[0] = permutations[-1] = torch.arange(size)
        for k, layer in enumerate(self.layers):
            weight = torch.randn(layer.weight.shape, generator=generator) / layer.in_features**0.5
            layer.weight.data = weight[permutations[k + 1]][:, permutations[k]]
            layer.bias.data.zero_()

    def encode(self, x):
        return self.layers[1](torch.relu(self.layers[0](x.flatten(1))))

    def decode(self, z):
        return torch.sigmoid(self.layers[3](torch.relu(self.layers[2](z))))


def test_models_that_differ_in_the_order_of_their_units_have_one_circuit():
    ds = vl.planted_model("rotated", 2, seed=0).dataset
    shape = ds.image_shape
    lenses = []
    for seed in (None, 1, 2):
        order = None if seed is None else torch.Generator().manual_seed(seed)
        model = Dense(int(np.prod(shape)), order)
        decode = lambda z, model=model: model.decode(z).view(-1, *shape)  # noqa: E731
        lenses.append(vl.Lens(model, model.encode, decode, example=ds.sample(2, seed=0)[0]))
    stability = vl.circuit_stability(lenses, ds, "second", n=16, progress=False)
    assert len({tuple(units["encoder.0"]) for units in stability.units}) > 1  # other numbers
    assert stability.overlap == 1
    assert stability.overlap_chance < 1
    assert set(stability.frequency.values) == {0.0, 1.0}


def test_several_models_are_checked():
    planted, other = vl.planted_model("chain", 2), vl.planted_model("chain", 3)
    for lenses, match in [
        ([planted.lens], "1 lens was given in a list; give two or more models"),
        ([planted.lens, other.lens], "model 1 has other sites than the first"),
        ([planted.lens, planted.model], r"lens holds a \w+; give vl\.Lens"),
    ]:
        with pytest.raises(vl.VaelensError, match=match):
            vl.circuit_stability(lenses, planted.dataset, "first", progress=False)
