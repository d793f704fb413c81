"""Counts of motifs, small patterns of edges in a circuit, compared with random graphs of the same layers.

A count costs some products of the matrices of edges between sites, and so does that of each random graph.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Int

from vaelens.arguments import Seed, check_seed, whole_number
from vaelens.circuits.circuit import Circuit
from vaelens.errors import VaelensError, unknown

Layer = Int[np.ndarray, "_ _"]  # (senders, receivers), 1 where there is an edge
Null = Literal["degrees", "edges"]

_SWAPS = 10  # tried for each edge


def find_motifs(circuit: Circuit, null: Null = "degrees", graphs: int = 200, seed: Seed = 0) -> pd.DataFrame:
    """Counts motifs among a circuit's units, and compares the counts with those of random layered graphs.

    - relay: u → v → w, where v has no other edges.
    - fan-out: a pair of edges that leave one unit.
    - fan-in: a pair of edges that arrive at one unit.
    - bi-fan: two units that both have edges to the same two.
    - diamond: two ways of two edges from one unit to another.

    The edges are those between units of neighbouring sites, without the factor and the image, whatever their weight.
    z = (count − mean) / standard deviation over the random graphs, which is comparable across models and seeds.

    Args:
        circuit: as `discover_circuit` returns it.
        null: what random graphs share with the circuit: the "degrees" of every unit to both sides, by swaps of edges
            between the same two sites; or the number of "edges" between each two sites alone. Fan-outs and fan-ins
            depend on nothing but degrees, so with "degrees" they have no z.
        graphs: how many random graphs, at least 2.
        seed: of the random graphs.

    Returns:
        A table with a row for each motif: `motif`, `count`, `mean` and `sd` of the random graphs, `z` (NaN where all
        of them have the same count) and `p`, the share of random graphs, the circuit's own included, with at least as
        many.

    Raises:
        VaelensError: an unknown null, a number or a seed out of range, or something else than a circuit.

    References:
        Network motifs: simple building blocks of complex networks (Milo et al., 2002).

    Example:
        >>> import vaelens as vl
        >>> planted = vl.planted_model("rotated", depth=2)
        >>> motifs = find_motifs(vl.discover_circuit(planted.lens, planted.dataset, "first"), graphs=20)
        >>> dict(zip(motifs.motif, motifs["count"]))
        {'relay': 4, 'fan-out': 3, 'fan-in': 2, 'bi-fan': 1, 'diamond': 0}
    """
    if not isinstance(circuit, Circuit):
        raise VaelensError(
            f"motifs are found in a circuit; got a {type(circuit).__name__}: give what discover_circuit returns"
        )
    if null not in NULLS:
        raise unknown("null of motifs", null, NULLS)
    count, rng = whole_number("graphs", graphs, low=2), np.random.default_rng(check_seed(seed))
    layers = layers_of(circuit)
    observed = {name: measure(layers) for name, measure in MOTIFS.items()}
    samples: dict[str, list[int]] = {name: [] for name in MOTIFS}
    for _ in range(count):
        shuffled = [NULLS[null](layer, rng) for layer in layers]
        for name, measure in MOTIFS.items():
            samples[name].append(measure(shuffled))
    return pd.DataFrame([_row(name, observed[name], np.array(samples[name])) for name in MOTIFS])


def layers_of(circuit: Circuit) -> list[Layer]:
    """Returns the edges between each two neighbouring sites that have units, as matrices."""
    sites = [site for site, units in circuit.units.items() if units]
    return [
        np.array(
            [
                [circuit.graph.has_edge((sender, u), (receiver, v)) for v in circuit.units[receiver]]
                for u in circuit.units[sender]
            ],
            dtype=np.int64,
        )
        for sender, receiver in pairwise(sites)
    ]


def _row(name: str, observed: int, samples: np.ndarray) -> dict[str, object]:
    spread = samples.std(ddof=1)
    return {
        "motif": name,
        "count": observed,
        "mean": samples.mean(),
        "sd": spread,
        "z": (observed - samples.mean()) / spread if spread > 0 else float("nan"),
        "p": ((samples >= observed).sum() + 1) / (len(samples) + 1),
    }


def _relays(layers: Sequence[Layer]) -> int:
    """Counts the units at inner sites that have one edge to each side."""
    return sum(int(((before.sum(axis=0) == 1) & (after.sum(axis=1) == 1)).sum()) for before, after in pairwise(layers))


def _fan_outs(layers: Sequence[Layer]) -> int:
    return sum(_pairs(layer.sum(axis=1)) for layer in layers)


def _fan_ins(layers: Sequence[Layer]) -> int:
    return sum(_pairs(layer.sum(axis=0)) for layer in layers)


def _bi_fans(layers: Sequence[Layer]) -> int:
    """Counts pairs of senders, each as often as there are pairs of receivers that both of them have."""
    shared = (layer @ layer.T for layer in layers)
    return sum(_pairs(counts[np.triu_indices(len(counts), 1)]) for counts in shared)


def _diamonds(layers: Sequence[Layer]) -> int:
    """Counts the pairs of two-edge paths with the same ends."""
    return sum(_pairs((before @ after).flatten()) for before, after in pairwise(layers))


def _pairs(counts: np.ndarray) -> int:
    return int((counts * (counts - 1) // 2).sum())


def _swapped(layer: Layer, rng: np.random.Generator) -> Layer:
    """Makes many swaps of edges u → v, w → x to u → x, w → v, which leave every degree as it is."""
    shuffled, edges = layer.copy(), np.argwhere(layer)
    if len(edges) < 2:
        return shuffled
    for first, second in rng.integers(len(edges), size=(_SWAPS * len(edges), 2)):
        (u, v), (w, x) = edges[first].tolist(), edges[second].tolist()
        if u != w and v != x and not shuffled[u, x] and not shuffled[w, v]:
            shuffled[u, v] = shuffled[w, x] = 0
            shuffled[u, x] = shuffled[w, v] = 1
            edges[first, 1], edges[second, 1] = x, v
    return shuffled


def _rewired(layer: Layer, rng: np.random.Generator) -> Layer:
    """Samples a layer with as many edges, each anywhere."""
    return rng.permuted(layer.flatten()).reshape(layer.shape)


MOTIFS: MappingProxyType[str, Callable[[Sequence[Layer]], int]] = MappingProxyType(
    {"relay": _relays, "fan-out": _fan_outs, "fan-in": _fan_ins, "bi-fan": _bi_fans, "diamond": _diamonds}
)
NULLS: MappingProxyType[str, Callable[[Layer, np.random.Generator], Layer]] = MappingProxyType(
    {"degrees": _swapped, "edges": _rewired}
)
