"""Figures of small panels in a grid, each a few marks on axes of its own, made with plotly as `figures` are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from plotly.subplots import make_subplots

from vaelens.report import palette
from vaelens.report.figures import Figure, styled
from vaelens.report.style import error_bars, literal

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "triangle-down")
_BELOW, _NAMED = 50, 34  # pixels of a panel's tick labels and title; of its axis's name besides


@dataclass(frozen=True, eq=False)
class Marks:
    """Points, or a line through them, of one thing in a panel.

    Attributes:
        name: what they are of; it has one colour and one symbol in all panels.
        x: places.
        y: values.
        low: lower ends of their intervals; None where there are none.
        high: upper ends.
        line: whether they are joined.
        texts: what pointing at each tells.
    """

    name: str
    x: Sequence[Any]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    line: bool = False
    texts: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Panel:
    """One panel of a figure.

    Attributes:
        title: what it shows.
        marks: in it.
        x: settings of its horizontal axis.
        y: settings of its vertical axis.
    """

    title: str
    marks: Sequence[Marks]
    x: Mapping[str, Any] = field(default_factory=dict)
    y: Mapping[str, Any] = field(default_factory=dict)


def panelled(panels: Sequence[Panel], columns: int = 3, height: int = 190, upright: bool = True) -> Figure:
    """Plots panels in a grid, with one legend for all.

    Args:
        panels: in reading order.
        columns: beside each other, at most.
        height: of a panel, in pixels, without its labels.
        upright: whether intervals are of y; of x otherwise.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    below = _BELOW + (_NAMED if any("title_text" in panel.x for panel in panels) else 0)
    inside = rows * (height + below)
    names = list(dict.fromkeys(marks.name for panel in panels for marks in panel.marks))
    plot = make_subplots(
        rows,
        columns,
        subplot_titles=[literal(panel.title) for panel in panels],
        vertical_spacing=below / inside if rows > 1 else 0,
        horizontal_spacing=0.24 / columns,
    )
    shown: set[str] = set()
    for k, panel in enumerate(panels):
        row, column = k // columns + 1, k % columns + 1
        for marks in panel.marks:
            place = names.index(marks.name)
            colour = palette.DISTINCT[place % len(palette.DISTINCT)]
            trace = {
                "type": "scatter",
                "x": list(marks.x),
                "y": list(marks.y),
                "name": literal(marks.name),
                "legendgroup": marks.name,
                "showlegend": marks.name not in shown and len(names) > 1,
                "mode": "lines" if marks.line and len(marks.y) > 12 else "lines+markers" if marks.line else "markers",
                "line": {"color": colour, "width": 1.4},
                "marker": {"color": colour, "size": 7, "symbol": _SYMBOLS[place % len(_SYMBOLS)]},
                "text": [literal(text) for text in marks.texts],
                "hovertemplate": ("%{text}" if marks.texts else literal(marks.name) + ": %{y:.3g}") + "<extra></extra>",
            }
            if marks.low is not None and marks.high is not None:
                measured = np.asarray(marks.y if upright else marks.x, dtype=float)
                ends = error_bars(measured, np.asarray(marks.low, float), np.asarray(marks.high, float), colour)
                trace["error_y" if upright else "error_x"] = ends
            plot.add_trace(trace, row=row, col=column)
            shown.add(marks.name)
        plot.update_xaxes(dict(panel.x), row=row, col=column)
        plot.update_yaxes({"nticks": 5} | dict(panel.y), row=row, col=column)
    plot.update_xaxes(title_font_size=12)
    plot.update_yaxes(title_font_size=12)
    legend = 22 * (1 + sum(map(len, names)) // 90) if len(names) > 1 else 0
    return styled(plot, inside + 32 + legend, 250 * columns, top=32 + legend)
