"""The interventional robustness score, or how far a latent stays where it is when all factors but one change.

Costs one pass over the codes for each value of each factor.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from vaelens.arguments import whole_number
from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.arrays import CodeArray
from vaelens.metrics.disentanglement.information import discretise
from vaelens.metrics.disentanglement.labels import labelled, varying_factors
from vaelens.metrics.disentanglement.pairs import check_pair


def irs(codes: ArrayLike, factors: ArrayLike, quantile: Any = 0.99, bins: Any = 20) -> float:
    """Measures how far latents stay where they are while a factor is held and the others change (IRS).

    Let E_jk be the mean over the values v of factor k of the `quantile` (over images with v_k = v) of
    |z_j − E[z_j | v_k = v]|: how far the other factors move latent j while factor k is held. With
    M_j = max |z_j − E z_j| over all images, latent j has the robustness R_j = max_k (1 − E_jk / M_j), and
    IRS = Σ_j M_j R_j / Σ_j M_j: latents count by how far they move.

    The quantile takes the place of the paper's maximum, which one outlier would decide; 0.99 is the
    reference's. A factor of more values than `bins` is cut into as many bins of equal width first, as the
    reference does; up to that, each value is a bin of its own.

    A constant latent is left out (M_j = 0); a factor with one value is left out too, for holding it holds
    nothing. Codes of which every latent is constant score 0. A value that few images have holds their codes close
    together, so the score needs many images for each value.

    Args:
        codes: `(N, d)` codes of N images.
        factors: `(N, K)` whole numbers: the index of each factor's value in each image, −1 or NaN where it is
            missing.
        quantile: above 0, at most 1 (the paper's maximum).
        bins: of a factor with more values, at least 2; None takes every factor value by value.

    Returns:
        A score from 0 (the other factors move every latent as far as it goes) to 1 (every latent depends on one
        factor only). Higher is better.

    Raises:
        VaelensError: if an array is not as above, no factor varies, or quantile or bins are out of range.

    References:
        Robustly disentangled causal mechanisms: validating deep representations for interventional robustness
        (Suter, Miladinović, Schölkopf, Bauer, 2019).
        Challenging common assumptions in the unsupervised learning of disentangled representations
        (Locatello et al., 2019), for the quantile.

    Example:
        >>> factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> irs(codes=3.0 * factors, factors=factors)
        1.0
        >>> irs(codes=factors @ [[1, 1], [1, -1]], factors=factors)
        0.5
    """
    codes, factors = check_pair(codes, factors)
    if not (isinstance(quantile, int | float | np.floating) and 0 < quantile <= 1):
        raise VaelensError(f"quantile is {quantile!r}; expected a number above 0 and at most 1, usually 0.99")
    varying = varying_factors(factors)
    bins = None if bins is None else whole_number("bins", bins, 2)
    codes = codes[:, np.ptp(codes, axis=0) > 0].astype(np.float64)
    if codes.shape[1] == 0:
        return 0.0
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)  # (d,)
    moved = []
    for k in varying:
        have = labelled(factors)[:, k]
        values = factors[have, k]
        if bins is not None and len(np.unique(values)) > bins:
            values = discretise(values[:, None].astype(np.float64), bins)[:, 0]
        moved.append(_moved(codes[have], values, float(quantile)))
    robustness = (1 - np.stack(moved) / largest).max(axis=0)  # of (varying factors, d)
    return float(np.average(robustness, weights=largest))


def _moved(codes: CodeArray, values: Int[np.ndarray, " n"], quantile: float) -> Float[np.ndarray, " d"]:
    """Measures how far each latent lies from its mean while the factor is held, averaged over the factor's values."""
    held = (codes[values == value] for value in np.unique(values))
    return np.mean([np.quantile(np.abs(z - z.mean(axis=0)), quantile, axis=0) for z in held], axis=0)
