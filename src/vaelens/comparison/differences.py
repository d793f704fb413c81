"""Differences of two analyses in every score that both have, paired over images where their resamples are."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, stdtr

from vaelens.analysis import Analysis
from vaelens.comparison.sameness import why_unpaired
from vaelens.metrics.catalogue import COUNT, METRICS
from vaelens.statistics import percentile_interval

# Of each score whose resamples an analysis keeps: the part and the variable.
_RESAMPLED = {
    "reconstruction_error": ("reconstruction", "error_resampled"),
    "kl": ("latent", "kl_total_resampled"),
    "ces": ("latent", "ces_mean_resampled"),
    "ces_relative": ("latent", "ces_relative_active_mean_resampled"),
    "ces_posterior": ("latent", "ces_posterior_active_mean_resampled"),
}
_NORMAL = 1.959964  # of a 95 % interval
_NONE = float("nan")


@dataclass(frozen=True)
class ScoreDifference:
    """How far two models differ in one score.

    Attributes:
        score: its key in the catalogue.
        difference: the first model's less the second's.
        low: lower end of the 95 % interval, NaN where a model has none.
        high: upper end.
        p: two-sided p-value of no difference.
        paired: whether it is over the same images, so that what they have in common cancels.
        how: it was made.
    """

    score: str
    difference: float
    low: float
    high: float
    p: float
    paired: bool
    how: str


def score_differences(first: Analysis, second: Analysis) -> Iterator[ScoreDifference]:
    """Compares two analyses in every score of which both have a value.

    Paired: with θ_r and η_r the score of both in bootstrap resample r of the same images, the interval is the
    percentile interval of θ_r − η_r, and p that of the difference over its standard deviation, by t of images − 1
    degrees of freedom. Otherwise the two intervals are combined as those of independent estimates (MOVER):
    low = d − √((θ − l₁)² + (u₂ − η)²), high = d + √((u₁ − θ)² + (η − l₂)²); where both are of the same codes, which go
    together, it is too wide rather than too narrow.

    References:
        Confidence interval estimation of the difference between two statistics (Zou, Donner, 2008).
    """
    unpaired = why_unpaired(first, second)
    for score in METRICS:
        if score not in first.scores.index or score not in second.scores.index:
            continue
        values = [float(analysis.scores["value"][score]) for analysis in (first, second)]
        if not np.isfinite(values).all():
            continue
        resamples = None if unpaired else _resamples(first, second, score)
        if resamples is not None:
            yield _paired(score, values[0] - values[1], *resamples)
        else:
            ends = [[float(a.scores[end][score]) for end in ("low", "high")] for a in (first, second)]
            yield _independent(score, values, ends)


def _resamples(first: Analysis, second: Analysis, score: str) -> tuple[Float[np.ndarray, " r"], int] | None:
    """Computes the difference in each resample, with the number of images, or None where resamples are no partners."""
    part, variable = _RESAMPLED.get(score, ("", ""))
    both = [analysis.effects.get(part) for analysis in (first, second)]
    if any(effects is None or variable not in effects for effects in both):
        return None
    (one, other) = (effects for effects in both if effects is not None)
    same = all(one.attrs.get(name) == other.attrs.get(name) for name in ("images", "seed"))
    if not same or one.sizes["resample"] != other.sizes["resample"]:
        return None
    return one[variable].values - other[variable].values, int(one.attrs["images"])


def _paired(score: str, difference: float, resamples: Float[np.ndarray, " r"], images: int) -> ScoreDifference:
    low, high = (float(end) for end in percentile_interval(resamples, images=images))
    error = float(np.nanstd(resamples)) * np.sqrt(images / (images - 1))
    p = float(2 * stdtr(images - 1, -abs(difference) / error)) if error > 0 else float(difference == 0)
    return ScoreDifference(score, difference, low, high, p, True, f"paired over {images:,} images")


def _independent(score: str, values: list[float], ends: list[list[float]]) -> ScoreDifference:
    difference = values[0] - values[1]
    if not np.isfinite(ends).all():
        return ScoreDifference(score, difference, _NONE, _NONE, _NONE, False, "no interval: a score has none")
    (low_1, high_1), (low_2, high_2) = ends
    below = float(np.hypot(values[0] - low_1, high_2 - values[1]))
    above = float(np.hypot(high_1 - values[0], values[1] - low_2))
    reach = below if difference > 0 else above  # the side on which no difference lies
    how = "intervals of both, taken for independent"
    if METRICS[score].unit == COUNT or not reach > 0:  # a count of these images is not uncertain by them
        return ScoreDifference(score, difference, difference - below, difference + above, _NONE, False, how)
    p = float(2 * ndtr(-abs(difference) * _NORMAL / reach))
    return ScoreDifference(score, difference, difference - below, difference + above, p, False, how)
