"""Gaussian total correlation: how far the codes' covariance is from that of independent latents. Needs no factors."""

import numpy as np
from numpy.typing import ArrayLike

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.arrays import check_codes


def gaussian_total_correlation(codes: ArrayLike) -> float:
    """Total correlation of the Gaussian with the covariance of the codes.

    TC = KL(N(μ, Σ) || Π_j N(μ_j, Σ_jj)) = ½ (Σ_j log Σ_jj − log det Σ) = −½ log det R, with Σ the sample covariance
    of the codes and R their correlations, which is how it is computed: the scale of a latent does not matter.

    A constant latent is independent of all others, adds nothing and is left out (the reference gives NaN there).
    A latent that is an exact linear function of others makes Σ singular and TC infinite.

    Args:
        codes: `(N, d)` codes of N images, more images than latents that vary.

    Returns:
        Nats, from 0 (no two latents are correlated) to infinity. Lower is better.

    Raises:
        VaelensError: if the codes are not as above, or there are too few images for a covariance of full rank.

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
    """
    codes = check_codes(codes)
    codes = codes[:, np.ptp(codes, axis=0) > 0].astype(np.float64)
    images, latents = codes.shape
    if images <= latents or images < 2:
        raise VaelensError(
            f"codes hold {images} images for {latents} latents that vary; expected more images than latents, and at "
            "least 2: the covariance of fewer is singular whatever the code; give more images"
        )
    if latents < 2:
        return 0.0
    correlations = np.corrcoef(codes, rowvar=False)
    if np.linalg.matrix_rank(correlations, hermitian=True) < latents:
        return float("inf")
    return abs(0.5 * float(np.linalg.slogdet(correlations)[1]))  # never above 0 but for rounding
