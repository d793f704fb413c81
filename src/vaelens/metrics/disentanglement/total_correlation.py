"""Gaussian total correlation, which needs no factors, or how far the codes' covariance is from independence."""

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.arrays import check_codes


def gaussian_total_correlation(codes: ArrayLike, latents: ArrayLike | None = None) -> float:
    """Computes the total correlation of the Gaussian with the covariance of the codes.

    TC = KL(N(μ, Σ) || Π_j N(μ_j, Σ_jj)) = ½ (Σ_j log Σ_jj − log det Σ) = −½ log det R, with Σ the sample covariance
    of the codes and R their correlations, which is how it is computed: the scale of a latent does not matter.

    Nor does it matter how little a latent carries. A collapsed latent whose mean hardly varies often varies as a
    function of the others, and adds as much as one that carries everything: a model with five live latents that are
    almost independent can have 11 nats, all of them of dead ones. To compare models, give the informative `latents`;
    reports do.

    A constant latent is independent of all others, adds nothing and is left out (the reference gives NaN there).
    A latent that is an exact linear function of others makes Σ singular and TC infinite.

    Args:
        codes: `(N, d)` codes of N images, more images than latents that vary.
        latents: the latents that count, as indices or as `(d,)` of True and False; all by default, which is the
            reference's definition.

    Returns:
        Nats, from 0 (no two latents are correlated) to infinity. Lower is better.

    Raises:
        VaelensError: if the codes are not as above, there are too few images for a covariance of full rank, or a latent
            that is asked for is not there.

    References:
        Information theoretical analysis of multivariate correlation (Watanabe, 1960).
        Challenging common assumptions in the unsupervised learning of disentangled representations
        (Locatello et al., 2019), for its use on codes.

    Example:
        >>> independent = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> gaussian_total_correlation(independent)
        0.0
        >>> round(gaussian_total_correlation(independent @ [[1, 1], [0, 1]]), 6)
        0.346574
        >>> dead = 1e-6 * independent.sum(axis=1, keepdims=True) + [[0], [0], [0], [1e-9]]
        >>> gaussian_total_correlation(np.hstack([independent, dead])) > 7
        True
        >>> gaussian_total_correlation(np.hstack([independent, dead]), latents=[True, True, False])
        0.0
    """
    codes = check_codes(codes)
    if latents is not None:
        codes = codes[:, _columns(latents, codes.shape[1])]
    codes = codes[:, np.ptp(codes, axis=0) > 0].astype(np.float64)
    images, varying = codes.shape
    if images <= varying or images < 2:
        raise VaelensError(
            f"codes hold {images} images for {varying} latents that vary; expected more images than latents, and at "
            "least 2: the covariance of fewer is singular whatever the code; give more images"
        )
    if varying < 2:
        return 0.0
    correlations = np.corrcoef(codes, rowvar=False)
    if np.linalg.matrix_rank(correlations, hermitian=True) < varying:
        return float("inf")
    return abs(0.5 * float(np.linalg.slogdet(correlations)[1]))  # never above 0 but for rounding


def _columns(latents: ArrayLike, d: int) -> Int[np.ndarray, " chosen"]:
    """Returns the indices of the latents that are asked for.

    Raises:
        VaelensError: neither flags for each latent nor different indices of theirs.
    """
    chosen = np.asarray(latents)
    if chosen.dtype == bool and chosen.shape == (d,):
        return np.flatnonzero(chosen)
    if chosen.size == 0 and chosen.ndim == 1:
        return np.zeros(0, dtype=np.int64)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or len(np.unique(chosen.astype(np.int64) % d)) < len(chosen):
        raise VaelensError(
            f"latents is {latents!r}; expected different indices of latents, or True and False for each of the {d}"
        )
    if chosen.min() < -d or chosen.max() >= d:
        raise VaelensError(f"latents is {latents!r}; expected indices from 0 to {d - 1}")
    return chosen.astype(np.int64) % d
