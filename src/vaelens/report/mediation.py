"""What is said of mediation, namely through which latent most of a factor's effect on the image passes."""

from collections.abc import Mapping

import numpy as np

from vaelens.analysis import Analysis
from vaelens.report.changes import changes, is_intervened
from vaelens.report.numerals import listed
from vaelens.report.overview import are_alike, carries_nothing
from vaelens.report.phrases import active_latents, any_of
from vaelens.report.ranking import Front, front, told_from_zero

_THROUGH = {
    "same": "through a latent that d′ names too for",
    "other": "through another latent than d′ names for",
    "alone": "through",
    "none": "through none that is told from 0 for",
}
_FACTORS = 8  # of a longer list those of the largest total effect


def mediation_sentence(analysis: Analysis) -> str | None:
    """Says through which latent the largest fraction of each factor's effect passes, and whether d′ names the same.

    Printed when mediation was measured, at least two latents are active and one is informative, unless all
    reconstructions are alike. Of a
    dataset without factors the treatment is another image. A latent is named where the interval of its indirect
    fraction lies above 0, and of observed pairs only for factors that are told from chance; d′ names it too where
    the two sets of latents that can't be told apart have one in common. Rests on `indirect` of the part
    "mediation", and on what `changes_sentence` does.
    """
    effects = analysis.effects.get("mediation")
    if effects is None or are_alike(analysis) or carries_nothing(analysis):
        return None
    ranked: dict[str, Front] = {}
    for k, name in enumerate(effects["treatment"].values.astype(str)):
        candidates = active_latents(effects.isel(treatment=k), "indirect", analysis)
        best = front(candidates)
        if len(candidates) > 1 and best is not None:
            ranked[name] = best
    if not ranked:
        return None
    if list(ranked) == ["another image"]:
        return _of_another_image(ranked["another image"])
    return _of_factors(analysis, ranked)


def passes_another_image(analysis: Analysis) -> bool:
    """Says whether mediation measured what patching a latent does, which is the effect of another image through it."""
    effects = analysis.effects.get("mediation")
    return effects is not None and "another image" in effects["treatment"].values.astype(str)


def _of_another_image(ranked: Front) -> str:
    if not told_from_zero(ranked.best):
        return (
            "Of what another image changes, no latent alone passes on a fraction that its interval tells from 0: the "
            f"largest is {ranked.best} ({ranked.best.name})."
        )
    return (
        f"Of what another image changes, the largest fraction that one latent alone passes on is {ranked.best}, "
        f"through {any_of(ranked)}."
    )


def _of_factors(analysis: Analysis, ranked: Mapping[str, Front]) -> str | None:
    effects = analysis.effects["mediation"]
    measured = {change.name: change for change in changes(analysis)}
    if not measured and not is_intervened(analysis):
        return None  # of observed pairs it is not known what chance does
    names = effects["treatment"].values.astype(str)
    total = dict(zip(names, np.nan_to_num(effects["total_norm"].values), strict=True))
    told = [name for name in ranked if name not in measured or measured[name].told]
    named = sorted(told, key=lambda name: -total[name])[:_FACTORS]
    through: dict[str, list[str]] = {which: [] for which in _THROUGH}
    for name in told:
        if name in named:
            moved = measured[name].moved if name in measured else None
            best = ranked[name]
            if not told_from_zero(best.best):
                through["none"].append(name)
            elif moved is None:
                through["alone"].append(f"{any_of(best)} for {name} ({best.best})")
            else:
                which = "same" if _have_one_in_common(moved, best) else "other"
                through[which].append(f"{name} ({any_of(best)}: {best.best})")
    what = "effect on the image" if is_intervened(analysis) else "difference between images that differ in one factor"
    if through["none"] and not any(through[which] for which in ("same", "other", "alone")):
        return f"Of the {what}, no latent alone passes on a fraction told from 0, for {listed(through['none'])}."
    parts = [f"{_THROUGH[which]} {listed(factors)}" for which, factors in through.items() if factors]
    if not parts:
        return None
    return f"Of the {what}, the largest fraction through one latent goes {'; '.join(parts)}."


def _have_one_in_common(first: Front, second: Front) -> bool:
    return bool({member.name for member in first.members} & {member.name for member in second.members})
