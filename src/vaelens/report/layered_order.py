"""The order of nodes within the layers of a drawing, so that few edges cross."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

_SWEEPS = 8

Neighbours = Mapping[int, Sequence[tuple[int, float]]]  # by node, the nodes that it has edges with and their weights


def layered_order(layers: Sequence[Sequence[int]], neighbours: Neighbours) -> list[list[int]]:
    """Orders the nodes of each layer by the mean place of their neighbours, sweeping to and fro.

    Of all orders on the way that with the fewest crossings is returned.

    References:
        Methods for visual understanding of hierarchical system structures (Sugiyama, Tagawa, Toda, 1981).

    Example:
        >>> edges = {1: [(4, 1.0)], 2: [(3, 1.0)], 3: [(2, 1.0)], 4: [(1, 1.0)]}
        >>> layered_order([[1, 2], [3, 4]], edges)
        [[1, 2], [4, 3]]
    """
    order = [list(layer) for layer in layers]
    best, fewest = order, crossings(order, neighbours)
    for sweep in range(_SWEEPS):
        places = {node: k / max(len(layer) - 1, 1) for layer in order for k, node in enumerate(layer)}
        steps = range(1, len(order)) if sweep % 2 == 0 else range(len(order) - 2, -1, -1)
        order = [list(layer) for layer in order]
        for k in steps:
            beside = set(order[k - 1] if sweep % 2 == 0 else order[k + 1])
            order[k].sort(key=lambda node: _mean(node, beside, neighbours, places))
            places |= {node: place / max(len(order[k]) - 1, 1) for place, node in enumerate(order[k])}
        crossed = crossings(order, neighbours)
        if crossed < fewest:
            best, fewest = order, crossed
    return best


def crossings(order: Sequence[Sequence[int]], neighbours: Neighbours) -> int:
    """Counts the pairs of edges between neighbouring layers that cross.

    Example:
        >>> edges = {1: [(4, 1.0)], 2: [(3, 1.0)]}
        >>> crossings([[1, 2], [3, 4]], edges), crossings([[1, 2], [4, 3]], edges)
        (1, 0)
    """
    total = 0
    for left, right in pairwise(order):
        places = {node: place for place, node in enumerate(right)}
        edges = [
            (k, places[other])
            for k, node in enumerate(left)
            for other, _ in neighbours.get(node, ())
            if other in places
        ]
        total += sum(
            (first[0] - second[0]) * (first[1] - second[1]) < 0
            for place, first in enumerate(edges)
            for second in edges[place + 1 :]
        )
    return total


def _mean(node: int, beside: set[int], neighbours: Neighbours, places: Mapping[int, float]) -> float:
    weighted = [(abs(weight), places[other]) for other, weight in neighbours.get(node, ()) if other in beside]
    total = sum(weight for weight, _ in weighted)
    return sum(weight * place for weight, place in weighted) / total if total else places[node]
