"""The matplotlib figure that a paper's plots are drawn on, which needs no window, no pyplot and no browser.

Text stays text in SVG and PDF files, and the same analysis gives the same bytes of SVG.
"""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from vaelens.report import palette
from vaelens.report.style import largest

TEXT = 8  # points: what journals ask for
STYLE: dict[Any, Any] = {
    "font.size": TEXT,
    "axes.titlesize": TEXT,
    "axes.labelsize": TEXT,
    "xtick.labelsize": TEXT - 1,
    "ytick.labelsize": TEXT - 1,
    "legend.fontsize": TEXT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": palette.MUTED,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
}
_EM, _GAP = 0.62, 0.5  # of the size of a letter: how wide it is on average, and what keeps two texts apart
_AXIS, _LATENT = 0.45, 0.115  # inches beside a panel, and those that each latent takes in it
_SAVED: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "vaelens", "pdf.fonttype": 42}

SEQUENTIAL = LinearSegmentedColormap.from_list("vaelens magnitudes", palette.SEQUENTIAL)
DIVERGING = LinearSegmentedColormap.from_list("vaelens signed", palette.DIVERGING)
_LIGHT = LinearSegmentedColormap.from_list("vaelens light magnitudes", palette.SEQUENTIAL[:5])
_LIGHT_SIGNED = LinearSegmentedColormap.from_list("vaelens light signed", palette.DIVERGING[3:6])


class PaperFigure(Figure):
    """A matplotlib figure that notebooks show as a picture, though pyplot does not know it."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Saves the figure in the format that the name ends in, such as "strengths.pdf". Options are matplotlib's."""
        if str(fname).endswith(".svg") or options.get("format") == "svg":
            options = {"metadata": {"Date": None}, **options}
        with mpl.rc_context(_SAVED):
            super().savefig(fname, **options)

    def _repr_png_(self) -> bytes:
        packed = io.BytesIO()
        self.savefig(packed, format="png", dpi=150)
        return packed.getvalue()


def blank(width: float, height: float) -> PaperFigure:
    """Makes an empty figure of so many inches, whose parts keep clear of each other."""
    return PaperFigure(figsize=(width, height), layout="constrained")


def name_latents(axis: Axes, names: Sequence[str]) -> None:
    """Writes the latents' names along an axis on which they stand at 0, 1, …"""
    axis.set_xticks(range(len(names)), list(names))
    axis.set_xlim(-0.6, len(names) - 0.4)


def panels_across(width: float, latents: int, panels: int) -> int:
    """Says how many panels, two at most, stand beside each other in so many inches so that latents keep their names."""
    return 2 if panels > 1 and (width / 2 - _AXIS) / latents >= _LATENT else 1


def fits(text: str, points: float, inches: float) -> bool:
    """Says whether a text of a size is narrower than so many inches, with a gap beside it."""
    return (len(text) * _EM + _GAP) * points / 72 <= inches


def shading(values: Any, light: bool = False) -> dict[str, Any]:
    """Chooses the colours of a heat map, for magnitudes from 0 on, for signed values about a white 0."""
    if not (values < 0).any():
        return {"cmap": _LIGHT if light else SEQUENTIAL, "norm": Normalize(0, largest(values))}
    bound = largest(abs(values))
    return {"cmap": _LIGHT_SIGNED if light else DIVERGING, "norm": Normalize(-bound, bound)}


def bare(axis: Axes) -> None:
    """Takes the lines and ticks from around a picture or a heat map, not what they are called."""
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
