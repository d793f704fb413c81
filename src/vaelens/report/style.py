"""How figures look, as the plain records of axes, margins and colour scales that the plotting library takes."""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vaelens.report import palette

AXIS: dict[str, Any] = {
    "showgrid": False,
    "zeroline": False,
    "showline": True,
    "linecolor": palette.RULE,
    "ticks": "outside",
    "ticklen": 3,
    "tickcolor": palette.RULE,
    "fixedrange": True,
    "exponentformat": "power",
    "minexponent": 5,
}
LAYOUT: dict[str, Any] = {
    "font": {"family": palette.FONT, "size": 12, "color": palette.INK},
    "paper_bgcolor": "rgba(0, 0, 0, 0)",  # the page's, light or dark
    "plot_bgcolor": "rgba(0, 0, 0, 0)",
    "xaxis": AXIS,
    "yaxis": AXIS,
    "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "top", "yref": "container", "traceorder": "normal"},
    "dragmode": False,
    "hoverlabel": {"bgcolor": palette.PAPER, "font": {"family": palette.FONT, "color": palette.INK}},
}
_LARGE_NAMES, _NAMED_LATENTS = 24, 80  # latents up to which their names are large, and are there at all
_LABEL = 20  # pixels that the number of a heat map's row or column takes

COLOUR_BAR: dict[str, Any] = {"thickness": 10, "outlinewidth": 0}


def error_bars(value: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str = palette.INK) -> dict[str, Any]:
    """Makes an interval about each value, but about one that is infinite."""
    with np.errstate(invalid="ignore"):
        ends = {"array": high - value, "arrayminus": value - low}
    return {"type": "data", "symmetric": False, **ends, "color": colour, "thickness": 1.2, "width": 2}


def colour_scale(colours: Sequence[str]) -> list[list[Any]]:
    """Spaces colours evenly from 0 to 1."""
    return [[k / (len(colours) - 1), colour] for k, colour in enumerate(colours)]


def largest(values: np.ndarray) -> float:
    """Finds the end of a colour scale for magnitudes, their maximum, or 1 where nothing is above 0."""
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


def magnitudes(values: np.ndarray) -> dict[str, Any]:
    """Shades the cells of a heat map of magnitudes from 0 to the largest."""
    shading = {"colorscale": colour_scale(palette.SEQUENTIAL), "zmin": 0, "zmax": largest(values)}
    return shading | {"xgap": 1, "ygap": 1}


def cells(values: np.ndarray, light: bool = False) -> dict[str, Any]:
    """Shades the cells of a heat map, of signed values about a white 0, by all colours or the light ones alone."""
    if np.nanmin(values, initial=0) >= 0:
        return magnitudes(values) | {
            "colorscale": colour_scale(palette.SEQUENTIAL[:5] if light else palette.SEQUENTIAL)
        }
    bound, colours = largest(np.abs(values)), palette.DIVERGING[3:6] if light else palette.DIVERGING
    return {"colorscale": colour_scale(colours), "zmin": -bound, "zmax": bound, "xgap": 1, "ygap": 1}


def written_cells(values: np.ndarray) -> dict[str, Any]:
    """Shades cells lightly and writes their numbers into them, so that each can be read."""
    form = "%{z:.2f}" if largest(np.abs(values)) <= 1 else "%{z:.3~g}"
    return cells(values, light=True) | {"texttemplate": form, "textfont": {"size": 12, "color": palette.INK}}


def label_step(cell: float) -> int:
    """Finds the step between cells that have a number beside them, for cells of so many pixels."""
    return max(1, math.ceil(_LABEL / cell))


def latent_step(count: int) -> int:
    """Finds the step between latents that are named below their bars, of so many."""
    return 1 if count <= _NAMED_LATENTS else 5


def latent_width(count: int) -> int:
    """Finds the pixels that each of so many latents takes at least."""
    return 12 if count <= _NAMED_LATENTS else 5


def latent_axis(names: Sequence[str]) -> dict[str, Any]:
    """Makes an axis along latents, which stand at 0, 1, …"""
    count, step = len(names), latent_step(len(names))
    ticks = {"tickvals": np.arange(count)[::step], "ticktext": list(names)[::step], "tickangle": 0}
    return ticks | {"tickfont_size": 11 if count <= _LARGE_NAMES else 8, "range": [-0.5, count - 0.5]}


def literal(name: object) -> str:
    """Writes a name so that the plotting library does not take it for markup.

    Example:
        >>> literal("<b>x</b>")
        '&lt;b&gt;x&lt;/b&gt;'
    """
    return html.escape(str(name), quote=False)


def room(labels: Iterable[str]) -> int:
    """Finds the pixels that the longest label takes beside its axis."""
    return 16 + 7 * max(map(len, labels))
