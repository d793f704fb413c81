"""Intervals of statistics that are not means over images, by computing them again on random halves of the images."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from vaelens.errors import VaelensError


def half_samples(n: int, halves: int = 50, seed: int = 0) -> NDArray[np.int64]:
    """Draws random halves of n images, each without repetition.

    A bootstrap resample holds images several times over, which a predictor can learn by heart and an estimate of
    information takes for knowledge; a half holds each once.

    Args:
        n: number of images, 2 or more; of an odd number a half is the smaller one.
        halves: how many, 2 or more.
        seed: draws them, 0 or more.

    Returns:
        `(halves, n // 2)` indices.

    Raises:
        VaelensError: fewer than 2 images or halves, or a negative seed.

    Example:
        >>> half_samples(4, halves=2).tolist()
        [[2, 0], [3, 2]]
    """
    if n < 2 or halves < 2 or seed < 0:
        raise VaelensError(
            f"n is {n}, halves {halves} and seed {seed}; expected 2 images or more, 2 halves or more, and a seed of 0 "
            "or more"
        )
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation(n)[: n // 2] for _ in range(halves)])


def half_sample_interval(
    value: ArrayLike, replicates: ArrayLike, level: float = 0.95, doublings: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Computes the interval of a statistic from its values on halves, the delete-half jackknife.

    With θ̂_h the statistic on half h of H, its standard error is s = √(Σ_h (θ̂_h − mean θ̂)² / (H − 1)): of a mean over
    images that is, over all halves, exactly its usual standard error σ̂/√n. The interval is θ̂ ± t s, t the
    (1 + level)/2 quantile of Student's distribution with H − 1 degrees of freedom. A bias that grows as images get
    fewer shifts all halves alike and does not enter: the interval covers what as many other images have.

    To cover what many images have, where the statistic drifts with their number, say how many `doublings` k away that
    is. The drift from half the images to all, Δ = θ̂ − mean θ̂_h, is then taken to go on for up to k times as much: the
    interval is from min(θ̂, θ̂ + kΔ) − t s' to max(θ̂, θ̂ + kΔ) + t s', s' = s √(1 + k²/H). A bias that falls with 1/n has
    Δ left, one that grows with log n has kΔ; both are covered.

    Args:
        value: the statistic on all images, `(*shape)`.
        replicates: on each half, `(H, *shape)`, two or more; NaN or infinity in one is NaN in the interval.
        level: probability that the interval covers the statistic, in (0, 1).
        doublings: k, 0 or more: log₂(N/n) for the statistic of N images.

    Returns:
        Lower and upper end, each `(*shape)`.

    Raises:
        VaelensError: fewer than two halves, shapes that do not match, a level not between 0 and 1, doublings below 0.

    References:
        A general theory for jackknife variance estimation (Shao, Wu, 1989).

    Example:
        >>> images = np.random.default_rng(0).normal(size=400)
        >>> low, high = half_sample_interval(images.mean(), images[half_samples(400)].mean(axis=1))
        >>> bool(low < images.mean() < high)
        True
    """
    if not 0 < level < 1:
        raise VaelensError(f"level is {level}; expected a probability between 0 and 1, such as 0.95")
    value, replicates = np.asarray(value, dtype=np.float64), np.asarray(replicates, dtype=np.float64)
    if len(replicates) < 2 or replicates.shape[1:] != value.shape:
        raise VaelensError(
            f"replicates have shape {replicates.shape} and the value {value.shape}; expected (H, *shape) with two "
            "halves or more"
        )
    if not doublings >= 0:
        raise VaelensError(
            f"doublings is {doublings}; expected 0 or more: drift is followed to more images, not to fewer"
        )
    count = len(replicates)
    with np.errstate(invalid="ignore"):  # an infinite statistic has no error
        error = replicates.std(axis=0, ddof=1) * np.sqrt(1 + doublings**2 / count)
        drifted = value + doublings * (value - replicates.mean(axis=0))
    reach = np.asarray(t.ppf((1 + level) / 2, count - 1) * error)
    return np.asarray(np.minimum(value, drifted) - reach), np.asarray(np.maximum(value, drifted) + reach)
