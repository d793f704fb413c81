"""What an analysis found, in plain sentences. Each says what its numbers carry, and no more.

Latents are ranked among the active ones. Where intervals overlap, the sentence names all that they can't tell apart,
and where there is nothing to compare it says so.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vaelens.analysis import Analysis
from vaelens.effects.activity import ACTIVE_NATS
from vaelens.errors import VaelensError
from vaelens.metrics.catalogue import METRICS
from vaelens.report.codebook import codebook_sentences
from vaelens.report.numerals import counted, listed, number
from vaelens.report.phrases import NAMED, active_latents, not_told_apart, spoken_score
from vaelens.report.ranking import Estimate, estimates, front, outcomes, unit_names
from vaelens.report.reading import reading_sentences

_FACTORS = 8  # of a longer list those that change the image most
_UNDEFINED = "not computed: "  # how the reason begins that stands in place of how a score was made


def sentences(analysis: Any) -> list[str]:
    """Says what an analysis found, most general first.

    Args:
        analysis: the analysis.

    Returns:
        Sentences of plain text, each complete in itself; intervals of 95 % stand in brackets.

    Raises:
        VaelensError: something else than an Analysis.
    """
    if not isinstance(analysis, Analysis):
        raise VaelensError(f"expected an Analysis, got a {type(analysis).__name__}; make one with vl.analyse(lens, ds)")
    latents = (_checks, _reconstruction, _alike, _activity, _strongest, _localised)
    parts = (*latents, codebook_sentences, _changes, reading_sentences, _units, _modularity, _scores)
    return [sentence for part in parts for sentence in part(analysis)]


def _checks(analysis: Analysis) -> list[str]:
    failed = [name.replace("_", " ") for name, passed in analysis.provenance["checks"].items() if not passed]
    if not failed:
        return []
    return [f"The self-check failed ({listed(failed)}): the numbers below can't be relied on."]


def _reconstruction(analysis: Analysis) -> list[str]:
    error = spoken_score(analysis, "reconstruction_error")
    return [] if error is None else [f"Reconstructions are off by a mean squared error of {error} a pixel."]


def _alike(analysis: Analysis) -> list[str]:
    latent = analysis.effects.get("latent")
    if latent is None or latent.attrs["reference_distance"] != 0:
        return []
    return [
        "All reconstructions are alike: the model gives the same image whatever it is shown, so there is no difference "
        "between two images that a latent or a unit could carry."
    ]


def _activity(analysis: Analysis) -> list[str]:
    if "latent" not in analysis.effects:
        return []
    latent = analysis.effects["latent"]
    active = latent["active"].values
    rule = f"KL above {ACTIVE_NATS:g} nat" if "kl" in latent else "code spread above a thousandth of the largest"
    inactive = np.flatnonzero(~active).tolist()
    if not inactive:
        if len(active) > 1:
            return [f"All {len(active)} latents are active ({rule})."]
        return [f"Its one latent is active ({rule}); there is no other to compare it with."]
    if not active.any():
        return [f"None of the {counted(len(active), 'latent')} is active ({rule}), so they are not ranked here."]
    rest = f"{len(inactive)} are not"
    if len(inactive) <= NAMED:
        rest = f"{_latents(inactive)} {'is' if len(inactive) == 1 else 'are'} not"
    return [f"{active.sum()} of {len(active)} latents {'is' if active.sum() == 1 else 'are'} active ({rule}); {rest}."]


def _strongest(analysis: Analysis) -> list[str]:
    if "latent" not in analysis.effects:
        return []
    latent = analysis.effects["latent"]
    candidates = active_latents(latent, "ces", analysis)
    ranked = front(candidates)
    if ranked is None:
        return []
    best = ranked.best
    if best.value == 0:
        return ["No active latent changes the image: CES is 0 for all of them."]
    said = f"{best.name.capitalize()} moves the image most: CES {best} pixel-L2"
    if latent["active"].values.sum() == 1:
        said = f"{best.name.capitalize()}, the only one that is active, moves the image: CES {best} pixel-L2"
        if latent.sizes["latent"] == 1:
            said = f"Setting its latent moves the image: CES {best} pixel-L2"
    relative = {candidate.name: candidate for candidate in active_latents(latent, "ces_relative", analysis)}
    if best.name in relative:
        said += f", {relative[best.name]} times the mean distance between two reconstructions"
    said += f".{not_told_apart(ranked)}"
    least = min(candidates, key=lambda candidate: candidate.value)
    if least not in (best, *ranked.tied):
        said += f" Of the active latents, {least.name} moves it least: {least}."
    return [said]


def _localised(analysis: Analysis) -> list[str]:
    if "latent" not in analysis.effects:
        return []
    candidates = active_latents(analysis.effects["latent"], "specificity_normalised", analysis)
    ranked = front(candidates)
    if ranked is None or len(candidates) == 1:  # nothing is the most concentrated of one
        return []
    return [
        f"The change that {ranked.best.name} makes is the most concentrated: normalised specificity over pixels "
        f"{ranked.best}, where 0 is all pixels alike and 1 a single one.{not_told_apart(ranked)}"
    ]


def _changes(analysis: Analysis) -> list[str]:
    """Says what each factor or manipulation moves, and which latent its effect goes through."""
    said = _moved(analysis) if "input" in analysis.effects else []
    another = _passed_on(analysis, "another image", "what putting in another image changes")
    return [*said, another] if another else said


def _moved(analysis: Analysis) -> list[str]:
    effects = analysis.effects["input"]
    axis = "factor" if "factor" in effects.dims else "manipulation"
    names = [str(name) for name in effects[axis].values]
    told = np.sort(np.argsort(-effects["output_effect"].values, kind="stable")[:_FACTORS]).tolist()
    said = []
    if len(names) > _FACTORS:
        said.append(f"Of {len(names)} {axis}s, the {_FACTORS} that change the reconstruction most are named here.")
    for k in told:
        change = f"Changing {names[k]}"
        if axis == "manipulation":
            change = f"The manipulation {names[k]} (strength {float(effects['strength'][k]):g})"
        candidates = active_latents(effects.isel({axis: k}), "latent_effect", analysis)
        ranked = front(candidates)
        if ranked is None:
            continue
        if ranked.best.value == 0:
            said.append(f"{change} moves no active latent.")
            continue
        most = " most," if len(candidates) > 1 else ""
        moved = f"{change} moves {ranked.best.name}{most} by {ranked.best} standard deviations.{not_told_apart(ranked)}"
        said.append(moved + _passed_on(analysis, names[k], "its effect on the image", " "))
    return said


def _passed_on(analysis: Analysis, treatment: str, effect: str, before: str = "") -> str:
    """Says which latent carries most of a treatment's effect, where it was given and has one."""
    if "mediation" not in analysis.effects:
        return ""
    effects = analysis.effects["mediation"]
    treatments = [str(name) for name in effects["treatment"].values]
    if treatment not in treatments or effects.sizes["latent"] == 1:  # one latent carries all there is
        return ""
    ranked = front(active_latents(effects.isel(treatment=treatments.index(treatment)), "indirect", analysis))
    if ranked is None:
        return ""
    best = ranked.best
    if not _told_from_zero(best):
        return (
            f"{before}No single latent carries a part of {effect} that its interval tells from 0: "
            f"the largest indirect fraction is {best} ({best.name})."
        )
    return (
        f"{before}Of {effect}, the largest part through one latent goes through {best.name}: "
        f"indirect fraction {best}.{not_told_apart(ranked)}"
    )


def _units(analysis: Analysis) -> list[str]:
    effects = analysis.effects.get("patching")
    if effects is None or "recovered" not in effects:
        return []
    kinds = outcomes(effects)
    sites, names = effects["site"].values.astype(str), unit_names(effects)
    units, chance = estimates(effects, "recovered", names), effects["recovered_chance"].values
    said = []
    for kind, where, what in (
        ("image", "after the encoder", "another image's reconstruction"),
        ("code", "in the encoder", "another image's code"),
    ):
        ranked = front([unit for unit, site in zip(units, sites, strict=True) if kinds[site] == kind])
        if ranked is None:
            continue
        count = sum(kinds[site] == kind for site in sites)
        if not _told_from_zero(ranked.best):
            said.append(f"Patched alone, no unit {where} recovers a part of {what} that its interval tells from 0.")
            continue
        if count == 1:
            said.append(
                f"The one unit {where} that was patched, {ranked.best.name}, recovers a fraction of {ranked.best} of "
                f"{what}; there is no other to compare it with."
            )
            continue
        said.append(
            f"Of {counted(count, 'unit')} {where}, {ranked.best.name} recovers the largest fraction of {what} when "
            f"patched alone: {ranked.best}, where a typical unit of its site recovers "
            f"{number(chance[names.index(ranked.best.name)])}.{not_told_apart(ranked, 'unit')}"
        )
    return said


def _modularity(analysis: Analysis) -> list[str]:
    if "circuit_modularity" not in analysis.scores.index:
        return []
    modularity, how = spoken_score(analysis, "circuit_modularity"), analysis.scores["made"]["circuit_modularity"]
    if modularity is None:
        return [f"Circuit modularity is not defined here: {_reason(how)}."]
    chance = float(analysis.scores["chance"]["circuit_modularity"])
    beside = f", where units that are shuffled within each site have {number(chance)}" if np.isfinite(chance) else ""
    return [
        f"Circuit modularity is {modularity}{beside} ({how.partition('; chance')[0]}): 1 when latents drive unrelated "
        "sets of decoder units, 0 when they drive them in the same proportions."
    ]


def _scores(analysis: Analysis) -> list[str]:
    if "importance" not in analysis.effects:
        reason = analysis.provenance.get("left_out", {}).get("importance", "")
        return [f"DCI, MIG and the like are not computed: {reason}."] if reason and "asked for" not in reason else []
    keys = [key for key in analysis.scores.index if METRICS[key].is_fraction and key in analysis.effects["importance"]]
    scored = {key: spoken_score(analysis, key) for key in keys}
    said = []
    above: list[str] = []
    below: list[str] = []
    for key, value in scored.items():
        if value is None:
            continue
        low, chance = (float(analysis.scores[column][key]) for column in ("low", "chance"))
        beside = f" (by chance {number(chance)})" if np.isfinite(chance) else ""
        (below if low <= chance else above).append(f"{METRICS[key].label} {value}{beside}")
    if above:
        said.append(f"Against the factors, each from 0 to 1: {listed(above)}.")
    if below:
        said.append(f"Not told from what chance alone gives: {listed(below)}.")
    reasons: dict[str, list[str]] = {}
    for key, value in scored.items():
        if value is None:
            reasons.setdefault(_reason(analysis.scores["made"][key]), []).append(METRICS[key].label)
    for reason, labels in reasons.items():
        names = listed(labels)
        said.append(f"{names[0].upper()}{names[1:]} {'is' if len(labels) == 1 else 'are'} not computed: {reason}.")
    return said


def _reason(how: str) -> str:
    return how.removeprefix(_UNDEFINED)


def _told_from_zero(best: Estimate) -> bool:
    return (best.low if np.isfinite(best.low) else best.value) > 0


def _latents(indices: Sequence[int]) -> str:
    return f"latent{'' if len(indices) == 1 else 's'} {listed(indices)}"
