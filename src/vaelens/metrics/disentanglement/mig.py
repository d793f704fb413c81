"""The mutual information gap: how much more the best latent knows about a factor than the second best."""

import numpy as np
from numpy.typing import ArrayLike

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.arrays import check_pair, check_two_latents, varying_factors
from vaelens.metrics.disentanglement.information import discretise, entropy, mutual_information


def mig(codes: ArrayLike, factors: ArrayLike, bins: int = 20) -> float:
    """Mutual information gap (MIG): is each factor encoded in one latent alone?

    MIG = 1/K Σ_k (I(z_j(k); v_k) − max_{j ≠ j(k)} I(z_j; v_k)) / H(v_k), with j(k) the latent that knows most
    about factor k, and I estimated after each latent is cut into equal-width bins between its extremes.

    A factor with one value has entropy 0 and is left out of the mean. A constant latent knows nothing and
    has I = 0; it never is the best or second best unless fewer than two latents vary. The score does not
    change when latents are permuted. Flipping a latent's sign leaves it the same too, except for codes that
    lie exactly on an edge between bins, which then change bin: codes of few distinct values, not of real ones.

    Args:
        codes: `(N, d)` codes of N images, d at least 2.
        factors: `(N, K)` whole numbers: the index of each factor's value in each image.
        bins: number of bins for each latent, 2 or more.

    Returns:
        A score from 0 (every factor is known equally to two latents, or to none) to 1 (every factor is fully
        known to one latent and not at all to the others). Higher is better.

    Raises:
        VaelensError: if an array is not as above, no factor varies, or there are fewer than 2 latents or bins.

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
    codes, factors = check_pair(codes, factors)
    check_two_latents(codes, "use dci's informativeness for a single latent")
    if bins < 2:
        raise VaelensError(f"bins is {bins}; expected 2 or more, usually 20")
    factors = factors[:, varying_factors(factors)]
    information = mutual_information(discretise(codes, bins), factors)  # (d, varying factors)
    second, best = np.sort(information, axis=0)[-2:]
    return float(np.mean((best - second) / entropy(factors)))
