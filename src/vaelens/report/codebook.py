"""What an analysis found about a codebook, in plain sentences: its use, and what swaps of its codes do."""

import numpy as np

from vaelens.analysis import Analysis
from vaelens.report.numerals import counted, number
from vaelens.report.phrases import not_told_apart
from vaelens.report.ranking import estimates, front, position_names


def codebook_sentences(analysis: Analysis) -> list[str]:
    """The findings about the codebook of an analysis, most general first; none where the latent is continuous."""
    if "codes" not in analysis.effects["latent"].attrs:
        return []
    if "swap" not in analysis.effects:
        return [
            f"The codebook is dead on these images: all positions take one of its "
            f"{analysis.effects['latent'].attrs['codes']} codes, so none can be swapped for another."
        ]
    return [*_use(analysis), *_swaps(analysis), *_beside_continuous(analysis)]


def _use(analysis: Analysis) -> list[str]:
    swap = analysis.effects["swap"]
    used, codes, images = (int(swap.attrs[name]) for name in ("codes_used", "codes", "images"))
    said = (
        f"{used} of the codebook's {counted(codes, 'code')} are in use on {counted(images, 'image')}, as varied as "
        f"{number(float(swap.attrs['code_perplexity']))} codes used evenly (their perplexity)."
    )
    fixed = int((swap["codes_used"].values == 1).sum())
    if fixed:
        there = "one position" if fixed == 1 else f"{fixed} positions"
        said += f" At {there} of {swap.sizes['position']} all images take the same code."
    return [said]


def _swaps(analysis: Analysis) -> list[str]:
    """Where a swap moves the image most, and where least."""
    swap = analysis.effects["swap"]
    every = estimates(swap, "ces", position_names(swap))
    ranked = front(every)
    if ranked is None:
        return []
    best = ranked.best
    if best.value == 0:
        return ["Swapping a code for another in use changes the image at no position: CES is 0 at all of them."]
    relative = {one.name: one for one in estimates(swap, "ces_relative", position_names(swap))}[best.name]
    where = f"{best.name}, by row and column from 0," if "row" in swap.coords else best.name
    said = f"Swapping the code at {where} for another in use moves the image most: CES {best} pixel-L2"
    if np.isfinite(relative.value):
        said += f", {relative} times the mean distance between two reconstructions"
    said += f".{not_told_apart(ranked, 'position')}"
    least = min(every, key=lambda one: one.value)
    if least not in (best, *ranked.tied):
        said += f" At {least.name} it moves it least: {least}."
    return [said]


def _beside_continuous(analysis: Analysis) -> list[str]:
    """What one unit is decides how strong an intervention on a quantised latent looks."""
    values = analysis.scores["value"]
    names = ("relative CES", "relative CES at one position", "swap relative CES")
    if not set(names) <= set(values.index) or not np.isfinite(values[list(names)]).all():
        return []
    whole, alone, swapped = (number(values[name]) for name in names)
    return [
        "In units of the mean distance between two reconstructions, setting one latent to values of the range moves "
        f"the image by {whole} on average when it is set at all positions, and by {alone} when it is set at one; "
        f"swapping the whole code of one position moves it by {swapped}. The comparison hangs on what counts as one "
        "unit."
    ]
