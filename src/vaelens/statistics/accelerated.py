"""The bias-corrected and accelerated bootstrap interval, for skewed values of which all are at hand.

Holds the values and the resamples of the statistic; `BootstrapMean` holds neither. The mean costs one matrix product,
any other statistic a call for each resample and for each image left out.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from vaelens.errors import VaelensError
from vaelens.statistics.bootstrap import quantiles
from vaelens.statistics.weights import generator_of

_BLOCK = 256  # resamples drawn at once


def bca_interval(
    values: ArrayLike,
    statistic: Callable[[NDArray[np.float64]], Any] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Computes the bias-corrected and accelerated (BCa) bootstrap interval of a statistic over images.

    Its ends are the Φ(z₀ + (z₀ + z) / (1 − a(z₀ + z))) quantiles of the resamples' statistics, z the normal quantiles
    of (1 ∓ level)/2. The bias z₀ is Φ⁻¹ of the share of resamples below the estimate (equal ones count half); the
    acceleration, from the statistic θ₍ᵢ₎ without image i and the mean θ̄ of these, is
    a = Σ(θ̄ − θ₍ᵢ₎)³ / (6 (Σ(θ̄ − θ₍ᵢ₎)²)^{3/2}).

    Args:
        values: `(n, *shape)`, one row for each of n ≥ 2 images.
        statistic: takes `(m, *shape)`, returns an array `(*out)`; None for the mean over images, cell by cell.
        level: probability that the interval covers the statistic, in (0, 1).
        resamples: number of resamples, each n images drawn with replacement; 1 or more.
        seed: draws them, 0 or more.

    Returns:
        Lower and upper end, each `(*out)`, `(*shape)` for the mean. NaN where a value is NaN or infinite, and where
        all resamples lie on one side of the estimate, which leaves z₀ without bounds.

    Raises:
        VaelensError: fewer than two images, or an argument out of range.

    References:
        Better bootstrap confidence intervals (Efron, 1987).

    Example:
        >>> values = np.random.default_rng(0).exponential(size=100)
        >>> low, high = bca_interval(values)
        >>> bool(low < values.mean() < high), bool(high - values.mean() > values.mean() - low)
        (True, True)
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 0 or len(values) < 2:
        raise VaelensError(f"values have shape {values.shape}; expected (n, *shape), one row for each of n ≥ 2 images")
    if not 0 < level < 1:
        raise VaelensError(f"level is {level}; expected a probability between 0 and 1, such as 0.95")
    if resamples < 1:
        raise VaelensError(f"resamples is {resamples}; expected 1 or more, usually 2000")
    generator = generator_of(seed)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are answered, not warned of
        of_mean = statistic is None
        estimate, replicates, left_out = (
            _means(values, resamples, generator) if of_mean else _any(values, statistic, resamples, generator)
        )
        usual = np.isfinite(estimate) & np.isfinite(left_out).all(axis=0)
        below = np.mean(replicates < estimate, axis=0) + np.mean(replicates == estimate, axis=0) / 2
        bias = ndtri(below)
        pulls = left_out.mean(axis=0) - left_out  # (n, *out)
        spread = (pulls**2).sum(axis=0) ** 1.5
        # A statistic that no image moves has no acceleration: its interval is that one number.
        acceleration = (pulls**3).sum(axis=0) / np.where(spread > 0, 6 * spread, 1)
        ends = []
        for p in ((1 - level) / 2, (1 + level) / 2):
            shifted = bias + ndtri(p)
            ends.append(ndtr(bias + shifted / (1 - acceleration * shifted)))
    usual = usual & np.isfinite(ends[0]) & np.isfinite(ends[1]) & np.isfinite(bias)
    ordered = np.sort(np.moveaxis(replicates, 0, -1), axis=-1)  # (*out, resamples)
    count = np.full(np.shape(estimate), resamples)
    low, high = (np.where(usual, quantiles(ordered, count, np.where(usual, end, 0.5)), np.nan) for end in ends)
    return low, high


def _means(
    values: NDArray[np.float64], resamples: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Computes the mean, its resamples (resamples, *shape), and the means without each image (n, *shape)."""
    n = len(values)
    # Of differences to the first image: a constant then has no spread at all.
    deviations = values - values[0]
    cells = deviations.reshape(n, -1)
    parts = []
    for start in range(0, resamples, _BLOCK):
        drawn = generator.integers(n, size=(min(_BLOCK, resamples - start), n))
        rows = np.arange(len(drawn))[:, None]
        counts = np.bincount((drawn + n * rows).ravel(), minlength=n * len(drawn)).reshape(len(drawn), n)
        parts.append(counts @ cells / n)
    total = deviations.sum(axis=0)
    replicates = np.concatenate(parts).reshape(resamples, *values.shape[1:])
    return (
        np.asarray(values[0] + total / n),
        values[0] + replicates,
        values[0] + (total - deviations) / (n - 1),
    )


def _any(
    values: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], Any] | None,
    resamples: int,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Computes any statistic, its resamples (resamples, *out), and its values without each image (n, *out)."""
    assert statistic is not None, "the mean goes by matrix product"
    n = len(values)
    replicates = [statistic(values[generator.integers(n, size=n)]) for _ in range(resamples)]
    without = [statistic(np.delete(values, image, axis=0)) for image in range(n)]
    return (
        np.asarray(statistic(values), dtype=np.float64),
        np.asarray(replicates, dtype=np.float64),
        np.asarray(without, dtype=np.float64),
    )
