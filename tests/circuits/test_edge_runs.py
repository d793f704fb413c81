"""What the edges of a circuit carry, against planted wires, circuit runs and arithmetic by hand."""

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.circuits.circuit_runs import CircuitRuns, fractions
from vaelens.circuits.edge_runs import edges_carried
from vaelens.circuits.unit_graph import unit_graph
from vaelens.planted import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_planted_wires_carry_what_the_planted_units_do(kind):
    planted = vl.planted_model(kind, 3, convolutional=kind != "rotated", seed=1)
    for factor, units in planted.truth.circuits.items():
        pairs = planted.dataset.pairs(factor, 64)
        runs = CircuitRuns(planted.lens, pairs.x, pairs.x2)
        mask = runs.table.mask(units)
        carried = edges_carried(runs, unit_graph(runs, mask, factor))
        np.testing.assert_allclose(carried, runs.carried(mask[None])[0], rtol=1e-4, atol=1e-5)


class Cross(nn.Module):
    """Two units into two: after = ReLU(before · W) with W = [[1, 2], [3, 4]], and the image adds both."""

    def __init__(self):
        super().__init__()
        self.code, self.mix, self.out = nn.Linear(4, 2), nn.Linear(2, 2), nn.Linear(2, 4)
        for layer in (self.code, self.mix, self.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.code.weight.data[0, 0] = self.code.weight.data[1, 1] = 1
        self.mix.weight.data = torch.tensor([[1.0, 2], [3, 4]])
        self.out.weight.data[0] = 0.05

    def encode(self, x):
        return self.code(x.flatten(1))

    def decode(self, z):
        return self.out(torch.relu(self.mix(z))).view(-1, 1, 2, 2)


def test_an_edge_that_is_missing_takes_away_what_it_adds():
    model = Cross()
    off, on = torch.zeros(1, 1, 2, 2), torch.tensor([1.0, 1, 0, 0]).view(1, 1, 2, 2)
    lens = vl.Lens(model, model.encode, model.decode, example=torch.cat([off, on]))
    runs = CircuitRuns(lens, off, on)
    whole = unit_graph(runs, np.ones(len(runs.table), dtype=bool), "both")
    assert fractions(edges_carried(runs, whole)[None], runs.totals) == pytest.approx(1)
    for latent, unit, part in [(0, 0, 1), (1, 0, 2), (0, 1, 3), (1, 1, 4)]:
        lacking = whole.copy()
        lacking.remove_edge(("latent", latent), ("decoder.0", unit))
        assert fractions(edges_carried(runs, lacking)[None], runs.totals) == pytest.approx((10 - part) / 10)
    lacking = whole.copy()
    lacking.remove_edge(("decoder.0", 1), "image")
    assert fractions(edges_carried(runs, lacking)[None], runs.totals) == pytest.approx(0.3)
    lacking.remove_edge("both", ("latent", 0))
    assert fractions(edges_carried(runs, lacking)[None], runs.totals) == pytest.approx(0.2)


def test_a_circuit_without_units_carries_nothing():
    planted = vl.planted_model("chain", 2)
    pairs = planted.dataset.pairs("first", 4)
    runs = CircuitRuns(planted.lens, pairs.x, pairs.x2)
    assert not edges_carried(runs, unit_graph(runs, runs.table.mask({}), "first")).any()
