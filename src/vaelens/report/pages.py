"""The page of an analysis, one HTML file with its figures, pictures and scripts inside."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from markupsafe import Markup

from vaelens.analysis import Analysis
from vaelens.effects.modes import RANGE
from vaelens.errors import VaelensError
from vaelens.observation import Observation
from vaelens.report import figures, matrices, pictures, tables
from vaelens.report.changes import is_intervened
from vaelens.report.circuit_curves import faithfulness_curves
from vaelens.report.circuits import circuit_section, found
from vaelens.report.codebook import code_use
from vaelens.report.codes import code_cards
from vaelens.report.downloads import csv_uri
from vaelens.report.drawn import Drawn, colours, drawn_maps, slices
from vaelens.report.features import feature_changes, top_features
from vaelens.report.latents import Latents, latents_of
from vaelens.report.numerals import estimate, listed, number
from vaelens.report.ranking import by_strength, estimates, grid_of, position_names
from vaelens.report.reading import reader_trust
from vaelens.report.rendering import rendered, write_page
from vaelens.report.sentences import conditions, sentences
from vaelens.report.strength import range_support
from vaelens.report.style import latent_step
from vaelens.report.titles import numbered, source, title
from vaelens.report.units import shown_sites
from vaelens.report.wording import in_words_of, in_words_of_plot, observation_of

_UNFOLDED = 16  # traversals that are seen at once; the rest opens on request
_UNFOLDED_MAPS = 64
_PICTURES_A_ROW = 8
_WIDEST_GRID = 16  # columns of positions up to which each has its map, in its place
_STRONGEST_MAPS = 24  # of a wider grid


def write_analysis(analysis: Any, path: Any) -> Path:
    """Writes an analysis as one HTML page that needs no other file and no network.

    Args:
        analysis: the analysis.
        path: the page, such as "report.html". Missing folders are made; a page that is there is replaced at once when
            the new one is whole.

    Returns:
        The path written.

    Raises:
        VaelensError: something else than an Analysis, or a path that is a folder or can't be written.
    """
    return write_page(page(analysis), path)


def page(analysis: Any) -> bytes:
    """Renders an analysis as one HTML page, the same bytes for the same analysis.

    Raises:
        VaelensError: something else than an Analysis.
    """
    if not isinstance(analysis, Analysis):
        raise VaelensError(f"expected an Analysis, got a {type(analysis).__name__}; make one with vl.analyse(lens, ds)")
    effects, latents = analysis.effects, latents_of(analysis.effects)
    observation = observation_of(analysis.provenance)
    content = rendered(
        "analysis.html.j2",
        effects=effects,
        provenance=analysis.provenance,
        title=title(analysis.provenance),
        source=source(analysis.provenance["dataset"]),
        findings=sentences(analysis),
        conditions=conditions(analysis),
        by_latent=latents,
        use=code_use(analysis),
        range_values=list(RANGE),
        range_ends=_range_ends(effects.get("latent")),
        patched_sites=tables.patched_sites(analysis.provenance),
        only_these=tables.asked_parts(analysis.provenance),
        described=tables.described,
        observation=observation,
        top_features=_features(effects, observation, latents),
        **numbered(effects),
        **_pictures(effects, latents, observation),
        **_figures(analysis, latents),
        **_tables(analysis, latents),
        **_codebook(effects, observation),
        code_cards=code_cards(effects.get("codes")),
        **circuit_section(effects),
    )
    return content if observation.is_image else in_words_of(observation, content.decode()).encode()


def _pictures(effects: Mapping[str, xr.Dataset], latents: Latents, observation: Observation) -> dict[str, Any]:
    shown: dict[str, Any] = {"unfolded": _UNFOLDED, "unfolded_maps": _UNFOLDED_MAPS}
    shown["named_every"] = latent_step(len(latents))
    shown["colour_bar"] = pictures.colour_bar()
    axes = len(observation.shape)
    shown["curves"] = colours(observation) if axes == 2 else ""
    shown["slices"] = slices(observation) if axes == 4 else []
    if "pictures" in effects:
        seen = effects["pictures"]
        both = [seen[name].values for name in ("original", "reconstruction")]
        traversals = seen["traversal"].values
        drawn = Drawn.of(observation, *both, traversals)
        shown["pairs"] = [
            drawn.rows(np.stack([kind[start : start + _PICTURES_A_ROW] for kind in both]))
            for start in range(0, len(both[0]), _PICTURES_A_ROW)
        ]
        shown["traversals"] = {k: drawn.rows(traversals[k][None]) for k in latents.order}
        shown["drawn_ends"] = [number(end) for end in (drawn.low, drawn.high)]
    if "latent" in effects and axes > 1:
        maps, most = drawn_maps(effects["latent"]["effect_map"].values, observation)
        shown["maps"] = dict(enumerate(maps))
        shown["map_ends"] = [number(end) for end in (0, most / 2, most)]
    return shown


def _features(effects: Mapping[str, xr.Dataset], observation: Observation, latents: Latents) -> list[dict[str, Any]]:
    """Lists the features of what is no image, where there are several."""
    several = not observation.is_image and (len(observation.shape) == 1 or observation.shape[0] > 1)
    return top_features(effects["latent"], observation, latents) if several and "latent" in effects else []


def _figures(analysis: Analysis, latents: Latents) -> dict[str, Any]:
    effects, observation = analysis.effects, observation_of(analysis.provenance)
    plotted = {}
    if "latent" in effects and not observation.is_image:
        plotted["features"] = figures.heat_maps([feature_changes(effects["latent"], observation)], latents)
    if "latent" in effects:
        plotted["strengths"] = figures.strengths(effects["latent"], effects.get("recoded"), latents)
    if "modes" in effects:
        plotted["modes"] = figures.strengths_by_mode(effects["modes"], latents)
    if "input" in effects:
        importance, read = effects.get("importance"), effects.get("read")
        plotted["associations"] = figures.heat_maps(matrices.associations(effects["input"], importance, read), latents)
    if "labels" in effects:
        plotted["labels"] = figures.heat_maps([matrices.label_associations(effects["labels"])], latents)
    if "patching" in effects:
        plotted["recovered"] = figures.recovered_fractions(effects["patching"], shown_sites(analysis))
    if "mediation" in effects:
        plotted["mediations"] = figures.mediations(effects["mediation"], latents)
    circuits = found(effects)
    if circuits is not None:
        plotted["circuit_curves"] = faithfulness_curves(circuits)
    if "swap" in effects:
        plotted["positions"] = figures.position_maps(effects["swap"])
    for figure in plotted.values():
        in_words_of_plot(observation, figure.plot)
    plots = {
        name: {
            "html": Markup(figure.html(f"plot-{name}")),
            "narrowest": figure.narrowest,
            "csv": csv_uri(analysis, name),
        }
        for name, figure in plotted.items()
    }
    return {"plots": plots}


def _tables(analysis: Analysis, latents: Latents) -> dict[str, Any]:
    effects = analysis.effects
    of_latents = tables.latent_rows(effects.get("latent"), latents)
    rows: dict[str, Any] = {
        "latents": of_latents,
        "latent_columns": tables.latent_columns(of_latents),
        "scores": tables.score_rows(analysis.scores),
        "measured": tables.part_rows(analysis.provenance),
    }
    if "input" in effects:
        rows["changes"] = tables.change_rows(analysis)
        rows["intervened"] = is_intervened(analysis)
    if "labels" in effects:
        rows["labelled"] = tables.label_rows(effects["labels"], latents.active)
        rows["spread_labels"] = listed(tables.spread_labels(effects["labels"]) or [""])
    if "patching" in effects:
        rows["units"], rows["shown_sites"] = tables.site_rows(analysis), shown_sites(analysis)
    if "read" in effects:
        rows["trust"] = reader_trust(analysis)
    if "latent" in effects:
        rows["range_support"] = range_support(effects["latent"])
    return rows


def _range_ends(latent: xr.Dataset | None) -> str:
    """Writes between which values mode "range" sets a latent, and in what they are measured."""
    scaled = latent is not None and latent.attrs.get("range_in") == "standard deviations"
    ends = f"{RANGE[0]:g} to {RANGE[-1]:g}".replace("-", "−")
    return f"from {ends}" + (" standard deviations of the latent's code about its mean" if scaled else "")


def _codebook(effects: Mapping[str, xr.Dataset], observation: Observation) -> dict[str, Any]:
    """Shows swaps of codes, where some were made."""
    if "swap" not in effects:
        return {}
    swap = effects["swap"]
    names = position_names(swap)
    ces = estimates(swap, "ces", names)
    drawings, most = drawn_maps(swap["effect_map"].values, observation)
    shape = grid_of(swap)
    laid_out = shape[1] <= _WIDEST_GRID
    maps = []
    for k in range(len(ces)) if laid_out else by_strength(swap, "ces")[:_STRONGEST_MAPS]:
        value, interval = estimate(ces[k].value, ces[k].low, ces[k].high)
        maps.append({"name": names[k], "ces": str(ces[k]), "value": value, "interval": interval, "image": drawings[k]})
    swaps = []
    if "swapped" in effects.get("pictures", {}):
        seen = effects["pictures"]
        first, swapped = (seen[name].values for name in ("reconstruction", "swapped"))
        drawn = Drawn.of(observation, first, swapped)
        strips = [drawn.rows(np.concatenate([first[:1], row])[None]) for row in swapped]
        swaps = [
            {"name": names[k], "ces": str(ces[k]), "strip": strip}
            for k, strip in zip(seen["position"].values.tolist(), strips, strict=True)
        ]
    return {
        "grid": shape,
        "laid_out": laid_out,
        "counted": ("by row and column " if "row" in swap.coords else "") + "counted from 0",
        "position_maps": maps,
        "position_ends": [number(end) for end in (0, most / 2, most)],
        "swaps": swaps,
        "by_mode": tables.mode_rows(effects),
    }
