"""What is said of the latent that moves the image most."""

import numpy as np
import xarray as xr

from vaelens.analysis import Analysis
from vaelens.report.numerals import number
from vaelens.report.overview import are_alike, carries_nothing
from vaelens.report.phrases import active_latents, of_the_best, the_largest
from vaelens.report.ranking import front

_FEW = 0.5  # of the codes of mode "range": fewer on the support are said aloud


def strength_sentence(analysis: Analysis) -> str | None:
    """Says which active latent moves the image most, by posterior CES, or which may.

    Printed for a continuous latent of which at least one is active and carries information, unless all reconstructions
    are alike. Nothing is called the most where one latent alone is active. A second sentence is added where fewer than
    half of the codes that mode "range" sets, over the active latents, lie on the support of the data. Rests on
    `ces_posterior` and its best set, and on `support`, of the part "latent".
    """
    latent = analysis.effects.get("latent")
    if latent is None or "codes" in latent.attrs or are_alike(analysis) or carries_nothing(analysis):
        return None
    candidates = active_latents(latent, "ces_posterior", analysis)
    ranked = front(candidates)
    if ranked is None:
        return None
    best, distance = ranked.best, float(latent.attrs["reference_distance"])
    if best.value == 0:
        return "No active latent changes the image when set to its value on another one: posterior CES is 0."
    if latent.sizes["latent"] == 1:
        moves = "Setting its one latent to its value on another image moves the image"
    elif len(candidates) == 1:
        moves = f"{best.name.capitalize()}, the only active one, moves the image when set to its value on another one"
    else:
        which = the_largest(ranked)
        moves = f"{which[0].upper()}{which[1:]} moves the image most when set to its value on another one"
    ces = f"posterior CES {best} pixel-L2{of_the_best(ranked)}"
    return f"{moves}: {ces}, where two reconstructions are {number(distance)} apart." + _off_support(latent)


def range_support(latent: xr.Dataset) -> float:
    """Computes the share of the codes set by mode "range" that lie on the data's support, over active latents."""
    active = latent["active"].values
    if "support" not in latent or latent.attrs.get("mode") != "range" or not active.any():
        return float("nan")
    return float(latent["support"].values[active].mean())


def _off_support(latent: xr.Dataset) -> str:
    share = range_support(latent)
    if not np.isfinite(share) or share >= _FEW:
        return ""
    percent = f"{share:.0%}".replace("%", " %")
    return (
        f" Of the codes that mode range sets, for CES and the traversals, only {percent} lie where codes of images do."
    )
