"""Figures of a paper that are coloured cells, for matrices over latents, units of sites, positions of a codebook."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from vaelens.report import palette
from vaelens.report.latents import Latents
from vaelens.report.matrices import Matrix
from vaelens.report.numerals import number
from vaelens.report.paper.canvas import DIVERGING, PaperFigure, bare, blank, fits, name_latents, shading
from vaelens.report.ranking import grid_of, outcomes
from vaelens.report.style import largest
from vaelens.report.unit_grid import site_scales, unit_grid

_BESIDE, _TWO = 8, 5.0  # columns of which two matrices stand beside each other, in a figure of so many inches or more
_NUMBER, _LETTER = 6.5, 0.06  # points of a number in a cell; inches of a letter of a name
_EDGE = 0.15  # inches beside a matrix


def heat_maps(matrices: Sequence[Matrix], latents: Latents, width: float) -> PaperFigure:
    """Plots matrices over latents, with numbers in the cells where they fit."""
    count, order = len(latents), list(latents.order)
    across = len(matrices) if len(matrices) <= 2 and count <= _BESIDE and width >= _TWO else 1
    down = -(-len(matrices) // across)
    longest = max(len(matrix.rows) for matrix in matrices)
    named = max(len(name) for matrix in matrices for name in matrix.rows) * _LETTER
    cell = (width - named - _EDGE) / across / count
    figure = blank(width, (0.6 + 0.24 * longest) * down)
    for k, matrix in enumerate(matrices):
        axis = figure.add_subplot(down, across, k + 1)
        values = matrix.values[:, order]
        numbers = _written(values, cell)
        mesh = axis.pcolormesh(
            np.arange(count + 1) - 0.5,
            np.arange(len(matrix.rows) + 1) - 0.5,
            np.ma.masked_invalid(values),
            edgecolors="white",
            linewidth=0.6,
            **shading(values, light=bool(numbers)),
        )
        _write(axis, numbers)
        if not numbers:
            figure.colorbar(mesh, ax=axis, pad=0.02, shrink=0.8).outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        axis.set_title(matrix.title)
        axis.set_yticks(range(len(matrix.rows)), list(matrix.rows), parse_math=False)
        name_latents(axis, latents.names)
        axis.set_ylim(longest - 0.5, -0.5)
        bare(axis)
        if k >= len(matrices) - across:
            axis.set_xlabel("latent")
        if k % across:
            axis.tick_params(labelleft=False)
    return figure


def recovered_fractions(effects: xr.Dataset, sites: Sequence[str], width: float) -> PaperFigure:
    """Plots what each unit of some sites recovers, coloured relative to the largest fraction of its site."""
    kinds, scale = outcomes(effects), site_scales(effects)
    relative = effects["recovered"].values / np.array([scale[site] for site in effects["site"].values.astype(str)])
    grids = {}
    for kind, title in (("code", "Fraction of the code’s change"), ("image", "Fraction of the image’s change")):
        of_kind = [site for site in sites if kinds[site] == kind]
        if of_kind:
            grids[title] = unit_grid(effects, of_kind)
    lines = [len(grid.labels) for grid in grids.values()]
    figure = blank(width, 0.5 + 0.12 * sum(lines) + 0.35 * len(lines))
    axes = np.atleast_1d(figure.subplots(len(grids), 1, height_ratios=lines, sharex=True))
    mesh = None
    for axis, (title, grid) in zip(axes, grids.items(), strict=True):
        cells = grid.of(relative)
        mesh = axis.pcolormesh(
            np.arange(cells.shape[1] + 1) - 0.5,
            np.arange(cells.shape[0] + 1) - 0.5,
            np.ma.masked_invalid(cells),
            cmap=DIVERGING,
            vmin=-1,
            vmax=1,
            edgecolors="white",
            linewidth=0.2 if width >= _TWO else 0,
        )
        labels = {line: label for line, label in enumerate(grid.labels) if label}
        named = [f"{label} (±{number(scale[label])})" if label in scale else label for label in labels.values()]
        axis.set_yticks(list(labels), named, parse_math=False)
        axis.set_title(title)
        axis.invert_yaxis()
        bare(axis)
    axes[-1].set_xlabel("unit")
    if mesh is not None:
        bar = figure.colorbar(mesh, ax=list(axes), pad=0.02, fraction=0.03, aspect=30)
        bar.set_label("of the site’s largest")
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def positions(swap: xr.Dataset, width: float) -> PaperFigure:
    """Plots what a swap does at each position, and which codes it takes there, on the grid of positions."""
    rows, columns = grid_of(swap)
    titles = {"ces": "CES of a swap (pixel-L2)", "codes_used": "Codes taken", "code_entropy": "Their entropy (nats)"}
    figure = blank(width, 0.6 + min(max(0.25, width / 3 * rows / columns), 2.2))
    maps = {variable: swap[variable].values.reshape(rows, columns).astype(float) for variable in titles}
    written = {variable: _written(values, (width / 3 - _EDGE) / columns) for variable, values in maps.items()}
    for k, (variable, title) in enumerate(titles.items(), start=1):
        axis = figure.add_subplot(1, 3, k)
        values, numbers = maps[variable], written[variable] if all(written.values()) else {}
        image = axis.imshow(values, aspect="auto", **shading(values, light=bool(numbers)))
        _write(axis, numbers)
        if not numbers:
            bar = figure.colorbar(image, ax=axis, location="bottom", pad=0.02, aspect=12)
            bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        axis.set_title(title)
        axis.set_xlabel("column")
        if k == 1:
            axis.set_ylabel("row")
        bare(axis)
    return figure


def _written(values: np.ndarray, cell: float) -> dict[tuple[int, int], str]:
    """Writes the number of each cell, none at all where the longest is wider than a cell of so many inches."""
    form = "{:.2f}" if largest(np.abs(values)) <= 1 else "{:.3g}"
    numbers = {
        (row, column): form.format(value).replace("-", "−")
        for (row, column), value in np.ndenumerate(values)
        if np.isfinite(value)
    }
    return numbers if numbers and fits(max(numbers.values(), key=len), _NUMBER, cell) else {}


def _write(axis: Axes, numbers: Mapping[tuple[int, int], str]) -> None:
    """Puts numbers in the cells of a row and column each."""
    for (row, column), text in numbers.items():
        axis.text(column, row, text, ha="center", va="center", color=palette.INK, size=_NUMBER)
