"""The phrases that several sentences share, for scores as they are spoken of, and for candidates for the largest."""

import re
from collections.abc import Sequence

import numpy as np
import xarray as xr

from vaelens.analysis import Analysis
from vaelens.report.latents import latents_of
from vaelens.report.numerals import listed, spoken
from vaelens.report.ranking import Estimate, Front, estimates

_NUMBERED = re.compile(r"(?P<head>.+) (?P<number>\d+)")
NAMED = 8  # so many of a list are named, more are only counted


def spoken_score(analysis: Analysis, key: str) -> str | None:
    """Writes a score with its interval, or None where there is none or it is NaN."""
    if key not in analysis.scores.index:
        return None
    value, low, high = (float(analysis.scores[column][key]) for column in ("value", "low", "high"))
    return spoken(value, low, high) if np.isfinite(value) else None


def active_latents(effects: xr.Dataset, variable: str, analysis: Analysis) -> list[Estimate]:
    """Reads a variable over latents, of those that are active and have one."""
    active = latents_of(analysis.effects).active
    measured = estimates(effects, variable, [f"latent {latent}" for latent in range(len(active))])
    return [latent for latent, counts in zip(measured, active, strict=True) if counts and np.isfinite(latent.value)]


def together(names: Sequence[str]) -> str:
    """Joins names that begin alike, with what they have in common once.

    Example:
        >>> together(["latent 4"]), together(["latent 4", "latent 1", "latent 6"])
        ('latent 4', 'latents 4, 1 and 6')
        >>> together(["decoder.2 unit 17", "decoder.2 unit 3"])
        'decoder.2 units 17 and 3'
    """
    parts = [_NUMBERED.fullmatch(name) for name in names]
    heads = {part["head"] for part in parts if part}
    if len(names) == 1 or len(heads) != 1 or not all(parts):
        return listed(names)
    return f"{heads.pop()}s {listed(part['number'] for part in parts if part)}"


def any_of(ranked: Front, noun: str = "latent") -> str:
    """Writes the name of the largest, or of those that may be."""
    names = [member.name for member in ranked.members]
    if len(names) > NAMED:
        return f"one of {len(names)} {noun}s that can't be told apart"
    return f"one of {together(names)}" if len(names) > 1 else names[0]


def the_largest(ranked: Front, noun: str = "latent") -> str:
    """Writes the name of the largest as a subject. Of several that may be it, none is named alone."""
    tied = 1 < len(ranked.members) <= NAMED
    return f"{any_of(ranked, noun)}, which can't be told apart," if tied else any_of(ranked, noun)


def of_the_best(ranked: Front) -> str:
    """Says whose the number is that stands before, where several may be the largest."""
    return f" of {ranked.best.name}" if ranked.tied else ""
