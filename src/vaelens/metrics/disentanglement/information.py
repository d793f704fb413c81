"""Entropy and mutual information between columns of whole numbers, by counting, in nats.

Codes are made whole numbers by equal-width bins. Counting costs N operations for each pair of columns.
"""

import numpy as np
from jaxtyping import Float, Int

from vaelens.metrics.disentanglement.arrays import CodeArray, FactorArray


def discretise(codes: CodeArray, bins: int = 20) -> Int[np.ndarray, "n d"]:
    """Puts each latent's codes into equal-width bins between its smallest and its largest value.

    Bin b holds e_b ≤ z < e_{b+1} with edges e_b = min + b (max − min) / bins; the last bin holds the maximum
    too. Edges are computed in the precision of the codes, as `numpy.histogram` does, so float32 codes fall
    where the reference puts them. All codes of a constant latent fall into one bin.

    Args:
        codes: `(N, d)` finite numbers.
        bins: number of bins, 1 or more.

    Returns:
        `(N, d)` bin numbers from 0 to bins − 1.

    Example:
        >>> discretise(np.array([[0.0], [0.4], [0.5], [1.0]]), bins=2).T
        array([[0, 0, 1, 1]])
    """
    binned = np.empty(codes.shape, dtype=np.int64)
    for latent, column in enumerate(codes.T):
        edges = np.linspace(column.min(), column.max(), bins + 1, dtype=column.dtype)
        binned[:, latent] = np.digitize(column, edges[:-1]) - 1
    return binned


def mutual_information(first: Int[np.ndarray, "n p"], second: Int[np.ndarray, "n q"]) -> Float[np.ndarray, "p q"]:
    """Computes the mutual information of every column of the first array with every column of the second.

    I(a; b) = Σ_ab p(a, b) log(p(a, b) / (p(a) p(b))), with p the frequencies in the N rows.

    Args:
        first: `(N, p)` whole numbers.
        second: `(N, q)` whole numbers of the same rows.

    Returns:
        `(p, q)` nats, 0 (independent) or more, at most the smaller of the two entropies.

    Example:
        >>> bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> mutual_information(bits, bits) / np.log(2)
        array([[1., 0.],
               [0., 1.]])
    """
    left, right = _number_values(first), _number_values(second)
    information = np.empty((left.shape[1], right.shape[1]))
    for i, a in enumerate(left.T):
        for j, b in enumerate(right.T):
            width = b.max() + 1
            counts = np.bincount(a * width + b, minlength=(a.max() + 1) * width).reshape(-1, width)
            joint = counts / len(a)  # (values of a, values of b)
            independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
            met = counts > 0  # p log p goes to 0 with p
            information[i, j] = np.sum(joint[met] * np.log(joint[met] / independent[met]))
    return np.maximum(information, 0.0)  # rounding can leave independent columns a hair below 0


def entropy(values: FactorArray) -> Float[np.ndarray, " k"]:
    """Computes the entropy of every column, −Σ_a p(a) log p(a).

    Args:
        values: `(N, K)` whole numbers.

    Returns:
        `(K,)` nats; 0 exactly for a column with one value.

    Example:
        >>> entropy(np.array([[0, 7], [0, 7], [1, 7], [1, 7]])) / np.log(2)
        array([1., 0.])
    """
    frequencies = (np.bincount(column) / len(column) for column in _number_values(values).T)
    return np.array([abs(np.sum(p * np.log(p))) for p in frequencies])


def _number_values(columns: Int[np.ndarray, "n p"]) -> Int[np.ndarray, "n p"]:
    """Replaces each column's values by 0, 1, 2, … in their order, so that tables of counts have no empty rows."""
    return np.stack([np.unique(column, return_inverse=True)[1] for column in columns.T], axis=1)
