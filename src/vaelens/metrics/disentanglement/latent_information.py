"""How much each latent knows about each factor, by the estimators that MIG and modularity share, by name.

"bins" cuts what is continuous into bins and counts: N operations for each pair. "nearest-neighbours" takes codes as
real numbers and searches each image's neighbours: some milliseconds for each pair and thousand images.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from vaelens.arguments import Seed, whole_number
from vaelens.errors import VaelensError, unknown
from vaelens.metrics.disentanglement.arrays import CodeArray, FactorArray, Kinds, ValueArray
from vaelens.metrics.disentanglement.classes import values_as_classes
from vaelens.metrics.disentanglement.information import discretise, entropy, mutual_information
from vaelens.metrics.disentanglement.labels import MISSING, labelled

ESTIMATORS = ("bins", "nearest-neighbours")


def latent_information(
    codes: CodeArray,
    factors: FactorArray | ValueArray,
    continuous: Kinds,
    estimator: str,
    bins: int,
    neighbours: Any,
    seed: Seed,
) -> Float[np.ndarray, "d k"]:
    """Estimates the mutual information between every latent and every factor.

    Args:
        codes: `(N, d)`.
        factors: `(N, K)`, each with more than one value; each is taken over the images that have its label.
        continuous: which of them are.
        estimator: `"bins"` or `"nearest-neighbours"`.
        bins: of a latent and of a continuous factor, for the first estimator.
        neighbours: for the second, see `neighbour_information`.
        seed: for the second.

    Returns:
        `(d, K)` nats, 0 or more.

    Raises:
        VaelensError: if the estimator is unknown, and as `neighbour_information`.
    """
    if estimator not in ESTIMATORS:
        raise unknown("estimator", estimator, ESTIMATORS)
    if estimator == "nearest-neighbours":
        return neighbour_information(codes, factors, continuous, neighbours, seed)
    cells, labels = discretise(codes, bins), binned(factors, continuous, bins)
    have = labelled(labels)
    if have.all():
        return mutual_information(cells, labels)
    columns = [mutual_information(cells[have[:, k]], labels[have[:, k], [k]][:, None]) for k in range(labels.shape[1])]
    return np.hstack(columns)


def label_entropy(labels: FactorArray) -> Float[np.ndarray, " k"]:
    """Computes each factor's entropy in nats over the images that have its label.

    Example:
        >>> label_entropy(np.array([[0, 5], [1, -1], [-1, 5]])) / np.log(2)
        array([1., 0.])
    """
    have = labelled(labels)
    return np.concatenate([entropy(labels[have[:, k], k][:, None]) for k in range(labels.shape[1])])


def binned(factors: FactorArray | ValueArray, continuous: Kinds, bins: int) -> FactorArray:
    """Returns the factors as whole numbers, the continuous ones in equal-width bins.

    Example:
        >>> binned(np.array([[0.1, 7], [0.2, 9], [0.8, 9]]), np.array([True, False]), bins=2)
        array([[0, 7],
               [0, 9],
               [1, 9]])
    """
    if not continuous.any():
        return np.where(labelled(factors), factors, MISSING).astype(np.int64)
    labels = np.full(factors.shape, MISSING, dtype=np.int64)
    for k, (column, have) in enumerate(zip(factors.T, labelled(factors).T, strict=True)):
        values = column[have]
        labels[have, k] = discretise(values[:, None].astype(np.float64), bins)[:, 0] if continuous[k] else values
    return labels


def neighbour_information(
    codes: CodeArray,
    factors: FactorArray | ValueArray,
    continuous: Kinds,
    neighbours: Any,
    seed: Seed,
) -> Float[np.ndarray, "d k"]:
    """Estimates the mutual information between every latent and every factor by distances to nearest neighbours.

    For a continuous factor, let image i's `neighbours`-th neighbour in the plane of latent and factor lie at
    the distance ε_i (the larger of the two coordinates'), and m_i and n_i images nearer in either coordinate alone:
    I = ψ(neighbours) + ψ(N) − mean_i(ψ(m_i + 1) + ψ(n_i + 1)). For a discrete one neighbours are sought among the
    images of the same value and counted among all. An estimate below 0 is set to 0, that of a discrete factor above its
    entropy to the entropy. Latents and factors are scaled to unit variance, and 1e-10 of noise parts equal ones. A
    constant latent has 0.

    Args:
        codes: `(N, d)` real numbers; equal ones are taken as tiny differences.
        factors: `(N, K)`, each with more than one value.
        continuous: which of them are.
        neighbours: 1 or more, fewer than images.
        seed: of the noise, which is the same for every latent.

    Returns:
        `(d, K)` nats. Where a latent gives a continuous factor without error the information is infinite, and the
        estimate as large as N images can tell.

    Raises:
        VaelensError: if `neighbours` or the seed is out of range, or a discrete factor has no value twice.

    References:
        Estimating mutual information (Kraskov, Stögbauer, Grassberger, 2004).
        Mutual information between discrete and continuous data sets (Ross, 2014).
    """
    options: dict[str, Any] = {
        "discrete_features": False,
        "random_state": whole_number("seed", seed, 0, 2**32 - 1),
    }
    information = np.zeros((codes.shape[1], factors.shape[1]))
    for k, (column, have) in enumerate(zip(factors.T, labelled(factors).T, strict=True)):
        latents, labels = codes[have].astype(np.float64), column[have]
        options["n_neighbors"] = whole_number("neighbours", neighbours, 1, len(labels) - 1)
        if not continuous[k] and np.unique(labels, return_counts=True)[1].max() == 1:
            raise VaelensError(
                f"factor {k} has another value in every image; expected a value that several share, for neighbours are "
                "sought among them; say that the factor is continuous"
            )
        estimate = mutual_info_regression if continuous[k] else mutual_info_classif
        values = labels.astype(np.float64 if continuous[k] else np.int64)
        with values_as_classes():
            for j in np.flatnonzero(np.ptp(latents, axis=0)):  # one by one: all latents get the same noise
                information[j, k] = estimate(latents[:, [j]], values, **options)[0]
        if not continuous[k]:
            information[:, k] = np.minimum(information[:, k], entropy(values[:, None])[0])
    return information
