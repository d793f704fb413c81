"""Pages: an analysis rendered as one HTML file, with its figures, pictures and scripts inside."""

from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vaelens.analysis import Analysis
from vaelens.errors import VaelensError
from vaelens.report import figures, palette, pictures, tables
from vaelens.report.numerals import estimate, number
from vaelens.report.ranking import by_strength, estimates, grid_of, position_names
from vaelens.report.sentences import sentences
from vaelens.report.style import latent_step

_UNFOLDED = 16  # traversals that are seen at once; the rest opens on request
_UNFOLDED_MAPS = 64
_PICTURES_A_ROW = 8
_WIDEST_GRID = 16  # columns of positions up to which each has its map, in its place
_STRONGEST_MAPS = 24  # of a wider grid


def write_analysis(analysis: Any, path: Any) -> Path:
    """Write an analysis as one HTML page that needs no other file and no network.

    Args:
        analysis: the analysis.
        path: the page, such as "report.html". Missing folders are made; a page that is there is replaced at once when
            the new one is whole.

    Returns:
        The path written.

    Raises:
        VaelensError: something else than an Analysis, or a path that is a folder or can't be written.
    """
    if not isinstance(analysis, Analysis):
        raise VaelensError(f"expected an Analysis, got a {type(analysis).__name__}; make one with vl.analyse(lens, ds)")
    if not isinstance(path, str | Path) or not str(path):
        raise VaelensError(f"path is {path!r}; expected the file to write, such as 'report.html'")
    path = Path(path)
    unfinished = path.parent / f"{path.name}.unfinished"
    text = _page(analysis)
    try:
        if path.is_dir():
            raise VaelensError(f"{str(path)!r} is a folder; give the file to write, {str(path / 'report.html')!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except (FileExistsError, NotADirectoryError):
        raise VaelensError(f"{str(path.parent)!r} lies under a file; give a path in a folder") from None
    except OSError as error:
        raise VaelensError(f"{str(path)!r} can't be written ({error.strerror}); give another path") from error
    return path


def _page(analysis: Analysis) -> str:
    environment = Environment(
        loader=PackageLoader("vaelens.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("analysis.html.j2").render(
        effects=analysis.effects,
        provenance=analysis.provenance,
        found=sentences(analysis),
        palette=palette,
        font=Markup(palette.FONT),
        library=Markup(figures.library()),
        number=number,
        described=tables.described,
        **_pictures(analysis),
        **_figures(analysis),
        **_tables(analysis),
        **_codebook(analysis),
    )


def _pictures(analysis: Analysis) -> dict[str, Any]:
    seen, latent = analysis.effects["pictures"], analysis.effects["latent"]
    order = by_strength(latent)
    both = [pictures.shown(seen[name].values) for name in ("original", "reconstruction")]
    pairs = [
        pictures.data_uri(pictures.grid(np.stack([kind[start : start + _PICTURES_A_ROW] for kind in both])))
        for start in range(0, len(both[0]), _PICTURES_A_ROW)
    ]
    traversals = pictures.shown(seen["traversal"].values)
    maps = latent["effect_map"].mean("channel").values  # (latent, height, width)
    most = float(np.nan_to_num(maps).max())
    return {
        "pairs": pairs,
        "traversals": {k: pictures.data_uri(pictures.grid(traversals[k][None])) for k in order},
        "unfolded": _UNFOLDED,
        "unfolded_maps": _UNFOLDED_MAPS,
        "named_every": latent_step(len(order)),
        "maps": {k: pictures.data_uri(pictures.heat(maps[k], most)) for k in order},
        "map_ends": [number(end) for end in (0, most / 2, most)],
        "colour_bar": pictures.colour_bar(),
    }


def _figures(analysis: Analysis) -> dict[str, Any]:
    effects = analysis.effects
    latent = effects["latent"]
    drawn = {
        "strengths": figures.strengths(latent, effects["recoded"]),
        "modes": figures.strengths_by_mode(effects["modes"], latent),
        "associations": figures.associations(effects["input"], latent, effects.get("importance"), effects.get("read")),
        "recovered": figures.recovered_fractions(effects["patching"]),
        "mediations": figures.mediations(effects["mediation"], latent),
    }
    if "swap" in effects:
        drawn["positions"] = figures.position_maps(effects["swap"])
    plots = {
        name: {"html": Markup(one.html(f"plot-{name}")), "narrowest": one.narrowest} for name, one in drawn.items()
    }
    return {"plots": plots}


def _tables(analysis: Analysis) -> dict[str, Any]:
    effects = analysis.effects
    latent = effects["latent"]
    return {
        "latents": tables.latent_rows(latent),
        "changes": tables.change_rows(effects["input"], latent["active"].values),
        "units": tables.unit_rows(effects["patching"]),
        "scores": tables.score_rows(analysis.scores),
    }


def _codebook(analysis: Analysis) -> dict[str, Any]:
    """What is shown of swaps; nothing where none were made."""
    if "swap" not in analysis.effects:
        return {}
    swap, seen = analysis.effects["swap"], analysis.effects["pictures"]
    names = position_names(swap)
    ces = estimates(swap, "ces", names)
    changes = swap["effect_map"].mean("channel").values  # (position, height, width)
    most = float(changes.max())
    shape = grid_of(swap)
    laid_out = shape[1] <= _WIDEST_GRID
    maps = []
    for k in range(len(ces)) if laid_out else by_strength(swap)[:_STRONGEST_MAPS]:
        value, interval = estimate(ces[k].value, ces[k].low, ces[k].high)
        image = pictures.data_uri(pictures.heat(changes[k], most))
        maps.append({"name": names[k], "ces": str(ces[k]), "value": value, "interval": interval, "image": image})
    first, swapped = (pictures.shown(seen[name].values) for name in ("reconstruction", "swapped"))
    strips = [pictures.grid(np.concatenate([first[:1], row])[None]) for row in swapped]
    return {
        "grid": shape,
        "laid_out": laid_out,
        "counted": ("by row and column " if "row" in swap.coords else "") + "counted from 0",
        "position_maps": maps,
        "position_ends": [number(end) for end in (0, most / 2, most)],
        "swaps": [
            {"name": names[k], "ces": str(ces[k]), "strip": pictures.data_uri(strip)}
            for k, strip in zip(seen["position"].values.tolist(), strips, strict=True)
        ],
        "by_mode": tables.mode_rows(analysis.effects),
    }
