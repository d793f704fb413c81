"""Which of many estimates is the largest, which ones can't be told from it, and what units are called."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from vaelens.report.numerals import spoken


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, and what it is of."""

    name: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return spoken(self.value, self.low, self.high)


@dataclass(frozen=True)
class Front:
    """The largest of some estimates, and those not told apart from it, largest first."""

    best: Estimate
    tied: tuple[Estimate, ...]


def estimates(dataset: xr.Dataset, variable: str, names: Sequence[str]) -> list[Estimate]:
    """Reads the values of a one-dimensional variable with its `_low` and `_high`, in order."""
    columns = [np.atleast_1d(dataset[variable + end].values).tolist() for end in ("", "_low", "_high")]
    return [Estimate(name, *numbers) for name, *numbers in zip(names, *columns, strict=True)]


def front(candidates: Iterable[Estimate]) -> Front | None:
    """Finds the largest estimate, and the others whose intervals overlap its own.

    Without intervals only equal values are tied. NaN takes no part; None where nothing is left.

    Example:
        >>> ranked = front([Estimate("a", 1, 0.5, 1.6), Estimate("b", 2, 1.5, 2.5), Estimate("c", 0, 0, 1)])
        >>> ranked.best.name, [rival.name for rival in ranked.tied]
        ('b', ['a'])
    """
    finite = [candidate for candidate in candidates if np.isfinite(candidate.value)]
    if not finite:
        return None
    best, *rivals = sorted(finite, key=lambda candidate: -candidate.value)
    floor = best.low if np.isfinite(best.low) else best.value
    return Front(best, tuple(rival for rival in rivals if _ceiling(rival) >= floor))


def by_strength(latent: xr.Dataset) -> list[int]:
    """Orders latents, or positions, by CES, largest first and NaN last."""
    return np.argsort(-latent["ces"].values, kind="stable").tolist()


def ordered(effects: xr.Dataset, variable: str, order: Sequence[int]) -> list[np.ndarray]:
    """Reads a variable over latents and its interval's ends, in an order."""
    return [effects[variable + end].values[list(order)] for end in ("", "_low", "_high")]


def grid_of(swap: xr.Dataset) -> tuple[int, int]:
    """Counts rows and columns of the positions, one row where they don't lie in a plane."""
    rows = int(swap["row"].max()) + 1 if "row" in swap.coords else 1
    return rows, swap.sizes["position"] // rows


def position_names(swap: xr.Dataset) -> list[str]:
    """Names each position as it is spoken of, such as "position (1, 3)", by row and column, or "position 7"."""
    if "row" not in swap.coords:
        return [f"position {k}" for k in range(swap.sizes["position"])]
    where = zip(swap["row"].values.tolist(), swap["column"].values.tolist(), strict=True)
    return [f"position ({row}, {column})" for row, column in where]


def outcomes(patching: xr.Dataset) -> dict[str, str]:
    """Reads what each patched site's effect is measured on, "code" or "image"."""
    recorded = patching.attrs["outcomes"]
    pairs = [recorded] if isinstance(recorded, str) else recorded  # netCDF returns a list of one as a string
    return dict(str(pair).rsplit(": ", 1) for pair in pairs)


def unit_names(effects: xr.Dataset) -> list[str]:
    """Names each unit as it is spoken of, such as "latent 3" or "decoder.2 unit 17"."""
    where = zip(effects["site"].values.astype(str), effects["index"].values.tolist(), strict=True)
    return [f"{site} {index}" if site == "latent" else f"{site} unit {index}" for site, index in where]


def _ceiling(estimate: Estimate) -> float:
    return estimate.high if np.isfinite(estimate.high) else estimate.value
