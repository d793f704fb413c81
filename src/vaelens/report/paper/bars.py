"""Figures of a paper that show numbers by latent, as bars and points with their intervals."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from vaelens.report import palette
from vaelens.report.latents import Latents, panels_of
from vaelens.report.paper.canvas import TEXT, PaperFigure, blank, fits, name_latents, panels_across
from vaelens.report.ranking import ordered
from vaelens.report.style import error_bars, largest

_PANEL = 1.35  # inches of height of a panel


def strengths(latent: xr.Dataset, recoded: xr.Dataset | None, latents: Latents, width: float) -> PaperFigure:
    """Plots posterior CES, CES, information, removal cost and specificity by latent."""
    panels = panels_of(latent, recoded)
    columns = panels_across(width, len(latents), len(panels))
    rows = -(-len(panels) // columns)
    figure = blank(width, 0.3 + _PANEL * rows)
    shades = np.where(latents.active, palette.ACTIVE, palette.INACTIVE)[list(latents.order)]
    for k, (title, effects, variable) in enumerate(panels):
        axis = figure.add_subplot(rows, columns, k + 1)
        value, low, high = ordered(effects, variable, latents.order)
        axis.bar(range(len(latents)), value, color=shades.tolist(), width=0.75)
        _intervals(axis, np.arange(len(latents)), value, low, high)
        if variable == "specificity_per_image" and "specificity_baseline" in effects:
            axis.axhline(float(effects["specificity_baseline"].mean()), color=palette.MUTED, ls=":", lw=1)
        axis.set_title(title)
        name_latents(axis, latents.names)
        if k >= len(panels) - columns:
            axis.set_xlabel("latent")
    return figure


def strengths_by_mode(modes: xr.Dataset, latents: Latents, width: float) -> PaperFigure:
    """Plots CES by latent under every mode of intervention."""
    figure = blank(width, 2.4)
    axis = figure.add_subplot()
    kinds = modes["mode"].values.tolist()
    for k, kind in enumerate(kinds):
        where = np.arange(len(latents)) + (k - (len(kinds) - 1) / 2) * 0.6 / len(kinds)
        value, low, high = ordered(modes.sel(mode=kind), "ces", latents.order)
        shade, symbol = palette.DISTINCT[k % len(palette.DISTINCT)], "osD^vP"[k % 6]
        axis.plot(where, value, symbol, color=shade, ms=3.5, label=kind)
        _intervals(axis, where, value, low, high, shade)
    name_latents(axis, latents.names)
    axis.set_title("CES (pixel-L2)")
    axis.set_xlabel("latent")
    axis.set_ylim(0, 1.08 * largest(modes["ces_high"].values))
    longest = "—" * 4 + max(kinds, key=len)
    across = next((k for k in range(len(kinds), 1, -1) if fits(longest, TEXT, width / k)), 1)
    figure.legend(loc="outside lower left", ncols=across, frameon=False)
    return figure


def mediation(effects: xr.Dataset, latents: Latents, width: float) -> PaperFigure:
    """Plots the indirect, interaction and direct parts of each treatment's effect through each latent, stacked."""
    treatments = effects["treatment"].values.astype(str).tolist()
    columns = panels_across(width, len(latents), len(treatments))
    rows = -(-len(treatments) // columns)
    figure = blank(width, 0.5 + _PANEL * rows)
    shades = {"indirect": palette.INDIRECT, "interaction": palette.INTERACTION, "direct": palette.DIRECT}
    where = np.arange(len(latents))
    for k, treatment in enumerate(treatments):
        axis = figure.add_subplot(rows, columns, k + 1, sharey=figure.axes[0] if k else None)
        ends = {True: np.zeros(len(latents)), False: np.zeros(len(latents))}  # of what is above 0, and below
        for kind, shade in shades.items():
            value, _, _ = ordered(effects.isel(treatment=k), kind, latents.order)
            above = value >= 0
            axis.bar(where, value, bottom=np.where(above, ends[True], ends[False]), color=shade, label=kind)
            for side in ends:
                ends[side] += np.nan_to_num(np.where(above == side, value, 0))
        value, low, high = ordered(effects.isel(treatment=k), "indirect", latents.order)
        _intervals(axis, where, value, low, high)
        axis.axhline(0, color=palette.MUTED, lw=0.6)
        axis.set_title(treatment, parse_math=False)
        name_latents(axis, latents.names)
        if k >= len(treatments) - columns:
            axis.set_xlabel("latent")
    figure.supylabel("fraction of the effect", size=TEXT)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=len(labels), frameon=False)
    return figure


def _intervals(
    axis: Axes, where: np.ndarray, value: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str = palette.INK
) -> None:
    """Draws an interval about each value, but about one that is infinite."""
    ends = error_bars(value, low, high)
    reach = np.stack([ends["arrayminus"], ends["array"]])
    drawn = np.isfinite(reach).all(axis=0)
    about = np.maximum(reach[:, drawn], 0)  # a reflected interval may end beside its estimate
    axis.errorbar(
        where[drawn], value[drawn], about, fmt="none", ecolor=colour, elinewidth=0.8, capsize=1.5, capthick=0.8
    )
