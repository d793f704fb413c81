"""Figures of a paper that are pictures, of reconstructions, traversals, where latents act, and swaps of codes."""

import numpy as np
import xarray as xr

from vaelens.report import pictures
from vaelens.report.latents import Latents
from vaelens.report.paper.canvas import SEQUENTIAL, TEXT, PaperFigure, bare, blank
from vaelens.report.ranking import estimates, position_names

_ACROSS, _MAPS_ACROSS = 8, 5
_LARGEST = 0.7  # inches of a picture in a row of some
_MAP, _BAR = 0.8, 1.5  # inches that a map takes at least, for its title, and a colour bar, for its label
_MOST_ROWS = 16  # traversals that there is room for, strongest latents first


def reconstructions(seen: xr.Dataset, width: float) -> PaperFigure:
    """Shows the first images above their reconstructions."""
    rows = np.stack([pictures.shown(seen[name].values[:_ACROSS]) for name in ("original", "reconstruction")])
    return _strips(rows, ["image", "reconstruction"], None, None, width)


def traversals(seen: xr.Dataset, latent: xr.Dataset | None, latents: Latents, width: float) -> PaperFigure:
    """Shows the image as each latent goes through the values of mode "range", the sixteen strongest latents first."""
    order = list(latents.order)[:_MOST_ROWS]
    rows = pictures.shown(seen["traversal"].values[order])
    names = [f"latent {name}" for name in latents.names[:_MOST_ROWS]]
    said = None
    if latent is not None:
        measured = estimates(latent, "ces_posterior", latents.names)
        said = [str(measured[k]) for k in order]
    values = [f"{value:g}".replace("-", "−") for value in seen["value"].values]
    figure = _strips(rows, names, values, said, width)
    if said is not None:
        figure.supxlabel("value of the latent; right, posterior CES [95 %] in pixel-L2", size=TEXT)
    return figure


def maps(latent: xr.Dataset, latents: Latents, width: float) -> PaperFigure:
    """Shows where each latent changes the image, all on one scale."""
    changes = np.nan_to_num(latent["effect_map"].mean("channel").values)  # (latent, height, width)
    across = min(_MAPS_ACROSS, len(latents), max(1, int(width / _MAP)))
    rows = -(-len(latents) // across)
    height = (width / (across + 0.6) * changes.shape[1] / changes.shape[2] + 0.25) * rows
    figure = blank(width, max(height, _BAR))
    axes, image = np.atleast_1d(figure.subplots(rows, across)).ravel(), None
    for axis in axes:
        axis.set_axis_off()
    for axis, k, name in zip(axes, latents.order, latents.names, strict=False):
        image = axis.imshow(changes[k], cmap=SEQUENTIAL, vmin=0, vmax=changes.max() or 1)
        axis.set_title(f"latent {name}")
    if image is not None:
        bar = figure.colorbar(image, ax=list(axes), pad=0.02, fraction=0.03, aspect=30)
        bar.set_label("mean absolute change")
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def swaps(swap: xr.Dataset, seen: xr.Dataset, width: float) -> PaperFigure:
    """Shows a reconstruction, and the same with another code at one position, where swaps act most."""
    first, swapped = (pictures.shown(seen[name].values) for name in ("reconstruction", "swapped"))
    rows = np.stack([np.concatenate([first[:1], row]) for row in swapped])
    names, where = position_names(swap), seen["position"].values.tolist()
    ces = estimates(swap, "ces", names)
    columns = ["as it is", *[""] * (rows.shape[1] - 1)]
    return _strips(rows, [names[k] for k in where], columns, [str(ces[k]) for k in where], width)


def _strips(
    rows: np.ndarray, names: list[str], columns: list[str] | None, beside: list[str] | None, width: float
) -> PaperFigure:
    """Shows rows of pictures with their names left, what the columns are above and a number to the right."""
    grid = pictures.grid(rows)
    high, wide = grid.shape[0] / len(names), grid.shape[1] / rows.shape[1]  # pixels of one picture
    room = 0.9 + (1.0 if beside else 0)  # inches beside the pictures
    across = min(width - room, _LARGEST * rows.shape[1])
    figure = blank(width, 0.25 + (0.35 if columns else 0) + across * grid.shape[0] / grid.shape[1])
    axis = figure.add_subplot(anchor="W")
    axis.imshow(grid, interpolation="nearest")
    bare(axis)
    axis.set_yticks((np.arange(len(names)) + 0.5) * high - 0.5, names)
    axis.set_xticks([])
    if columns:
        axis.set_xticks((np.arange(len(columns)) + 0.5) * wide - 0.5, columns)
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
    for k, text in enumerate(beside or []):
        axis.text(grid.shape[1] + 2, (k + 0.5) * high - 0.5, text, va="center", size=TEXT - 1)
    return figure
