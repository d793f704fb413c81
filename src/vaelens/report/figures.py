"""The figures of a page, made with plotly, which `circuit_curves` alone knows besides.

Each takes a record and returns a `Figure`. Latents stand in the order of `Latents`; a star marks an inactive one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.io import to_html
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from vaelens.report import palette
from vaelens.report.latents import Latents, panels_of
from vaelens.report.matrices import Matrix
from vaelens.report.numerals import number
from vaelens.report.ranking import grid_of, ordered, outcomes
from vaelens.report.style import (
    COLOUR_BAR,
    LAYOUT,
    cells,
    colour_scale,
    error_bars,
    label_step,
    latent_axis,
    latent_width,
    literal,
    magnitudes,
    room,
    written_cells,
)
from vaelens.report.unit_grid import site_scales, unit_grid

_CONFIG = {"displayModeBar": False, "displaylogo": False, "responsive": True}
_CELL_WIDTH, _CELL_HEIGHT = 38, 28  # pixels of a heat map's cell with a number
_WRITTEN_CELLS = 16  # columns up to which a heat map's numbers are legible in its cells
_WRITTEN_GRID = 8  # the same of each of three beside each other
_PAGE, _SIDE_BY_SIDE, _TWO_COLUMNS, _BETWEEN = 912, 12, 24, 0.06  # pixels; latents; share of the width
_TITLE = 310  # pixels of the longest title of a matrix
_INTERVAL = " [%{customdata[0]:.3g}, %{customdata[1]:.3g}]"
_BESIDE = (
    "recovered_low",
    "recovered_high",
    "recovered_chance",
    "effect",
    "recovered",
)  # what pointing at a unit tells besides
_TEMPLATE = go.layout.Template(layout=LAYOUT)


@dataclass(frozen=True, eq=False)
class Figure:
    """A plot, and the width in pixels below which it scrolls in its box instead of shrinking."""

    plot: go.Figure
    narrowest: int

    def html(self, name: str) -> str:
        """Writes the figure as a div with the id `name`, for a page that holds `library` before it."""
        return to_html(self.plot, _CONFIG, include_plotlyjs=False, full_html=False, div_id=name)


def library() -> str:
    """Reads the plotting library's own script."""
    return get_plotlyjs()


def strengths(latent: xr.Dataset, recoded: xr.Dataset | None, latents: Latents) -> Figure:
    """Plots information, CES and specificity in their forms by latent, with intervals."""
    panels = panels_of(latent, recoded)
    names, order = latents.names, latents.order
    shades = np.where(latents.active, palette.ACTIVE, palette.INACTIVE)[list(order)].tolist()
    columns = 2 if len(names) <= _TWO_COLUMNS else 1
    rows = -(-len(panels) // columns)
    titles = [title for title, _, _ in panels]
    plot = make_subplots(rows, columns, subplot_titles=titles, vertical_spacing=0.33 / rows, horizontal_spacing=0.09)
    for k, (_, effects, variable) in enumerate(panels):
        value, low, high = ordered(effects, variable, order)
        bars = go.Bar(
            y=value,
            marker_color=shades,
            error_y=error_bars(value, low, high),
            customdata=np.stack([low, high], axis=-1),
            text=names,
            textposition="none",
            hovertemplate="latent %{text}: %{y:.3g}" + _INTERVAL + "<extra></extra>",
        )
        plot.add_trace(bars, row=k // columns + 1, col=k % columns + 1)
        if variable == "specificity_per_image" and "specificity_baseline" in effects:
            level = dict.fromkeys(("y0", "y1"), float(effects["specificity_baseline"].mean()))
            line = level | {"x0": 0, "x1": 1, "xref": "x domain", "line": {"color": palette.MUTED, "dash": "dot"}}
            plot.add_shape(line, row=k // columns + 1, col=k % columns + 1)
    plot.update_xaxes(**latent_axis(names))
    plot.update_xaxes(title_text="latent", row=rows)
    plot.update_yaxes(rangemode="tozero", nticks=5)
    narrowest = max(640, 90 + latent_width(len(names)) * len(names))
    return styled(plot, 205 * rows + 25, narrowest, bargap=0.3, showlegend=False)


def strengths_by_mode(modes: xr.Dataset, latents: Latents) -> Figure:
    """Plots CES by latent under every mode of intervention, with intervals."""
    names, order = latents.names, latents.order
    plot = go.Figure()
    kinds = modes["mode"].values.tolist()
    for k, kind in enumerate(kinds):
        value, low, high = ordered(modes.sel(mode=kind), "ces", order)
        points = go.Scatter(
            x=np.arange(len(names)) + (k - (len(kinds) - 1) / 2) * 0.6 / len(kinds),
            y=value,
            mode="markers",
            name=kind,
            marker={
                "color": palette.DISTINCT[k % len(palette.DISTINCT)],
                "size": 7 if len(names) <= _TWO_COLUMNS else 4,
                "symbol": k,
            },
            error_y=error_bars(value, low, high, palette.DISTINCT[k % len(palette.DISTINCT)]),
            customdata=np.stack([low, high], axis=-1),
            text=names,
            hovertemplate="latent %{text}: %{y:.3g}" + _INTERVAL,
        )
        plot.add_trace(points)
    plot.update_xaxes(**latent_axis(names))
    plot.update_xaxes(title_text="latent")
    plot.update_yaxes(title_text="CES (pixel-L2)", rangemode="tozero", showgrid=True, gridcolor=palette.PANEL)
    return styled(plot, 330, max(560, 90 + latent_width(len(names)) * len(names)))


def heat_maps(matrices: Sequence[Matrix], latents: Latents) -> Figure:
    """Plots matrices over latents, beside each other where there is room, with numbers in the cells where they fit."""
    names, order = latents.names, list(latents.order)
    rows = max((matrix.rows for matrix in matrices), key=len)
    left, written = room(rows), len(names) <= _WRITTEN_CELLS
    cells_wide = max((_CELL_WIDTH if written else latent_width(len(names))) * len(names), _TITLE)
    both = left + 10 + len(matrices) * cells_wide / (1 - _BETWEEN)
    beside = len(matrices) == 1 or (len(matrices) == 2 and both <= _PAGE)
    down, across = (1, len(matrices)) if beside else (len(matrices), 1)
    inside = (_CELL_HEIGHT * len(rows) + 60) * down - 60
    titles, gap = [matrix.title for matrix in matrices], 60 / inside if down > 1 else 0
    plot = make_subplots(down, across, subplot_titles=titles, horizontal_spacing=_BETWEEN, vertical_spacing=gap)
    for k, matrix in enumerate(matrices):
        row, column = (1, k + 1) if beside else (k + 1, 1)
        values, interval = matrix.values[:, order], "" if matrix.ends is None else _INTERVAL
        trace = go.Heatmap(
            z=values,
            x=np.arange(len(names)),
            y=[literal(name) for name in matrix.rows],
            text=np.tile(names, (len(matrix.rows), 1)),
            customdata=None if matrix.ends is None else matrix.ends[:, order],
            hovertemplate=f"%{{y}}, latent %{{text}}: %{{z:.3g}}{interval}<extra></extra>",
            **(written_cells(values) if written else cells(values)),
            showscale=not written,
            colorbar=_colour_bar(plot, row, column),
            name=matrix.title,
        )
        plot.add_trace(trace, row=row, col=column)
    plot.update_xaxes(**latent_axis(names))
    plot.update_xaxes(showline=False, ticks="")
    plot.update_xaxes(title_text="latent", row=down)
    plot.update_yaxes(showline=False, ticks="", range=[len(rows) - 0.5, -0.5])
    if beside and len(matrices) > 1:
        plot.update_yaxes(showticklabels=False, col=2)
    narrowest = both if beside else left + 10 + cells_wide
    return styled(plot, inside + 77, int(narrowest), left=left)


def recovered_fractions(effects: xr.Dataset, sites: Sequence[str]) -> Figure:
    """Plots what each unit of some sites recovers, as a cell for each unit in one block for each outcome.

    Colours are relative to the largest fraction of each site, which stands beside its name.
    """
    kinds, scale = outcomes(effects), site_scales(effects)
    relative = effects["recovered"].values / np.array([scale[site] for site in effects["site"].values.astype(str)])
    grids = {}
    for kind, title in (("code", "Fraction of the code's change"), ("image", "Fraction of the image's change")):
        of_kind = [site for site in sites if kinds[site] == kind]
        if of_kind:
            grids[title] = unit_grid(effects, of_kind)
    lines = [len(grid.labels) for grid in grids.values()]
    gap = 60 / (15 * sum(lines) + 60)
    plot = make_subplots(len(grids), 1, subplot_titles=list(grids), row_heights=lines, vertical_spacing=gap)
    labels = {site: f"{site} (±{number(scale[site])})" for site in sites}
    for k, grid in enumerate(grids.values(), start=1):
        cells = go.Heatmap(
            z=grid.of(relative),
            text=grid.names(effects),
            customdata=np.stack([grid.of(effects[name].values) for name in _BESIDE], axis=-1),
            hovertemplate="%{text}: %{customdata[4]:.3g}" + _INTERVAL + "<br>a typical unit of the site "
            "%{customdata[2]:.3g}<br>effect %{customdata[3]:.3g}<extra></extra>",
            hoverongaps=False,
            coloraxis="coloraxis",
            xgap=1,
            ygap=1,
        )
        plot.add_trace(cells, row=k, col=1)
        named = [(line, label) for line, label in enumerate(grid.labels) if label]
        ticks = {
            "tickvals": [line for line, _ in named],
            "ticktext": [literal(labels.get(label, label)) for _, label in named],
        }
        plot.update_yaxes(autorange="reversed", row=k, **ticks)
    plot.update_xaxes(dtick=8, showline=False, ticks="")
    plot.update_xaxes(title_text="unit", row=len(grids))
    plot.update_yaxes(showline=False, ticks="")
    shading = {"colorscale": colour_scale(palette.DIVERGING), "cmin": -1, "cmax": 1}
    plot.update_layout(
        coloraxis=shading | {"colorbar": COLOUR_BAR | {"title": {"text": "of the<br>site's<br>largest"}}}
    )
    return styled(plot, 15 * sum(lines) + 137, 760, left=room(labels.values()))


def mediations(effects: xr.Dataset, latents: Latents) -> Figure:
    """Plots the indirect, interaction and direct parts of each treatment's effect through each latent."""
    names, order = latents.names, latents.order
    treatments = [literal(name) for name in effects["treatment"].values]
    columns = 2 if len(names) <= _SIDE_BY_SIDE and len(treatments) > 1 else 1
    rows = -(-len(treatments) // columns)
    gap = min(0.4 / rows, 0.2)
    plot = make_subplots(rows, columns, subplot_titles=treatments, vertical_spacing=gap, horizontal_spacing=0.07)
    shades = {"indirect": palette.INDIRECT, "interaction": palette.INTERACTION, "direct": palette.DIRECT}
    for k in range(len(treatments)):
        for kind, shade in shades.items():
            value, low, high = ordered(effects.isel(treatment=k), kind, order)
            bars = go.Bar(
                y=value,
                name=kind,
                legendgroup=kind,
                showlegend=k == 0,
                marker_color=shade,
                customdata=np.stack([low, high], axis=-1),
                text=names,
                textposition="none",
                hovertemplate="latent %{text}: %{y:.3g}" + _INTERVAL,
            )
            plot.add_trace(bars, row=k // columns + 1, col=k % columns + 1)
        value, low, high = ordered(effects.isel(treatment=k), "indirect", order)
        interval = go.Scatter(
            x=np.arange(len(names)),
            y=value,
            mode="markers",
            name="95 % interval of indirect",
            legendgroup="interval",
            showlegend=k == 0,
            marker={"color": palette.INK, "size": 3},
            error_y=error_bars(value, low, high),
            hoverinfo="skip",
        )
        plot.add_trace(interval, row=k // columns + 1, col=k % columns + 1)
    plot.update_xaxes(**latent_axis(names))
    plot.update_xaxes(title_text="latent", row=rows)
    plot.update_yaxes(nticks=5, zeroline=True, zerolinecolor=palette.MUTED, zerolinewidth=1)
    narrowest = max(600, 90 + latent_width(len(names)) * len(names) * columns)
    return styled(plot, 175 * rows + 100, narrowest, top=58, barmode="relative", bargap=0.25)


def position_maps(swap: xr.Dataset) -> Figure:
    """Plots what a swap does at each position, and which codes it takes there, on the grid of positions."""
    rows, columns = grid_of(swap)
    width, height = 24 if columns <= _WRITTEN_GRID else 8, min(max(40 * rows, 60), 320)  # of a cell; of all
    titles = {"ces": "CES of a swap (pixel-L2)", "codes_used": "Codes taken", "code_entropy": "Their entropy (nats)"}
    plot = make_subplots(1, len(titles), subplot_titles=list(titles.values()), horizontal_spacing=0.06)
    ends = np.stack([swap[f"ces_{end}"].values.reshape(rows, columns) for end in ("low", "high")], axis=-1)
    for k, variable in enumerate(titles):
        values = swap[variable].values.reshape(rows, columns)
        cells = go.Heatmap(
            z=values,
            customdata=ends if variable == "ces" else None,
            texttemplate="%{z:.3~g}" if columns <= _WRITTEN_GRID else "",
            textfont_size=10,
            hovertemplate="row %{y}, column %{x}: %{z:.3~g}" + (_INTERVAL if variable == "ces" else "<extra></extra>"),
            **magnitudes(values),
            showscale=False,
            name="",
        )
        plot.add_trace(cells, row=1, col=k + 1)
    plot.update_xaxes(dtick=label_step(width), showline=False, ticks="", title_text="column")
    plot.update_yaxes(dtick=label_step(height / rows), showline=False, ticks="", autorange="reversed")
    return styled(plot, 77 + height, max(560, len(titles) * width * columns), yaxis_title_text="row")


def _colour_bar(plot: go.Figure, row: int, column: int) -> dict[str, Any]:
    """Places a colour bar beside its subplot."""
    subplot = plot.get_subplot(row, column)
    assert subplot is not None, "a colour bar stands beside a subplot that there is"
    bottom, top = subplot[1].domain  # of its y axis
    return COLOUR_BAR | {"y": (bottom + top) / 2, "lenmode": "pixels", "len": 80, "nticks": 3}


def styled(plot: go.Figure, height: int, narrowest: int, left: int = 50, top: int = 32, **layout: Any) -> Figure:
    """Gives a plot the look of every figure, and its size in pixels."""
    plot.update_layout(template=_TEMPLATE, height=height, margin={"l": left, "r": 10, "t": top, "b": 45}, **layout)
    plot.update_annotations(font_size=13)
    return Figure(plot, narrowest)
