"""What is said of the changes of the input, namely which latents each factor or manipulation moves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from vaelens.analysis import Analysis
from vaelens.report.latents import latents_of
from vaelens.report.numerals import listed
from vaelens.report.overview import are_alike, carries_nothing
from vaelens.report.phrases import active_latents, any_of
from vaelens.report.ranking import Estimate, Front, estimates, front, told_from_zero

_FACTORS = 8  # of a longer list those that change the image most


@dataclass(frozen=True)
class Change:
    """What one factor or manipulation does.

    Attributes:
        name: of the factor or manipulation.
        spoken: the same, of a manipulation with its strength.
        output: how far the reconstruction changes; of observed pairs, by how much more than of pairs that do not
            differ in the factor.
        told: whether the change of the reconstruction is told from none.
        moved: the active latents that it moves, and which of them may be moved most; None where none is told to be.
    """

    name: str
    spoken: str
    output: Estimate
    told: bool
    moved: Front | None


def is_intervened(analysis: Analysis) -> bool:
    """Says whether the changes of the input were made, rather than found among the images.

    They were where pixels were manipulated, and on a full grid of the factors, of which each pair is two images that
    differ in one factor alone. Analyses that measured random pairs say so by having nothing to adjust for; of earlier
    ones the dataset's length and factors do.
    """
    effects = analysis.effects.get("input", xr.Dataset())
    if "manipulation" in effects.dims:
        return True
    if "output_effect_random" in effects:
        return "output_effect_adjusted" not in effects
    dataset = analysis.provenance["dataset"]
    sizes = dataset.get("factor_sizes", ())
    return len(sizes) > 1 and math.prod(sizes) == dataset.get("length")


def changes(analysis: Analysis) -> list[Change]:
    """Reads what each factor or manipulation does, in the analysis's order.

    Latents are ranked by d′ (`latent_shift`), of observed pairs by what is left of it when pairs with the same value of
    the factor are taken into account (`latent_shift_adjusted`). Without a variance, or where observed pairs were not
    adjusted, no latent is named.
    """
    if "input" not in analysis.effects:
        return []
    effects, intervened = analysis.effects["input"], is_intervened(analysis)
    axis = axis_of(effects)
    output, shift = "output_effect", "latent_shift"
    if not intervened:
        output, shift = "output_effect_adjusted", "latent_shift_adjusted"
    if output not in effects:
        return []
    told = []
    names = effects[axis].values.astype(str).tolist()
    for k, change in enumerate(estimates(effects, output, names)):
        is_told = told_from_zero(change)
        ranked = front(active_latents(effects.isel({axis: k}), shift, analysis)) if shift in effects else None
        is_moved = ranked is not None and is_told and told_from_zero(ranked.best)
        told.append(Change(change.name, _spoken(effects, k), change, is_told, ranked if is_moved else None))
    return told


def axis_of(effects: xr.Dataset) -> str:
    """Returns the dimension along which the input's changes stand."""
    return "factor" if "factor" in effects.dims else "manipulation"


def changes_sentence(analysis: Analysis) -> str | None:
    """Says which latents each factor or manipulation moves most, by d′, in one sentence over all.

    Printed when changes of the input were measured and a latent is informative, unless all reconstructions are alike;
    of more than eight, those are named that change the image most. "Changing" is said of manipulations and of a full
    grid of factors alone, else it is images that differ in a factor. A factor names a latent only where its effect on
    the image, and the latent's d′, of observed pairs both adjusted for pairs that do not differ in it, have intervals
    above 0; the others are named as not told from chance, or as ones that the images say nothing of where the adjusted
    effect is NaN. Without a variance the sentence is about the image alone. Rests on `latent_shift`, `output_effect`
    and, of observed pairs, `latent_shift_adjusted` and `output_effect_adjusted`, of the part "input".
    """
    told = [] if are_alike(analysis) or carries_nothing(analysis) else changes(analysis)
    if not told or not latents_of(analysis.effects).active.any():
        return None
    effects, prefix = analysis.effects["input"], ""
    axis, intervened = axis_of(effects), is_intervened(analysis)
    if len(told) > _FACTORS:
        prefix = f"Of {len(told)} {axis}s, the {_FACTORS} that change the reconstruction most are named. "
        largest = sorted(range(len(told)), key=lambda k: -np.nan_to_num(told[k].output.value))[:_FACTORS]
        told = [told[k] for k in sorted(largest)]
    unknown = _of_no_number(told)
    told = [change for change in told if not np.isnan(change.output.value)]
    if not told:
        return unknown.strip()
    if "latent_shift" not in effects:
        said = _of_images(told, intervened)
    else:
        compared = len(active_latents(effects.isel({axis: 0}), "latent_shift", analysis)) > 1
        said = _of_latents(told, intervened, compared, axis)
    return prefix + said + unknown


def _of_latents(told: Sequence[Change], intervened: bool, compared: bool, axis: str) -> str:
    """Says which latents the changes move."""
    most, changing = " most" if compared else "", "changing " if axis == "factor" else ""
    items: list[str] = []
    for change in told:
        if change.moved is None:
            continue
        which, best = any_of(change.moved), str(change.moved.best)
        if intervened and not items:
            items.append(f"{changing}{change.spoken} moves {which}{most} ({best})")
        elif intervened:
            items.append(f"{change.spoken} {which} ({best})")
        elif not items:
            beyond = f"{best} more than pairs that do not differ in it"
            items.append(f"images that differ in {change.spoken} lie apart{most} in {which} ({beyond})")
        else:
            items.append(f"those that differ in {change.spoken} in {which} ({best})")
    still = listed(change.spoken for change in told if change.moved is None) if len(items) < len(told) else ""
    rest = f"{changing}{still} moves no active latent"
    if not intervened:
        rest = f"images that differ in {still} are not told from pairs that do not"
    if not items:
        return f"{rest[0].upper()}{rest[1:]}."
    lead = "By d′, the distance in standard deviations of the posterior, "
    return f"{lead}{'; '.join([*items, rest] if still else items)}."


def _of_no_number(told: Sequence[Change]) -> str:
    """Says of which labels the data can't say what they do."""
    unknown = [change.spoken for change in told if np.isnan(change.output.value)]
    if not unknown:
        return ""
    together = "differ in other labels too, or share one image"
    return f" Of {listed(unknown)} nothing can be told from these images: the pairs that differ in it all {together}."


def _of_images(told: Sequence[Change], intervened: bool) -> str:
    """Says how far the changes move the image, of a model whose latents have no posterior to compare them by."""
    moving = [f"{change.output} ({change.spoken})" for change in told if change.told]
    still = [change.spoken for change in told if not change.told]
    parts = []
    if moving and intervened:
        parts.append(f"Changing one thing in the image moves the reconstruction by {listed(moving)} pixel-L2")
    elif moving:
        apart = "Reconstructions of images that differ in one label lie farther apart than those of pairs that do not"
        parts.append(f"{apart}, by {listed(moving)} pixel-L2")
    if still and intervened:
        parts.append(f"changing {listed(still)} does not move it")
    elif still:
        parts.append(f"images that differ in {listed(still)} are not told from pairs that do not")
    said = "; ".join(parts)
    return f"{said[0].upper()}{said[1:]}."


def _spoken(effects: xr.Dataset, change: int) -> str:
    """Writes the name of a factor, or of a manipulation with its strength."""
    name = str(effects[axis_of(effects)].values[change])
    return f"{name} (strength {float(effects['strength'].values[change]):g})" if "strength" in effects.coords else name
