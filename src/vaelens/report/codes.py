"""The codes of a codebook one by one, each a card with what images show where it is taken and what it does."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from vaelens.report import pictures
from vaelens.report.numerals import counted, estimate, number
from vaelens.report.ranking import estimates

_SHOWN = 6  # exemplars


def code_cards(codes: xr.Dataset | None) -> list[dict[str, Any]]:
    """Makes a card for each code, the most used first, or none without the part.

    Returns:
        Of each code `code`, `count`, `share`, `images`, `once` and `reach` as text with their intervals, `everywhere`,
        `placed`, `nearest`; `exemplars`, pictures of what images show there, each with the words for where it is;
        `map` and `places`, pictures of where the image moves and of how often the code is at each position.
    """
    if codes is None:
        return []
    names = [f"code {code}" for code in codes["code"].values.tolist()]
    by_name = {
        name: estimates(codes, name, names)
        for name in ("effect_once", "effect", "effect_placed", "reach")
        if name in codes
    }
    maps = _maps(codes)
    cards = []
    for k, code in enumerate(codes["code"].values.tolist()):
        written = {
            name: estimate(of[k].value, of[k].low, of[k].high)
            for name, of in by_name.items()
            if np.isfinite(of[k].value)
        }
        cards.append({
            "code": code,
            "count": counted(int(codes["count"][k]), "position"),
            "share": f"{100 * float(codes['share'][k]):.1f} %",
            "images": counted(int(codes["images"][k]), "image"),
            "written": {name: {"value": value, "interval": interval} for name, (value, interval) in written.items()},
            "nearest": int(codes["nearest_code"][k]),
            "apart": number(float(codes["nearest_distance"][k])),
            "exemplars": _exemplars(codes, k),
            **{name: picture[k] for name, picture in maps.items()},
        })  # fmt: skip
    return cards


def _exemplars(codes: xr.Dataset, k: int) -> list[Mapping[str, str]]:
    """Draws what images show where a code is taken most typically, with the words for where that is."""
    if "exemplar_patch" not in codes:
        return []
    shown = []
    for image, position, patch in zip(
        codes["exemplar_image"][k].values.tolist()[:_SHOWN],
        codes["exemplar_position"][k].values.tolist(),
        codes["exemplar_patch"][k].values,
        strict=False,
    ):
        if image < 0:
            continue
        where = f"image {image}, row {int(codes['row'][position])}, column {int(codes['column'][position])}"
        shown.append({"image": pictures.data_uri(_framed(patch)), "where": where})
    return shown


def _framed(patch: np.ndarray) -> np.ndarray:
    """Turns a patch into a picture, grey where the image ends."""
    picture = pictures.shown(patch)
    picture[np.isnan(patch).any(axis=0)] = 200
    return picture


def _maps(codes: xr.Dataset) -> dict[str, list[str]]:
    """Draws where the image moves as each code is swapped, and how often each position takes it."""
    maps: dict[str, list[str]] = {name: [""] * codes.sizes["code"] for name in ("map", "places")}
    if codes["effect_map"].dims[1:] == ("channel", "height", "width"):
        changes = codes["effect_map"].mean("channel").values
        # Each on a scale of its own: where it acts is asked, how far stands in numbers.
        maps["map"] = [
            pictures.data_uri(pictures.heat(change, float(np.nan_to_num(change).max()))) for change in changes
        ]
    if "row" in codes.coords and "column" in codes.coords:
        shape = int(codes["row"].max()) + 1, int(codes["column"].max()) + 1
        grids = codes["occurrence"].values.reshape(-1, *shape)
        maps["places"] = [pictures.data_uri(pictures.heat(grid, float(grid.max()))) for grid in grids]
    return maps
