"""The phrases that several sentences are made of: a score as it is spoken of, and what can't be told apart."""

from typing import Any

import numpy as np
import xarray as xr

from vaelens.analysis import Analysis
from vaelens.report.numerals import listed, spoken
from vaelens.report.ranking import Estimate, Front, estimates

NAMED = 8  # so many of a list are named, more are only counted


def spoken_score(analysis: Analysis, name: str) -> str | None:
    """A score with its interval; None where there is none, or it is NaN."""
    if name not in analysis.scores.index:
        return None
    row: Any = analysis.scores.loc[name]
    value, low, high = (float(row[column]) for column in ("value", "low", "high"))
    return spoken(value, low, high) if np.isfinite(value) else None


def active_latents(effects: xr.Dataset, variable: str, analysis: Analysis) -> list[Estimate]:
    """A variable over latents, of those that are active and have one."""
    active = analysis.effects["latent"]["active"].values
    every = estimates(effects, variable, [f"latent {latent}" for latent in range(len(active))])
    return [one for one, counts in zip(every, active, strict=True) if counts and np.isfinite(one.value)]


def not_told_apart(ranked: Front, noun: str = "latent") -> str:
    """A sentence on what the intervals leave open; nothing where they leave nothing open."""
    others = [one.name for one in ranked.tied]
    if not others:
        return ""
    if len(others) == 1:
        return f" It can't be told apart from {others[0]} ({ranked.tied[0]}): the intervals overlap."
    if len(others) > NAMED:
        return f" {len(others)} other {noun}s can't be told apart from it: their intervals overlap its own."
    if all(name.startswith(f"{noun} ") for name in others):
        others = [f"{noun}s " + listed(name.removeprefix(f"{noun} ") for name in others)]
    return f" It can't be told apart from {listed(others)}: their intervals overlap its own."
