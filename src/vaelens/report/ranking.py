"""Which of many estimates is the largest, which ones can't be told from it, and what units are called."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from vaelens.report.numerals import spoken


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, what it is of, and whether it is in the best set of its kind.

    Attributes:
        may_be_best: whether a comparison of all at once leaves open that it is the largest; None where none was made.
    """

    name: str
    value: float
    low: float
    high: float
    may_be_best: bool | None = None

    def __str__(self) -> str:
        return spoken(self.value, self.low, self.high)


@dataclass(frozen=True)
class Front:
    """The largest of some estimates, and those not told apart from it, largest first."""

    best: Estimate
    tied: tuple[Estimate, ...]

    @property
    def members(self) -> tuple[Estimate, ...]:
        """All that may be the largest."""
        return (self.best, *self.tied)


def estimates(dataset: xr.Dataset, variable: str, names: Sequence[str]) -> list[Estimate]:
    """Reads the values of a one-dimensional variable with its `_low`, `_high` and, where there is one, `_best`."""
    columns = [np.atleast_1d(dataset[variable + end].values).tolist() for end in ("", "_low", "_high")]
    best_set = f"{variable}_best"
    members = np.atleast_1d(dataset[best_set].values).astype(bool).tolist() if best_set in dataset else None
    members = [None] * len(names) if members is None else members
    return [Estimate(name, *numbers) for name, *numbers in zip(names, *columns, members, strict=True)]


def front(candidates: Iterable[Estimate]) -> Front | None:
    """Finds the largest estimate, and the others that may be the largest.

    Those are the other members of the best set. Where none was computed, as for changes between observed pairs and in
    analyses of earlier versions, they are those whose intervals overlap the largest's, or which equal it where there is
    no interval. NaN takes no part; None where nothing is left.

    Example:
        >>> ranked = front([Estimate("a", 1, 0.5, 1.6), Estimate("b", 2, 1.5, 2.5), Estimate("c", 0, 0, 1)])
        >>> ranked.best.name, [rival.name for rival in ranked.tied]
        ('b', ['a'])
        >>> front([Estimate("a", 1, 0.5, 1.6, False), Estimate("b", 2, 1.5, 2.5, True)]).tied
        ()
    """
    finite = [candidate for candidate in candidates if np.isfinite(candidate.value)]
    if not finite:
        return None
    best, *rivals = sorted(finite, key=lambda candidate: -candidate.value)
    if best.may_be_best is not None:
        return Front(best, tuple(rival for rival in rivals if rival.may_be_best))
    floor = best.low if np.isfinite(best.low) else best.value
    return Front(best, tuple(rival for rival in rivals if _ceiling(rival) >= floor))


def told_from_zero(estimate: Estimate) -> bool:
    """Says whether the whole interval lies above 0, or the value where there is no interval."""
    return (estimate.low if np.isfinite(estimate.low) else estimate.value) > 0


def by_strength(effects: xr.Dataset, variable: str) -> list[int]:
    """Orders latents, or positions, by a variable, largest first and NaN last."""
    return np.argsort(-effects[variable].values, kind="stable").tolist()


def ordered(effects: xr.Dataset, variable: str, order: Sequence[int]) -> list[np.ndarray]:
    """Reads a variable over latents and its interval's ends, in an order."""
    return [effects[variable + end].values[list(order)] for end in ("", "_low", "_high")]


def grid_of(swap: xr.Dataset) -> tuple[int, int]:
    """Counts rows and columns of the positions, one row where they don't lie in a plane."""
    rows = int(swap["row"].max()) + 1 if "row" in swap.coords else 1
    return rows, swap.sizes["position"] // rows


def position_names(swap: xr.Dataset) -> list[str]:
    """Writes each position's name, such as "position (1, 3)", by row and column, or "position 7"."""
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
    """Writes each unit's name, such as "latent 3" or "decoder.2 unit 17"."""
    where = zip(effects["site"].values.astype(str), effects["index"].values.tolist(), strict=True)
    return [f"{site} {index}" if site == "latent" else f"{site} unit {index}" for site, index in where]


def _ceiling(estimate: Estimate) -> float:
    return estimate.high if np.isfinite(estimate.high) else estimate.value
