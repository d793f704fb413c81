"""The mutual information gap, or how much more the best latent knows about a factor than the second best."""

from typing import SupportsIndex

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from vaelens.arguments import Seed
from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.arrays import check_two_latents
from vaelens.metrics.disentanglement.labels import check_continuous, varying_factors
from vaelens.metrics.disentanglement.latent_information import binned, label_entropy, latent_information
from vaelens.metrics.disentanglement.pairs import check_pair_of_kinds


def mig(
    codes: ArrayLike,
    factors: ArrayLike,
    bins: int = 20,
    *,
    continuous: ArrayLike = False,
    estimator: str = "bins",
    neighbours: SupportsIndex = 3,
    seed: Seed = 0,
) -> float:
    """Measures how much more the best latent knows about each factor than the second best (MIG).

    MIG = 1/K Σ_k (I(z_j(k); v_k) − max_{j ≠ j(k)} I(z_j; v_k)) / H(v_k), with j(k) the latent that knows most
    about factor k, and I estimated after each latent is cut into equal-width bins between its extremes.

    A continuous factor is cut into as many bins, and H is the entropy of its bins: how well these are known is what the
    score then says. With the estimator "nearest-neighbours" latents are not cut (`neighbour_information`, after
    Kraskov and Ross), for discrete factors alone: a continuous one has no entropy to divide by, since its differential
    entropy depends on its unit and may be negative. Another estimator is another metric: say which.

    A factor with one value has entropy 0 and is left out of the mean. A constant latent knows nothing and
    has I = 0; it never is the best or second best unless fewer than two latents vary. The score does not
    change when latents are permuted. Flipping a latent's sign leaves it the same too, except for codes that
    lie exactly on an edge between bins, which then change bin: codes of few distinct values, not of real ones.

    Args:
        codes: `(N, d)` codes of N images, d at least 2.
        factors: `(N, K)` whole numbers: the index of each factor's value in each image, −1 or NaN where it is
            missing. Any finite numbers, or NaN, where a factor is continuous.
        bins: number of bins for each latent and each continuous factor, 2 or more.
        continuous: True or False for all factors, or one of them for each: take it as a number rather than a class.
        estimator: of the mutual information, `"bins"`, the reference's, or `"nearest-neighbours"`.
        neighbours: how many, for the second estimator.
        seed: parts equal codes, for the second estimator.

    Returns:
        A score from 0 (every factor is known equally to two latents, or to none) to 1 (every factor is fully
        known to one latent and not at all to the others). Higher is better.

    Raises:
        VaelensError: if an array is not as above, no factor varies, there are fewer than 2 latents or bins, the
            estimator is unknown, or a continuous factor meets nearest neighbours.

    References:
        Isolating sources of disentanglement in variational autoencoders (Chen, Li, Grosse, Duvenaud, 2018).
        Challenging common assumptions in the unsupervised learning of disentangled representations
        (Locatello et al., 2019), for the estimate with 20 bins.

    Example:
        >>> factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> round(mig(codes=3.0 * factors, factors=factors), 6)
        1.0
        >>> round(mig(codes=factors[:, [0, 0]], factors=factors), 6)
        0.0
    """
    codes, factors = check_pair_of_kinds(codes, factors, continuous)
    _check_latents(codes)
    if bins < 2:
        raise VaelensError(f"bins is {bins}; expected 2 or more, usually 20")
    varying = varying_factors(factors)
    kinds, factors = check_continuous(continuous, factors.shape[1])[varying], factors[:, varying]
    if kinds.any() and estimator == "nearest-neighbours":
        raise VaelensError(
            f"factor {varying[kinds][0]} is continuous and the estimator is 'nearest-neighbours'; expected discrete "
            "factors with it, for MIG divides by a factor's entropy, which a continuous one does not have; take "
            "estimator='bins', or modularity, which divides by none"
        )
    information = latent_information(codes, factors, kinds, estimator, bins, neighbours, seed)
    return information_gap(information, label_entropy(binned(factors, kinds, bins)))


def information_gap(information: Float[np.ndarray, "d k"], entropy: Float[np.ndarray, " k"]) -> float:
    """Computes MIG from what is known of factors that vary.

    Args:
        information: `(d, K)` nats, of every latent about every factor.
        entropy: `(K,)` nats, of the factors.

    Raises:
        VaelensError: there are fewer than 2 latents.
    """
    _check_latents(information.T)
    second, best = np.sort(information, axis=0)[-2:]
    return float(np.mean((best - second) / entropy))


def _check_latents(codes: np.ndarray) -> None:
    check_two_latents(codes, "use dci's informativeness for a single latent")
