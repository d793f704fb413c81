"""Structural Hamming distance and edge AUROC, which compare a weighted directed graph with a true one."""

from itertools import combinations, permutations
from math import factorial

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import roc_auc_score

ALL_PERMUTATIONS = 5040  # of at most 7 nodes; of more, as many are sampled

Weights = Float[np.ndarray, "nodes nodes"]
Edges = Bool[np.ndarray, "nodes nodes"]


def structural_hamming_distance(edges: Edges, true: Edges) -> int:
    """Counts the pairs of nodes whose edges differ, where an edge missing, added or reversed counts as one.

    Example:
        >>> chain = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
        >>> structural_hamming_distance(chain.T, chain), structural_hamming_distance(chain | chain.T, chain)
        (2, 2)
    """
    return sum(
        bool((edges[u, v], edges[v, u]) != (true[u, v], true[v, u])) for u, v in combinations(range(len(true)), 2)
    )


def edge_auroc(weights: Weights, true: Edges) -> float:
    """Computes the area under the ROC curve of the weights as scores of true edges, NaN without or with all edges."""
    apart = ~np.eye(len(true), dtype=bool)
    if true[apart].all() or not true[apart].any():
        return float("nan")
    return float(roc_auc_score(true[apart], weights[apart]))


def permuted_aurocs(weights: Weights, true: Edges, seed: int) -> np.ndarray:
    """Computes the edge AUROC of the weights under permutations of the nodes, all of them where there are few."""
    nodes = len(true)
    if factorial(nodes) <= ALL_PERMUTATIONS:
        orders = [np.array(order) for order in permutations(range(nodes))]
    else:
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(nodes) for _ in range(ALL_PERMUTATIONS)]
    return np.array([edge_auroc(weights[np.ix_(order, order)], true) for order in orders])
