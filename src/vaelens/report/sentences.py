"""What an analysis found, in plain sentences. Each says what its numbers carry, and no more.

Latents are ranked among the active ones. Where intervals overlap, the sentence names all that they can't tell apart.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vaelens.analysis import Analysis
from vaelens.effects.activity import ACTIVE_NATS
from vaelens.errors import VaelensError
from vaelens.report.codebook import codebook_sentences
from vaelens.report.numerals import counted, listed, number
from vaelens.report.phrases import NAMED, active_latents, not_told_apart, spoken_score
from vaelens.report.ranking import Estimate, estimates, front, outcomes, unit_names
from vaelens.report.reading import reading_sentences

_FACTORS = 8  # of a longer list those that change the image most


def sentences(analysis: Any) -> list[str]:
    """The findings of an analysis as plain text, most general first.

    Args:
        analysis: the analysis.

    Returns:
        Sentences, each complete in itself; intervals of 95 % stand in brackets.

    Raises:
        VaelensError: something else than an Analysis.
    """
    if not isinstance(analysis, Analysis):
        raise VaelensError(f"expected an Analysis, got a {type(analysis).__name__}; make one with vl.analyse(lens, ds)")
    latents = (_checks, _reconstruction, _activity, _strongest, _localised)
    parts = (*latents, codebook_sentences, _changes, reading_sentences, _units, _scores)
    return [sentence for part in parts for sentence in part(analysis)]


def _checks(analysis: Analysis) -> list[str]:
    failed = [name.replace("_", " ") for name, passed in analysis.provenance["checks"].items() if not passed]
    if not failed:
        return []
    return [f"The self-check failed ({listed(failed)}): the numbers below can't be relied on."]


def _reconstruction(analysis: Analysis) -> list[str]:
    error = spoken_score(analysis, "reconstruction error")
    return [] if error is None else [f"Reconstructions are off by a mean squared error of {error} a pixel."]


def _activity(analysis: Analysis) -> list[str]:
    latent = analysis.effects["latent"]
    active = latent["active"].values
    rule = f"KL above {ACTIVE_NATS:g} nat" if "kl" in latent else "code spread above a thousandth of the largest"
    inactive = np.flatnonzero(~active).tolist()
    if not inactive:
        return [
            f"All {len(active)} latents are active ({rule})." if len(active) > 1 else f"Its latent is active ({rule})."
        ]
    if not active.any():
        return [f"None of the {counted(len(active), 'latent')} is active ({rule}), so they are not ranked here."]
    rest = f"{len(inactive)} are not"
    if len(inactive) <= NAMED:
        rest = f"{_latents(inactive)} {'is' if len(inactive) == 1 else 'are'} not"
    return [f"{active.sum()} of {len(active)} latents {'is' if active.sum() == 1 else 'are'} active ({rule}); {rest}."]


def _strongest(analysis: Analysis) -> list[str]:
    latent = analysis.effects["latent"]
    candidates = active_latents(latent, "ces", analysis)
    ranked = front(candidates)
    if ranked is None:
        return []
    best = ranked.best
    if best.value == 0:
        return ["No active latent changes the image: CES is 0 for all of them."]
    said = f"{best.name.capitalize()} moves the image most: CES {best} pixel-L2"
    relative = {one.name: one for one in active_latents(latent, "ces_relative", analysis)}
    if best.name in relative:
        said += f", {relative[best.name]} times the mean distance between two reconstructions"
    said += f".{not_told_apart(ranked)}"
    least = min(candidates, key=lambda one: one.value)
    if least not in (best, *ranked.tied):
        said += f" Of the active latents, {least.name} moves it least: {least}."
    return [said]


def _localised(analysis: Analysis) -> list[str]:
    ranked = front(active_latents(analysis.effects["latent"], "specificity_normalised", analysis))
    if ranked is None:
        return []
    return [
        f"The change that {ranked.best.name} makes is the most concentrated: normalised specificity over pixels "
        f"{ranked.best}, where 0 is all pixels alike and 1 a single one.{not_told_apart(ranked)}"
    ]


def _changes(analysis: Analysis) -> list[str]:
    """What each factor or manipulation moves, and which latent its effect goes through."""
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
        ranked = front(active_latents(effects.isel({axis: k}), "latent_effect", analysis))
        if ranked is None:
            continue
        if ranked.best.value == 0:
            said.append(f"{change} moves no active latent.")
            continue
        moved = f"{change} moves {ranked.best.name} most, by {ranked.best} standard deviations.{not_told_apart(ranked)}"
        said.append(moved + _passed_on(analysis, names[k], "its effect on the image", " "))
    return said + [
        one for one in [_passed_on(analysis, "another image", "what putting in another image changes")] if one
    ]


def _passed_on(analysis: Analysis, treatment: str, effect: str, before: str = "") -> str:
    """Which latent carries most of a treatment's effect; nothing where the treatment was not given, or has none."""
    effects = analysis.effects["mediation"]
    given = [str(name) for name in effects["treatment"].values]
    if treatment not in given:
        return ""
    ranked = front(active_latents(effects.isel(treatment=given.index(treatment)), "indirect", analysis))
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
    effects = analysis.effects["patching"]
    if "recovered" not in effects:
        return []
    kinds = outcomes(effects)
    sites, names = effects["site"].values.astype(str), unit_names(effects)
    every, chance = estimates(effects, "recovered", names), effects["recovered_chance"].values
    said = []
    for kind, where, what in (
        ("image", "after the encoder", "another image's reconstruction"),
        ("code", "in the encoder", "another image's code"),
    ):
        ranked = front([one for one, site in zip(every, sites, strict=True) if kinds[site] == kind])
        if ranked is None:
            continue
        count = sum(kinds[site] == kind for site in sites)
        if not _told_from_zero(ranked.best):
            said.append(f"Patched alone, no unit {where} recovers a part of {what} that its interval tells from 0.")
            continue
        said.append(
            f"Of {counted(count, 'unit')} {where}, {ranked.best.name} recovers most of {what} when patched alone: a "
            f"fraction of {ranked.best}, where a unit drawn at random from its site recovers "
            f"{number(chance[names.index(ranked.best.name)])}.{not_told_apart(ranked, 'unit')}"
        )
    return said


def _scores(analysis: Analysis) -> list[str]:
    modularity, made = spoken_score(analysis, "circuit modularity"), analysis.scores.loc["circuit modularity", "made"]
    said = [f"Circuit modularity can't be computed ({made}): it compares latents that have an effect."]
    if modularity is not None:
        said = [
            f"Circuit modularity is {modularity} ({made}): 1 when latents drive unrelated sets of decoder units, 0 "
            "when they drive them in the same proportions."
        ]
    if "importance" not in analysis.effects:
        return [*said, "The dataset has no factors, so DCI and MIG can't be computed."]
    named = (
        "DCI disentanglement",
        "DCI completeness",
        "DCI informativeness",
        "MIG",
        "SAP",
        "modularity",
        "explicitness",
        "IRS",
    )
    scored = {name: spoken_score(analysis, name) for name in named if name in analysis.scores.index}
    known = [f"{name} {value}" for name, value in scored.items() if value is not None]
    if known:
        said.append(f"Against the factors, each from 0 to 1: {listed(known)}.")
    missing = [name for name, value in scored.items() if value is None]
    if missing:
        said.append(f"{listed(missing)} can't be computed from these factors and latents.")
    return said


def _told_from_zero(best: Estimate) -> bool:
    return (best.low if np.isfinite(best.low) else best.value) > 0


def _latents(indices: Sequence[int]) -> str:
    return f"latent{'' if len(indices) == 1 else 's'} {listed(indices)}"
