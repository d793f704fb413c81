"""Modularity in the sense of Ridgeway and Mozer, or how far each latent knows about one factor only.

Not the modularity of circuits, `circuit_modularity`. Costs N operations for each latent and factor.
"""

from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from vaelens.arguments import Seed, whole_number
from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.labels import check_continuous, varying_factors
from vaelens.metrics.disentanglement.latent_information import latent_information
from vaelens.metrics.disentanglement.pairs import check_pair_of_kinds

_ROUNDING = 1e-12  # nats: information that counting leaves between independent columns


def modularity(
    codes: ArrayLike,
    factors: ArrayLike,
    bins: Any = 20,
    *,
    continuous: ArrayLike = False,
    estimator: str = "bins",
    neighbours: SupportsIndex = 3,
    seed: Seed = 0,
) -> float:
    """Measures how far each latent's information is about one factor alone.

    With m_jk = I(z_j; v_k) and θ_j = max_k m_jk, latent j deviates from knowing one factor alone by
    δ_j = Σ_{k ≠ k(j)} m_jk² / (θ_j² (K − 1)), k(j) being the factor it knows most about; the score is the mean of
    1 − δ_j over all d latents. Information is estimated after each latent is cut into equal-width bins between
    its extremes; a continuous factor is cut into as many. With the estimator "nearest-neighbours" neither is cut
    (`neighbour_information`, after Kraskov and Ross); the information of a continuous factor is then not bounded, and
    weighs more against that of a factor with few values. Another estimator is another metric: say which.

    A factor with one value has entropy 0 and is left out; K counts the others. A latent that knows nothing about
    any factor, such as a constant one, scores 0 and stays in the mean, as in the reference: a code with many
    dead latents scores low. A latent of noise knows a little about every factor by chance, which counts. It is no
    fault here that two latents know the same factor.

    Args:
        codes: `(N, d)` codes of N images.
        factors: `(N, K)` whole numbers: the index of each factor's value in each image, −1 or NaN where it is
            missing. Any finite numbers, or NaN, where a factor is continuous.
        bins: number of bins for each latent and each continuous factor, 2 or more.
        continuous: True or False for all factors, or one of them for each: take it as a number rather than a class.
        estimator: of the mutual information, `"bins"`, the reference's, or `"nearest-neighbours"`.
        neighbours: how many, for the second estimator.
        seed: parts equal codes, for the second estimator.

    Returns:
        A score from 0 (every latent knows all factors equally well, or none) to 1 (every latent knows one
        factor and nothing of the others). Higher is better.

    Raises:
        VaelensError: if an array is not as above, fewer than 2 factors vary, there are fewer than 2 bins, or
            the estimator is unknown.

    References:
        Learning deep disentangled embeddings with the F-statistic loss (Ridgeway, Mozer, 2018).
        Challenging common assumptions in the unsupervised learning of disentangled representations
        (Locatello et al., 2019), for the estimate with 20 bins and the score of a latent that knows nothing.

    Example:
        >>> factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> modularity(codes=3.0 * factors, factors=factors)
        1.0
        >>> modularity(codes=factors @ [[1, 1], [1, -1]], factors=factors)
        0.0
    """
    codes, factors = check_pair_of_kinds(codes, factors, continuous)
    bins = whole_number("bins", bins, low=2)
    varying = varying_factors(factors)
    _check_factors(len(varying))
    kinds = check_continuous(continuous, factors.shape[1])[varying]
    return information_modularity(
        latent_information(codes, factors[:, varying], kinds, estimator, bins, neighbours, seed)
    )


def information_modularity(information: Float[np.ndarray, "d k"]) -> float:
    """Computes modularity from what every latent knows about every factor that varies, `(d, K)` nats.

    Raises:
        VaelensError: there are fewer than 2 factors.
    """
    factors = information.shape[1]
    _check_factors(factors)
    squared = information**2
    most = squared.max(axis=1)
    knowing = most > _ROUNDING**2
    scores = np.zeros(len(squared))
    rest = squared.sum(axis=1) - most
    scores[knowing] = 1 - rest[knowing] / (most[knowing] * (factors - 1))
    return float(scores.mean())


def _check_factors(varying: int) -> None:
    if varying < 2:
        raise VaelensError(
            f"factors hold {varying} factor that varies; expected at least 2: a latent of a single factor is "
            "always modular; give more factors, or use mig"
        )
