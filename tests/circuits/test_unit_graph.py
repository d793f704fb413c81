"""The graph of a circuit, against the wires that were planted, whatever the kind, depth and layers."""

import pytest

import vaelens as vl
from vaelens.circuits.circuit_runs import CircuitRuns
from vaelens.circuits.unit_graph import unit_graph
from vaelens.planted import KINDS, recovery


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("depth", "convolutional"), [(2, True), (4, False)])
def test_edges_are_the_wires_planted(kind, depth, convolutional):
    planted = vl.planted_model(kind, depth, convolutional, seed=depth)
    for factor, circuit in planted.truth.circuits.items():
        pairs = planted.dataset.pairs(factor, 64)
        runs = CircuitRuns(planted.lens, pairs.x, pairs.x2)
        edges = unit_graph(runs, runs.table.mask(circuit), factor).edges
        assert recovery(set(edges), planted.truth.edges[factor]) == vl.planted.Recovery(1.0, 1.0)


def test_weights_add_to_one_where_a_unit_reads_several():
    """A unit behind a rotation changes by 0.64 through one latent and by 0.36 through the other, and no more."""
    planted = vl.planted_model("rotated", 3, seed=1)
    pairs = planted.dataset.pairs("second", 200)
    runs = CircuitRuns(planted.lens, pairs.x, pairs.x2)
    graph = unit_graph(runs, runs.table.mask(planted.truth.circuits["second"]), "second")
    for node in graph:
        if isinstance(node, tuple) and node[0] == "decoder.1":
            assert sum(weight for *_, weight in graph.in_edges(node, data="weight")) == pytest.approx(1, abs=1e-5)
    to_image = [weight for *_, weight in graph.in_edges("image", data="weight")]
    assert sum(to_image) == pytest.approx(1, abs=1e-5)


def test_an_empty_circuit_has_its_ends_alone():
    planted = vl.planted_model("chain", 2)
    pairs = planted.dataset.pairs("first", 4)
    runs = CircuitRuns(planted.lens, pairs.x, pairs.x2)
    graph = unit_graph(runs, runs.table.mask({}), "first")
    assert set(graph) == {"first", "image"}
    assert not graph.edges
