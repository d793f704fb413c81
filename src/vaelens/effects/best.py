"""The latents or units that may have the largest score, from the bootstrap weights that a sweep shares."""

import numpy as np

from vaelens.effects.record import Array
from vaelens.statistics import best_set

_ROUNDING = 1e-6  # of the largest estimate: what is nearer to it ties with it


def best(estimates: Array, replicates: Array, images: int, candidates: Array | None = None) -> Array:
    """Marks the candidates that the images do not exclude as the one with the largest estimate.

    `best_set` of paired differences, at 95 % for all candidates at once. Estimates that differ from the largest by
    rounding tie with it. One image has no spread that could exclude anything, and neither have resamples of which
    fewer than two have a value of every candidate: all candidates then stay in the set.

    Args:
        estimates: of each, (candidates,); NaN or infinite ones are no candidates.
        replicates: of each resample, (resamples, candidates).
        images: how many were resampled.
        candidates: which are compared, (candidates,); all of them by default.

    Example:
        >>> best(np.array([1.0, 3.0, 2.0]), np.array([[1.0, 3.1, 2.0], [1.1, 3.0, 2.0]]), images=50)
        array([False,  True, False])
        >>> best(np.array([1.0, 3.0, np.nan]), np.zeros((2, 3)), images=1)
        array([ True,  True, False])
    """
    compared = np.isfinite(estimates)
    if candidates is not None:
        compared &= candidates
    values = replicates[:, compared]
    if images < 2 or np.isfinite(values).all(axis=1).sum() < 2:
        return compared
    means = estimates[compared]
    if len(means):
        largest = means.max()
        means = np.where(largest - means <= _ROUNDING * abs(largest), largest, means)
    marked = np.zeros_like(compared)
    marked[compared] = best_set(means, values, images=images)
    return marked
