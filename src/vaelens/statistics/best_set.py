"""The candidates that may be the best, all compared at once by stepwise max-t tests of paired differences.

Costs resamples · candidates² once candidates that lie far behind are out; holds resamples · candidates differences.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtrit

from vaelens.errors import VaelensError

_FAR = 1e-3  # share of the error that candidates far behind may take


def best_set(
    estimates: ArrayLike,
    replicates: ArrayLike,
    level: float = 0.95,
    largest: bool = True,
    images: int | None = None,
) -> NDArray[np.bool_]:
    """Finds the candidates that are not excluded as the best.

    For candidates j and k of the set S that is left, t_jk = (θ_j − θ_k) / se_jk, se_jk being the standard deviation of
    the difference over the replicates. Candidate k goes when max_j t_jk exceeds c_S, the `level` quantile over
    replicates of the largest centred t*_jk of all ordered pairs in S. This is repeated with those left until none goes
    (Romano and Wolf's steps on the pairs of a model confidence set). With probability `level` or more no candidate that
    is truly best goes, all of them at once where several tie. Since differences are resampled, what the candidates have
    in common cancels, and overlapping intervals are no reason to call two tied.

    Candidates so far behind another that no quantile of normal pairs could keep them go first, at a thousandth of the
    error: most of many candidates then cost one comparison.

    Args:
        estimates: `(candidates,)`, the quantity of each; NaN or infinite ones are no candidates.
        replicates: `(resamples, candidates)`, the same of each resample, under the same weights for all candidates:
            `BootstrapMean.replicates`, or values on the halves of `half_samples`. Resamples with NaN are left out.
        level: probability that all best candidates are in the set, in (0, 1).
        largest: whether the largest is the best, rather than the smallest.
        images: n, how many images were resampled: c_S is then widened for their number, to
            √(n/(n − 1)) t⁻¹(Φ(c_S)), t of Student's distribution with n − 1 degrees of freedom, as in
            `percentile_interval`. None for the quantile as it is.

    Returns:
        `(candidates,)`, True for those that may be the best; at least one where there is a candidate.

    Raises:
        VaelensError: shapes that do not match, fewer than two complete resamples or images, or a level that is no
            probability.

    References:
        Exact and approximate stepdown methods for multiple hypothesis testing (Romano, Wolf, 2005).
        The model confidence set (Hansen, Lunde, Nason, 2011).

    Example:
        >>> from vaelens.statistics import BootstrapMean
        >>> rng = np.random.default_rng(0)
        >>> common = rng.normal(size=(400, 1))  # in the effects of all candidates on an image
        >>> values = common + [0.0, 1.0, 1.0] + 0.2 * rng.normal(size=(400, 3))
        >>> total = BootstrapMean((3,))
        >>> total.update(values)
        >>> best_set(total.mean, total.replicates, images=400)
        array([False,  True,  True])
    """
    estimates, replicates = np.asarray(estimates, dtype=np.float64), np.asarray(replicates, dtype=np.float64)
    if not 0 < level < 1:
        raise VaelensError(f"level is {level}; expected a probability between 0 and 1, such as 0.95")
    if images is not None and images < 2:
        raise VaelensError(f"images is {images}; expected at least 2, for fewer have no spread to judge by")
    if estimates.ndim != 1 or replicates.ndim != 2 or replicates.shape[1] != len(estimates):
        raise VaelensError(
            f"estimates have shape {estimates.shape} and replicates {replicates.shape}; expected (candidates,) and "
            "(resamples, candidates)"
        )
    candidates = np.isfinite(estimates)
    if candidates.sum() < 2:
        return candidates
    complete = np.isfinite(replicates[:, candidates]).all(axis=1)
    if complete.sum() < 2:
        raise VaelensError(
            f"{int(complete.sum())} of {len(replicates)} resamples have a finite value of every candidate; expected at "
            "least 2, usually 1000; leave out the candidates that lack values"
        )
    values = estimates[candidates] if largest else -estimates[candidates]
    deviations = replicates[complete][:, candidates]
    deviations = deviations - deviations.mean(axis=0)  # about their own mean: what resampling adds is no error
    left = _near_the_best(values, deviations, 1 - level)
    while len(left) > 1:
        lag, error = _lags(values[left], deviations[:, left])
        quantile = np.quantile(_largest(deviations[:, left], error), 1 - (1 - level) * (1 - _FAR))
        behind = lag > _widened(float(quantile), images)
        if not behind.any():
            break
        left = left[~behind]
    candidates[np.flatnonzero(candidates)] = np.isin(np.arange(len(values)), left)
    return candidates


def _near_the_best(values: Float[np.ndarray, " k"], deviations: Float[np.ndarray, "r k"], error: float) -> NDArray:
    """Finds the candidates that are not far behind the one with the largest estimate, as indices."""
    best = int(values.argmax())
    far = -float(ndtri(_FAR * error / len(values) ** 2))  # Bonferroni over all ordered pairs
    apart = (deviations - deviations[:, [best]]).std(axis=0)
    return np.flatnonzero(_ratio(values[best] - values, apart) <= far)


def _lags(
    values: Float[np.ndarray, " k"], deviations: Float[np.ndarray, "r k"]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"]]:
    """Computes max_j t_jk of each candidate k, and se_jk."""
    covariance = deviations.T @ deviations / len(deviations)
    variance = np.diag(covariance)
    squares = variance[:, None] + variance - 2 * covariance
    # What rounding leaves of two candidates that never differ is no spread.
    error = np.sqrt(np.where(squares > 1e-12 * (variance[:, None] + variance), squares, 0))
    return _ratio(values[:, None] - values, error).max(axis=0), error


def _largest(deviations: Float[np.ndarray, "r k"], error: Float[np.ndarray, "k k"]) -> Float[np.ndarray, " r"]:
    """Computes each replicate's largest t*_jk over all ordered pairs, in single precision, as most time goes here."""
    with np.errstate(divide="ignore"):
        precision = np.where(error > 0, 1 / error, 0)  # of two that never differ there is nothing to compare
    # What all have in common cancels, and would take up digits; nothing is then too small for the type.
    apart = deviations - deviations.mean(axis=1, keepdims=True)
    scale = float(np.abs(apart).max()) or 1.0
    precision = (precision * scale).astype(np.float32)
    by_candidate = np.ascontiguousarray((apart / scale).T, dtype=np.float32)
    largest, differences = np.zeros(len(deviations), dtype=np.float32), np.empty_like(by_candidate)
    for j in range(len(error) - 1):
        t = np.subtract(by_candidate[j + 1 :], by_candidate[j], out=differences[j + 1 :])
        np.abs(t, out=t)
        t *= precision[j, j + 1 :, None]
        np.maximum(largest, t.max(axis=0), out=largest)
    return largest.astype(np.float64)


def _widened(quantile: float, images: int | None) -> float:
    """Widens the quantile for the number of images, since resamples of few vary less than new images would."""
    if images is None:
        return quantile
    return float(np.sqrt(images / (images - 1)) * -stdtrit(images - 1, ndtr(-quantile)))


def _ratio(difference: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Computes difference / error, with 0/0 as 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(difference == 0, 0.0, difference / error)
