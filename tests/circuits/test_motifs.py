"""Motifs of graphs that are drawn by hand, against counts on paper and a count of networkx's isomorphisms."""

from itertools import combinations

import networkx as nx
import numpy as np
import pytest

import vaelens as vl
from vaelens.circuits.motifs import MOTIFS, NULLS, layers_of


def counts(layers):
    return {name: measure([np.array(layer) for layer in layers]) for name, measure in MOTIFS.items()}


def test_counts_on_paper():
    chain = [[[1]], [[1]], [[1]]]
    assert counts(chain) == {"relay": 2, "fan-out": 0, "fan-in": 0, "bi-fan": 0, "diamond": 0}
    # One unit, three in the midst, one: three ways from end to end, three pairs of them.
    diamond = [[[1, 1, 1]], [[1], [1], [1]]]
    assert counts(diamond) == {"relay": 3, "fan-out": 3, "fan-in": 3, "bi-fan": 0, "diamond": 3}
    # Two by three, all edges: 2 · 3 pairs that leave, 3 · 1 that arrive, 1 · 3 bi-fans.
    assert counts([[[1, 1, 1], [1, 1, 1]]]) == {"relay": 0, "fan-out": 6, "fan-in": 3, "bi-fan": 3, "diamond": 0}


def graph_of(layers):
    graph = nx.DiGraph()
    for k, layer in enumerate(layers):
        for (u, v), edge in np.ndenumerate(layer):
            if edge:
                graph.add_edge((k, u), (k + 1, v))
    return graph


def by_enumeration(graph):
    """Bi-fans and diamonds by looking at all pairs of nodes."""
    bi_fans = sum(
        len(set(graph[a]) & set(graph[b])) * (len(set(graph[a]) & set(graph[b])) - 1) // 2
        for a, b in combinations(graph, 2)
        if a[0] == b[0]
    )
    diamonds = sum(
        graph.has_edge(a, b) and graph.has_edge(a, c) and graph.has_edge(b, d) and graph.has_edge(c, d)
        for b, c in combinations(graph, 2)
        for a in graph
        for d in graph
    )
    return bi_fans, diamonds


@pytest.mark.parametrize("seed", range(5))
def test_counts_by_enumeration_on_random_graphs(seed):
    rng = np.random.default_rng(seed)
    layers = [rng.integers(0, 2, size=shape) for shape in ((3, 4), (4, 4), (4, 2))]
    found = counts(layers)
    assert (found["bi-fan"], found["diamond"]) == by_enumeration(graph_of(layers))


@pytest.mark.parametrize("seed", range(3))
def test_random_graphs_keep_what_they_are_said_to_keep(seed):
    rng = np.random.default_rng(seed)
    layer = (rng.random((7, 9)) < 0.4).astype(np.int64)
    swapped, rewired = NULLS["degrees"](layer, rng), NULLS["edges"](layer, rng)
    assert (swapped.sum(axis=0) == layer.sum(axis=0)).all()
    assert (swapped.sum(axis=1) == layer.sum(axis=1)).all()
    assert (swapped != layer).any()
    assert set(np.unique(swapped)) <= {0, 1}
    assert rewired.sum() == layer.sum()
    assert set(np.unique(rewired)) <= {0, 1}


def test_swaps_reach_all_graphs_of_the_degrees_equally_often():
    """Three units to three, one edge each: six graphs."""
    rng = np.random.default_rng(0)
    seen = [NULLS["degrees"](np.eye(3, dtype=np.int64), rng).tobytes() for _ in range(1200)]
    shares = np.array([seen.count(graph) for graph in set(seen)]) / len(seen)
    assert len(shares) == 6
    assert abs(shares - 1 / 6).max() < 0.05


def test_motifs_of_a_planted_circuit():
    planted = vl.planted_model("rotated", 2, seed=3)
    circuit = vl.discover_circuit(planted.lens, planted.dataset, "first", progress=False)
    assert [layer.shape for layer in layers_of(circuit)] == [(1, 2), (2, 2), (2, 2), (2, 2)]
    motifs = vl.find_motifs(circuit, graphs=30).set_index("motif")
    assert motifs["count"].to_dict() == {"relay": 4, "fan-out": 3, "fan-in": 2, "bi-fan": 1, "diamond": 0}
    assert motifs.z.isna().all()  # these degrees leave no other graph
    assert (motifs.p == 1).all()
    edges = vl.find_motifs(circuit, null="edges", graphs=200).set_index("motif")
    assert edges.loc["relay", "count"] > edges.loc["relay", "mean"]
    assert edges.loc["relay", "z"] == pytest.approx((4 - edges.loc["relay", "mean"]) / edges.loc["relay", "sd"])


def test_bad_input_is_refused():
    with pytest.raises(vl.VaelensError, match="motifs are found in a circuit; got a str"):
        vl.find_motifs("shape")
    planted = vl.planted_model("chain", 2)
    circuit = vl.discover_circuit(planted.lens, planted.dataset, "first", n=8, progress=False)
    with pytest.raises(vl.VaelensError, match=r"unknown null of motifs 'degree'; .* did you mean 'degrees'\?"):
        vl.find_motifs(circuit, null="degree")
    with pytest.raises(vl.VaelensError, match="graphs is 1"):
        vl.find_motifs(circuit, graphs=1)
