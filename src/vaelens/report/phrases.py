"""The phrases that several sentences are made of: a score as it is spoken of, and what can't be told apart."""

import numpy as np
import xarray as xr

from vaelens.analysis import Analysis
from vaelens.report.latents import latents_of
from vaelens.report.numerals import listed, spoken
from vaelens.report.ranking import Estimate, Front, estimates

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


def not_told_apart(ranked: Front, noun: str = "latent") -> str:
    """Says what the intervals leave open, if anything."""
    rivals = [rival.name for rival in ranked.tied]
    if not rivals:
        return ""
    if len(rivals) == 1:
        return f" It can't be told apart from {rivals[0]} ({ranked.tied[0]}): the intervals overlap."
    if len(rivals) > NAMED:
        return f" {len(rivals)} other {noun}s can't be told apart from it: their intervals overlap its own."
    if all(name.startswith(f"{noun} ") for name in rivals):
        rivals = [f"{noun}s " + listed(name.removeprefix(f"{noun} ") for name in rivals)]
    return f" It can't be told apart from {listed(rivals)}: their intervals overlap its own."
