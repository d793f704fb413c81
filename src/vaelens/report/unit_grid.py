"""Units of many sites laid out as cells, on lines of the same width, with an empty line between two sites."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from vaelens.report.ranking import unit_names
from vaelens.report.style import largest


@dataclass(frozen=True, eq=False)
class UnitGrid:
    """Where each unit of some sites stands.

    Attributes:
        unit: the position of each cell's unit in the effects' `unit` dimension, (lines, width); −1 for an empty cell.
        labels: what the lines are called: the site, and on its further lines where they begin, such as "+64".
    """

    unit: Int[np.ndarray, "lines width"]
    labels: Sequence[str]

    def of(self, values: Float[np.ndarray, " units"]) -> Float[np.ndarray, "lines width"]:
        """Puts the units' values in their cells, NaN in the empty ones."""
        return np.where(self.unit >= 0, values[self.unit], np.nan)

    def names(self, effects: xr.Dataset) -> np.ndarray:
        """Puts the units' names in their cells, as they are spoken of."""
        return np.where(self.unit >= 0, np.array(unit_names(effects))[self.unit], "")


def unit_grid(effects: xr.Dataset, sites: Sequence[str]) -> UnitGrid:
    """Lays out the units of some sites, up to 64 to a line, 128 where a site of the effects has more than 256.

    Args:
        effects: as `patching_effects` returns them, with the coordinates `site` and `index` over `unit`.
        sites: which, from top to bottom.
    """
    where = effects["site"].values.astype(str)
    most = max(int((where == site).sum()) for site in set(where.tolist()))
    width = min(most, 64) if most <= 256 else 128
    lines, labels = [], []
    for site in sites:
        units = np.flatnonzero(where == site)
        cells = np.full(-(-len(units) // width) * width, -1)
        cells[: len(units)] = units
        lines += [cells.reshape(-1, width), np.full((1, width), -1)]
        labels += [site, *(f"+{start}" for start in range(width, len(units), width)), ""]
    return UnitGrid(np.concatenate(lines)[:-1], labels[:-1])


def site_scales(effects: xr.Dataset) -> dict[str, float]:
    """Finds the largest size of a recovered fraction at each site, by which the colours of its units are scaled."""
    where, recovered = effects["site"].values.astype(str), np.abs(effects["recovered"].values)
    return {site: largest(recovered[where == site]) for site in dict.fromkeys(where.tolist())}
