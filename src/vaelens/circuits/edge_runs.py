"""Runs of a circuit's edges, in which a unit sees of the circuit only the units that have an edge to it.

Costs, for each pair and receiver, what lies between two neighbouring sites.
"""

from collections.abc import Sequence
from itertools import pairwise

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from vaelens.circuits.circuit_runs import CircuitRuns
from vaelens.circuits.unit_graph import IMAGE_NODE
from vaelens.effects.outcomes import cells, products
from vaelens.lens import IMAGE, CachedRun, Region, SitePatch

Node = tuple[str, int]


def edges_carried(runs: CircuitRuns, graph: nx.DiGraph) -> np.ndarray:
    """Computes what a circuit's edges carry of each pair, (pairs,).

    In this run a unit is computed from its inputs, in which the units that have an edge to it are at the values they
    come to, and everything else is as in the base's run. Units with an edge from the factor see the source image.

    Args:
        runs: circuit runs on pairs.
        graph: as `unit_graph` makes it; any of its edges may be missing.
    """
    sites = [site for site in runs.table.sites if any(isinstance(node, tuple) and node[0] == site for node in graph)]
    carried = np.zeros(runs.pairs)
    if not sites:
        return carried
    for chunk, base, source in runs.activations():
        values = _first(runs, base, source, sites[0], _receivers(graph, sites[0]))
        for sender, receiver in pairwise(sites):
            values = _next(base, sender, values, receiver, graph)
        parents = _senders(graph, IMAGE_NODE, sites[-1])
        image, empty = base.image.clone(), cells(base.image)
        for rows in base.interchange(SitePatch(sites[-1], values, [Region(parents)]), IMAGE):
            image[rows.images] = rows.values[IMAGE]
        moved = products(cells(image) - empty, cells(source.image) - empty)
        carried[chunk] = moved.double().cpu().numpy()
    return carried


def _first(runs: CircuitRuns, base: CachedRun, source: CachedRun, site: str, units: Sequence[int]) -> Tensor:
    """Computes the values at the first site, where units with an edge from the factor see the source image."""
    values, seen = base.activation(site).clone(), source.activation(site)
    before = runs.table.sites[: runs.table.sites.index(site)]
    if before:  # of which no unit is in the circuit
        seen = seen.clone()
        held = [
            SitePatch(name, base.activation(name), [Region(tuple(range(runs.table.sizes[name])))]) for name in before
        ]
        for rows in source.interchange(held, site):
            seen[rows.images] = rows.values[site]
    chosen = list(units)
    values[:, chosen] = seen[:, chosen]
    return values


def _next(base: CachedRun, sender: str, values: Tensor, receiver: str, graph: nx.DiGraph) -> Tensor:
    """Computes the values at a site from those at the one before, along the edges of the graph."""
    after = base.activation(receiver).clone()
    units = [node[1] for node in graph if isinstance(node, tuple) and node[0] == receiver]
    groups = [Region(_senders(graph, (receiver, unit), sender)) for unit in units]
    indices = torch.tensor(units, device=after.device)
    for rows in base.interchange(SitePatch(sender, values, groups), receiver):
        unit = indices[rows.rows.groups]
        computed = rows.values[receiver]
        after[rows.images, unit] = computed[torch.arange(len(unit), device=after.device), unit]
    return after


def _receivers(graph: nx.DiGraph, site: str) -> list[int]:
    factor = graph.graph["factor"]
    return sorted(node[1] for node in graph.successors(factor) if isinstance(node, tuple) and node[0] == site)


def _senders(graph: nx.DiGraph, receiver: Node | str, site: str) -> tuple[int, ...]:
    nodes = graph.predecessors(receiver)
    return tuple(sorted(node[1] for node in nodes if isinstance(node, tuple) and node[0] == site))
