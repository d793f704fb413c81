"""What an analysis found about a codebook, in plain sentences."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vaelens.analysis import Analysis
from vaelens.report.numerals import counted, number
from vaelens.report.phrases import not_told_apart
from vaelens.report.ranking import estimates, front, position_names


def codebook_sentences(analysis: Analysis) -> list[str]:
    """Says what was found about the codebook of a quantised latent, most general first."""
    if "swap" in analysis.effects:
        return [*_use(analysis), *_swaps(analysis), *_beside_continuous(analysis)]
    use = code_use(analysis)
    if use.get("codes_used") != 1:
        return []
    return [
        f"The codebook is dead on these images: all positions take one of its {use['codes']} codes, so none can be "
        "swapped for another."
    ]


def code_use(analysis: Analysis) -> Mapping[str, Any]:
    """Finds how the codebook is used, by the part with most images."""
    parts = [analysis.effects[name] for name in ("swap", "latent") if name in analysis.effects]
    return next((part.attrs for part in parts if "codes" in part.attrs), {})


def _use(analysis: Analysis) -> list[str]:
    swap = analysis.effects["swap"]
    used, codes, images = (int(swap.attrs[name]) for name in ("codes_used", "codes", "images"))
    said = (
        f"{used} of the codebook's {counted(codes, 'code')} are in use on {counted(images, 'image')}, as varied as "
        f"{number(float(swap.attrs['code_perplexity']))} codes used evenly (their perplexity)."
    )
    fixed = int((swap["codes_used"].values == 1).sum())
    if fixed:
        where = "one position" if fixed == 1 else f"{fixed} positions"
        said += f" At {where} of {swap.sizes['position']} all images take the same code."
    return [said]


def _swaps(analysis: Analysis) -> list[str]:
    """Says where a swap moves the image most, and where least."""
    swap = analysis.effects["swap"]
    positions = estimates(swap, "ces", position_names(swap))
    ranked = front(positions)
    if ranked is None:
        return []
    best = ranked.best
    if best.value == 0:
        return ["Swapping a code for another in use changes the image at no position: CES is 0 at all of them."]
    relative = next(
        position for position in estimates(swap, "ces_relative", position_names(swap)) if position.name == best.name
    )
    where, moves = f"at {best.name}, by row and column from 0," if "row" in swap.coords else f"at {best.name}", "most"
    if len(positions) == 1:  # nothing to compare it with
        where, moves = "of the latent's one position", ""
    said = f"Swapping the code {where} for another in use moves the image {moves}".rstrip() + f": CES {best} pixel-L2"
    if np.isfinite(relative.value):
        said += f", {relative} times the mean distance between two reconstructions"
    said += f".{not_told_apart(ranked, 'position')}"
    least = min(positions, key=lambda position: position.value)
    if least not in (best, *ranked.tied):
        said += f" At {least.name} it moves it least: {least}."
    return [said]


def _beside_continuous(analysis: Analysis) -> list[str]:
    """Says how much what one unit is decides how strong an intervention on a quantised latent looks."""
    values = analysis.scores["value"]
    keys = ["ces_relative", "ces_relative_one_position", "ces_relative_swap"]
    if not set(keys) <= set(values.index) or not np.isfinite(values[keys]).all():
        return []
    whole, alone, swapped = (number(values[key]) for key in keys)
    return [
        "In units of the mean distance between two reconstructions, setting one latent to values of the range moves "
        f"the image by {whole} on average when it is set at all positions, and by {alone} when it is set at one; "
        f"swapping the whole code of one position moves it by {swapped}. The comparison depends on what counts as one "
        "unit."
    ]
