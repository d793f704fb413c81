"""Effect sizes of two samples with intervals, for how far apart means are (Hedges' g) or ranks are (Cliff's δ)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, nctdtrinc, ndtri

from vaelens.errors import VaelensError


@dataclass(frozen=True, eq=False)
class EffectSize:
    """An effect size and its interval, `(*shape)` each, positive where the first sample is larger.

    Attributes:
        estimate: the effect size.
        low: the interval's lower end.
        high: the interval's upper end.
    """

    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def hedges_g(first: ArrayLike, second: ArrayLike, paired: bool = False, level: float = 0.95) -> EffectSize:
    """Computes Hedges' g, the standardised difference of two means without the bias of small samples.

    g = J(ν) · (mean(first) − mean(second)) / s, with J(ν) = Γ(ν/2) / (√(ν/2) Γ((ν − 1)/2)), exactly. Independent
    samples of n and m: s the pooled standard deviation, ν = n + m − 2. Paired samples: s the standard deviation of the
    n differences, ν = n − 1 (so g estimates δ_z, which grows as the partners correlate, and compares with other paired
    designs alone).

    The interval is of the true δ that g estimates, by the noncentral t distribution: the values of δ under which the t
    statistic found is neither among the smallest nor the largest (1 − level)/2. It is exact for normal values (of
    equal variance, where independent).

    Args:
        first: `(n, *shape)`, n ≥ 2.
        second: `(m, *shape)`, m ≥ 2; for `paired` m = n, row by row the partners of `first`.
        paired: whether rows are pairs.
        level: probability that the interval covers δ, in (0, 1).

    Returns:
        An `EffectSize`, cell by cell. Without any spread, g is infinite, or NaN if the means are equal, and the
        interval is NaN; NaN where a value is.

    Raises:
        VaelensError: samples whose shapes do not fit, or a level that is no probability.

    References:
        Distribution theory for Glass's estimator of effect size and related estimators (Hedges, 1981).
        A primer on the understanding, use, and calculation of confidence intervals that are based on central and
        noncentral distributions (Cumming, Finch, 2001).

    Example:
        >>> size = hedges_g([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
        >>> round(float(size.estimate), 4), bool(size.low < 0 < size.high)
        (1.0093, True)
    """
    first, second = _samples(first, second, level)
    if paired and len(first) != len(second):
        raise VaelensError(f"first has {len(first)} rows and second {len(second)}; paired samples have as many each")
    n, m = len(first), len(second)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # no spread is answered, not warned of
        if paired:
            difference, freedom, size = (first - second).mean(axis=0), n - 1, float(n)
            variance = (first - second).var(axis=0, ddof=1)
        else:
            difference, freedom, size = first.mean(axis=0) - second.mean(axis=0), n + m - 2, n * m / (n + m)
            variance = ((n - 1) * first.var(axis=0, ddof=1) + (m - 1) * second.var(axis=0, ddof=1)) / freedom
        d = np.asarray(difference / np.sqrt(variance))
        t = np.sqrt(size) * d
        finite = np.isfinite(t)
        low, high = (
            np.where(finite, nctdtrinc(freedom, p, np.where(finite, t, 0)) / np.sqrt(size), np.nan)
            for p in ((1 + level) / 2, (1 - level) / 2)
        )
    return EffectSize(np.asarray(correction(freedom) * d), low, high)


def correction(freedom: float) -> float:
    """Computes J(ν), by which a standardised mean difference is multiplied to be unbiased.

    It is 0 for ν = 1 and 1 for infinite ν.

    Example:
        >>> round(correction(4), 6)
        0.797885
    """
    if freedom <= 1:
        return 0.0
    return float(np.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / np.sqrt(freedom / 2))


def cliffs_delta(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> EffectSize:
    """Computes Cliff's δ = P(X > Y) − P(X < Y) of independent samples.

    It needs an order only, no distribution.

    The estimate is the mean of sign(xᵢ − yⱼ) over all pairs. With s² Cliff's unbiased estimate of its variance (no
    smaller than (1 − δ²)/(nm − 1)) and z the normal quantile of (1 + level)/2, the interval is Feng and Cliff's,

        (δ − δ³ ± z s √((1 − δ²)² + z² s²)) / (1 − δ² + z² s²),

    which is asymmetric and stays inside [−1, 1]. Where the samples do not overlap (δ = ±1) no spread is left to judge
    by, and the interval is from ±(k − z²)/(k + z²) to ±1, k the smaller of n and m. Both are approximate: they come
    close to `level` from some ten values each.

    Args:
        first: `(n, *shape)`, n ≥ 2.
        second: `(m, *shape)`, m ≥ 2.
        level: probability that the interval covers δ, in (0, 1).

    Returns:
        An `EffectSize`, cell by cell, in [−1, 1]; NaN where a value is.

    Raises:
        VaelensError: samples whose shapes do not fit, or a level that is no probability.

    References:
        Dominance statistics: ordinal analyses to answer ordinal questions (Cliff, 1993).
        Monte Carlo evaluation of ordinal d with improved confidence interval (Feng, Cliff, 2004).

    Example:
        >>> size = cliffs_delta([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
        >>> round(float(size.estimate), 4)
        0.6667
    """
    first, second = _samples(first, second, level)
    n, m = len(first), len(second)
    broken = np.isnan(first).any(axis=0) | np.isnan(second).any(axis=0)
    by_first, by_second, squares = np.empty(first.shape), np.zeros(second.shape), np.zeros(first.shape[1:])
    for i in range(n):  # one row after the other: the table of all pairs of every cell would be n times as large
        order = _order(first[i : i + 1], second)  # (m, *shape)
        by_first[i], by_second, squares = order.mean(axis=0), by_second + order / n, squares + (order**2).sum(axis=0)
    delta = by_first.mean(axis=0)
    of_first, of_second = ((by_first - delta) ** 2).sum(axis=0), ((by_second - delta) ** 2).sum(axis=0)
    between = squares - n * m * delta**2  # Σ_ij (d_ij − δ)²
    variance = (m**2 * of_first + n**2 * of_second - between) / (n * m * (n - 1) * (m - 1))
    variance = np.maximum(variance, (1 - delta**2) / (n * m - 1))
    z2 = ndtri((1 + level) / 2) ** 2
    root = np.sqrt(z2 * variance * ((1 - delta**2) ** 2 + z2 * variance))
    bottom = 1 - delta**2 + z2 * variance
    apart = np.abs(delta) == 1
    safe = np.where(apart, 1, bottom)
    low, high = (delta - delta**3 - root) / safe, (delta - delta**3 + root) / safe
    edge = (min(n, m) - z2) / (min(n, m) + z2)
    low = np.where(apart, np.where(delta > 0, edge, -1), low)
    high = np.where(apart, np.where(delta > 0, 1, -edge), high)
    delta, low, high = (np.where(broken, np.nan, end) for end in (delta, low, high))
    return EffectSize(delta, low, high)


def _order(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns 1 where the first is larger than the second, −1 where it is smaller, else 0."""
    return (first > second).astype(np.float64) - (first < second)


def _samples(first: ArrayLike, second: ArrayLike, level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    fits = first.ndim > 0 and first.ndim == second.ndim and first.shape[1:] == second.shape[1:]
    if not fits or min(len(first), len(second)) < 2:
        raise VaelensError(
            f"first has shape {first.shape} and second {second.shape}; expected (n, *shape) and (m, *shape) with at "
            "least 2 rows each"
        )
    if not 0 < level < 1:
        raise VaelensError(f"level is {level}; expected a probability between 0 and 1, such as 0.95")
    return first, second
