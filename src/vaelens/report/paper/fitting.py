"""The last step of a figure, where titles are broken and names of latents turned or thinned to fit.

How much room there is, only a first pass of the layout says.
"""

import textwrap
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.text import Text

from vaelens.report.paper.canvas import TEXT, PaperFigure

_BETWEEN = 3  # pixels of 1/100 inch that keep two names apart which stand on one line
_LINE = 1.25 * TEXT / 72  # inches of a line of a title


def fit(figure: PaperFigure) -> None:
    """Fits the texts of a figure to its width. Its height grows by the lines that its titles grow by."""
    figure.draw_without_rendering()
    rows: dict[Any, int] = {}  # of panels: the lines that their titles are longer by
    for axis in figure.axes:
        place = axis.get_subplotspec()
        row = place.rowspan.start if place is not None else None
        rows[row] = max(rows.get(row, 0), _break(axis.title, axis.get_window_extent().width))
        _fit_names(axis)
    more = sum(_break(text, figure.bbox.width) for text in figure.texts) + sum(rows.values())
    figure.set_figheight(figure.get_figheight() + _LINE * more)
    figure.draw_without_rendering()


def _break(text: Text, width: float) -> int:
    """Breaks a text at spaces so that it is at most so many pixels wide, and returns how many lines it grows by."""
    said = text.get_text()
    letters = len(said)
    while text.get_window_extent().width > width and letters > 1:
        letters -= 1
        text.set_text(textwrap.fill(said, letters, break_long_words=False))
        if letters < max(map(len, said.split())):
            break
    return text.get_text().count("\n") - said.count("\n")


def _fit_names(axis: Axes) -> None:
    """Turns the names along an axis upright where they run into each other, and leaves out some where they still do."""
    if not axis.axison or _clear(axis, _BETWEEN):
        return
    axis.tick_params(axis="x", labelrotation=90)
    ticks, labels = axis.get_xticks(), [label.get_text() for label in axis.get_xticklabels()]
    step = 1
    while not _clear(axis, 0) and step < len(labels):
        step += 1
        axis.set_xticks(ticks[::step], labels[::step])


def _clear(axis: Axes, gap: float) -> bool:
    """Says whether neighbours among the names along an axis are so many pixels apart."""
    boxes = [label.get_window_extent() for label in axis.get_xticklabels() if label.get_text()]
    return all(left.x1 + gap <= right.x0 for left, right in pairwise(boxes))
