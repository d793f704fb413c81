"""What is said of the codebook of a quantised latent, its use and where swaps of codes act most."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vaelens.analysis import Analysis
from vaelens.report.numerals import counted, number
from vaelens.report.overview import are_alike
from vaelens.report.phrases import of_the_best, the_largest
from vaelens.report.ranking import estimates, front, position_names


def codebook_sentence(analysis: Analysis) -> str | None:
    """Says how many codes of the codebook are in use, or that it is dead.

    Printed for a quantised latent, in place of the sentence on information, which its encoder has no variance for.
    Rests on the codes that the images take, as the parts "swap" or "latent" counted them.
    """
    use = code_use(analysis)
    if "codes_used" not in use:
        return None
    if use["codes_used"] == 1:
        return (
            f"The codebook is dead on these images: all positions take one of its {use['codes']} codes, so none can be "
            "swapped for another."
        )
    used, codes, images = (int(use[name]) for name in ("codes_used", "codes", "images"))
    said = (
        f"{used} of the codebook's {counted(codes, 'code')} are in use on {counted(images, 'image')}, as varied as "
        f"{number(float(use['code_perplexity']))} codes used evenly (their perplexity)"
    )
    if "swap" not in analysis.effects:
        return f"{said}."
    swap = analysis.effects["swap"]
    fixed = int((swap["codes_used"].values == 1).sum())
    if not fixed:
        return f"{said}."
    where = "one position" if fixed == 1 else f"{fixed} positions"
    return f"{said}; at {where} of {swap.sizes['position']} all images take the same code."


def swap_sentence(analysis: Analysis) -> str | None:
    """Says at which position a swap of codes moves the image most.

    Printed for a quantised latent of which more than one code is in use, in place of the sentence on the strongest
    latent, unless all reconstructions are alike. Nothing is called the most where the latent has one position. Rests on
    `ces` and its best set of the part "swap".
    """
    if "swap" not in analysis.effects or are_alike(analysis):
        return None
    swap = analysis.effects["swap"]
    ranked = front(estimates(swap, "ces", position_names(swap)))
    if ranked is None:
        return None
    best, distance = ranked.best, float(swap.attrs["reference_distance"])
    if best.value == 0:
        return "Swapping a code for another in use changes the image at no position: CES is 0 at all of them."
    where, moves = f"at {the_largest(ranked, 'position')}", "moves the image most"
    if swap.sizes["position"] == 1:  # nothing to compare it with
        where, moves = "of the latent's one position", "moves the image"
    elif "row" in swap.coords and not ranked.tied:
        where += ", by row and column from 0,"
    said = f"Swapping the code {where} for another in use {moves}: CES {best} pixel-L2{of_the_best(ranked)}"
    if np.isfinite(distance):
        said += f", where two reconstructions are {number(distance)} apart"
    return f"{said}."


def code_use(analysis: Analysis) -> Mapping[str, Any]:
    """Finds how the codebook is used, by the part with most images."""
    parts = [analysis.effects[name] for name in ("swap", "latent") if name in analysis.effects]
    return next((part.attrs for part in parts if "codes" in part.attrs), {})
