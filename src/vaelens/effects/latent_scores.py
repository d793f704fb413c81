"""The scores of level 2 for latents, directions or positions, from a sweep's sums to the variables of a result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vaelens.effects.best import best
from vaelens.effects.record import Array, Interval, Variables, with_interval
from vaelens.effects.reference_distance import in_distances
from vaelens.effects.replacements import Replacements
from vaelens.effects.sweep import Sweep, mean_over_values
from vaelens.statistics import BootstrapMean, percentile_interval

EPSILON = 1e-8
# The scores by which latents, or positions, are ranked.
BEST_OF = {
    **dict.fromkeys(("latent", "direction"), ("ces", "ces_posterior", "specificity_normalised")),
    "position": ("ces",),
}
# The means whose resamples are kept, so that models can be compared on the same images.
RESAMPLED = {
    **dict.fromkeys(("latent", "direction"), ("ces_mean", "ces_relative_active_mean", "ces_posterior_active_mean")),
    "position": (),
}


@dataclass(frozen=True, eq=False)
class _Score:
    """A score of each unit, with its bootstrap replicates and the kind of its interval."""

    name: str
    values: Array  # (units,)
    replicates: Array  # (resamples, units)
    interval: Callable[[Array, Array, int], Interval]


def score_variables(
    swept: Sweep,
    plan: Replacements,
    at_once: BootstrapMean,
    distance: tuple[float, Array],
    active: Array,
    images: int,
    axes: Sequence[str],
) -> Variables:
    """Computes the effects and scores of every unit.

    Args:
        swept: the sweep.
        plan: its interventions.
        at_once: the specificity of all units at once, and whether an image changes.
        distance: the mean distance of two reconstructions, and its replicates.
        active: which units are, (units,).
        images: how many there were.
        axes: the names of an observation's axes.
    """
    unit = plan.over
    # Effects, and how strong they are.
    ces, replicates = mean_over_values(swept.effect)
    posterior, posteriors = np.full_like(ces, np.nan), np.full_like(replicates, np.nan)
    if swept.calibrated:
        posterior, posteriors = mean_over_values(swept.calibrated)
    mean_distance, distances = distance
    relative, relatives = in_distances(ces, mean_distance), in_distances(replicates, distances[:, None])
    # How concentrated they are: of the mean picture, and image by image.
    count = swept.outputs[0].shape[0]
    widest = np.log(count) if count > 1 else np.nan
    specificity, specificities = 1 / (swept.entropy + EPSILON), 1 / (swept.entropy_replicates + EPSILON)
    normalised, normaliseds = 1 - swept.entropy / widest, 1 - swept.entropy_replicates / widest
    scores = [
        _Score("ces", ces, replicates, _percentile),
        _Score("ces_relative", relative, relatives, _percentile),
        _Score("ces_posterior", posterior, posteriors, _percentile),
        _Score("specificity", specificity, specificities, _pivotal),
        _Score("specificity_normalised", normalised, normaliseds, _pivotal),
    ]
    variables = with_interval("effect", (unit, "value"), *stacked(swept.effect))
    for score in scores:
        variables |= _with_means(score, unit, active, images)
        if score.name in BEST_OF[unit]:
            marked = best(score.values, score.replicates, images, active)
            variables[f"{score.name}_best"] = (unit,), marked
    per_image, per_image_ends = _over_changed(swept.per_image)
    variables |= with_interval("specificity_per_image", (unit,), per_image, per_image_ends)
    baseline, (low, high) = _over_changed([at_once])
    repeated = [np.repeat(values, plan.units) for values in (baseline, low, high)]
    variables |= with_interval("specificity_baseline", (unit,), repeated[0], (repeated[1], repeated[2]))
    if swept.picture_ends is not None:
        return variables | with_interval("effect_map", (unit, *axes), swept.pictures, swept.picture_ends)
    return variables | {"effect_map": ((unit, *axes), swept.pictures)}


def stacked(means: list[BootstrapMean]) -> tuple[Array, Interval]:
    """Stacks the means of several accumulators with their intervals, one row each."""
    intervals = [total.interval() for total in means]
    low, high = (np.stack([interval[end] for interval in intervals]) for end in range(2))
    return np.stack([total.mean for total in means]), (low, high)


def _with_means(score: _Score, unit: str, active: Array, images: int) -> Variables:
    """Returns a score, its mean over all units and that over the active ones, with intervals of the same kind."""
    interval = score.interval(score.values, score.replicates, images)
    variables = with_interval(score.name, (unit,), score.values, interval)
    for label, chosen in (("mean", np.ones_like(active)), ("active_mean", active)):
        values, replicates = score.values[chosen], score.replicates[:, chosen]
        mean, means = np.asarray(np.nan), np.full(len(replicates), np.nan)
        if chosen.any():
            with np.errstate(invalid="ignore"):  # a score that is infinite for one unit and -infinite for another
                mean, means = np.asarray(values.mean()), replicates.mean(axis=-1)
        name = f"{score.name}_{label}"
        variables |= with_interval(name, (), mean, score.interval(mean, means, images))
        if name in RESAMPLED[unit]:
            variables[f"{name}_resampled"] = ("resample",), means
    return variables


def _over_changed(totals: list[BootstrapMean]) -> tuple[Array, Interval]:
    """Averages accumulators of (value, whether the image changes) over the images that change, one row each."""
    with np.errstate(invalid="ignore", divide="ignore"):  # no image changes: NaN
        means = np.array([total.mean[0] / total.mean[1] for total in totals])
        replicates = np.stack([np.divide(*total.replicates.T) for total in totals], axis=1)
    return means, percentile_interval(replicates, images=totals[0].count)


def _percentile(_: Array, replicates: Array, images: int) -> Interval:
    return percentile_interval(replicates, images=images)


def _pivotal(estimate: Array, replicates: Array, images: int) -> Interval:
    """Reflects the percentile interval about the estimate, since resampled pictures are rougher than the picture.

    Of few images the estimate itself is too rough by so much that it would fall outside; it is then taken in.
    """
    low, high = percentile_interval(replicates, images=images)
    ends = np.minimum(2 * estimate - high, estimate), np.maximum(2 * estimate - low, estimate)
    return np.asarray(ends[0]), np.asarray(ends[1])
