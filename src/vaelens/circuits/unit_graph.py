"""The graph of a circuit, which says what unit changes which at the next site, and by how much."""

from itertools import pairwise

import networkx as nx
import numpy as np
import torch

from vaelens.circuits.circuit_runs import CircuitRuns, fractions
from vaelens.circuits.unit_sets import Mask
from vaelens.lens import CachedRun, Region, SitePatch

IMAGE_NODE = "image"
LEAST_WEIGHT = 0.01  # of an edge, in absolute value


def unit_graph(runs: CircuitRuns, mask: Mask, factor: str) -> nx.DiGraph:
    """Measures the edges between a circuit's units at neighbouring sites.

    The weight of u → v is Σ<Δv_u, Δv> / Σ‖Δv‖² over pairs and positions: Δv is the change of v from the base's run to
    the source's, Δv_u that with u alone set to its value in the source's run. Of an edge to the image it is the
    fraction of the effect that the unit carries by itself; edges from the factor have weight 1. Edges below 0.01 in
    absolute value are left out, and so are those past a site: a model with skip connections has others besides.

    Args:
        runs: runs circuits on pairs that differ in the factor.
        mask: the circuit.
        factor: the factor's name.
    """
    graph, units = nx.DiGraph(factor=factor), runs.table.units(mask)
    sites = [site for site in runs.table.sites if units[site]]
    graph.add_node(factor, kind="factor")
    for site in sites:
        graph.add_nodes_from(((site, unit) for unit in units[site]), kind="unit")
    graph.add_node(IMAGE_NODE, kind="image")
    if not sites:
        return graph
    graph.add_weighted_edges_from((factor, (sites[0], unit), 1.0) for unit in units[sites[0]])
    for sender, receiver in pairwise(sites):
        for (row, column), weight in np.ndenumerate(_weights(runs, sender, units[sender], receiver, units[receiver])):
            if abs(weight) >= LEAST_WEIGHT:
                edge = (sender, units[sender][row]), (receiver, units[receiver][column])
                graph.add_edge(*edge, weight=float(weight))
    alone = fractions(runs.patched(sites=[sites[-1]]), runs.totals)
    for unit in units[sites[-1]]:
        if abs(alone[unit]) >= LEAST_WEIGHT:
            graph.add_edge((sites[-1], unit), IMAGE_NODE, weight=float(alone[unit]))
    return graph


def _weights(
    runs: CircuitRuns, sender: str, senders: tuple[int, ...], receiver: str, receivers: tuple[int, ...]
) -> np.ndarray:
    """Measures all edges between some units of two sites, (senders, receivers), 0 into a unit that never moves."""
    moved, whole = np.zeros((len(senders), len(receivers))), np.zeros(len(receivers))
    for _, base, source in runs.activations():
        before = _taken(base, receiver, receivers)  # (c, receivers, positions)
        total = _taken(source, receiver, receivers) - before
        patch = SitePatch(sender, source.activation(sender), [Region((unit,)) for unit in senders])
        for rows in base.interchange(patch, receiver):
            values = (
                rows.values[receiver].flatten(2) if rows.values[receiver].ndim > 2 else rows.values[receiver][..., None]
            )
            change = values[:, list(receivers)] - before[rows.images]
            product = (change * total[rows.images]).sum(dim=2).double()  # (m, receivers)
            sums = product.new_zeros(len(senders), len(receivers)).index_add_(0, rows.rows.groups, product)
            moved += sums.cpu().numpy()
        whole += total.square().sum(dim=(0, 2)).double().cpu().numpy()
    return np.divide(moved, whole, out=np.zeros_like(moved), where=whole > 0)


def _taken(run: CachedRun, site: str, units: tuple[int, ...]) -> torch.Tensor:
    activation = run.activation(site)[:, list(units)]
    return activation.flatten(2) if activation.ndim > 2 else activation[..., None]
