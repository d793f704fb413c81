"""How well two computations of the same numbers agree, variable by variable, and how a row of that table reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from vaelens.analysis.scores import NUMBERS

Status = Literal["agrees exactly", "within rounding", "differs", "could not be recomputed"]

ROUNDING = 1e-4  # of a variable's largest value: what other threads or another processor may bring about


@dataclass(frozen=True)
class Agreement:
    """How a part of an analysis, recomputed, agrees with what was kept.

    Attributes:
        part: its name, or "scores".
        status: "agrees exactly": every bit; "within rounding": no value is off by more than 1e-4 of its variable's
            largest; "differs"; "could not be recomputed".
        difference: the largest |recomputed − kept| of the variable that is off by most; infinite where one of both is
            missing, of another shape, or no number; NaN where nothing was recomputed.
        where: that variable, and the coordinates of the value in it.
        why: the part could not be recomputed.
    """

    part: str
    status: Status
    difference: float = 0.0
    where: str = ""
    why: str = ""


@dataclass(frozen=True)
class _Gap:
    """The largest difference of two arrays, as it is and as a fraction of the largest value, and where it lies."""

    difference: float
    fraction: float
    where: str


def compare_parts(part: str, kept: xr.Dataset, recomputed: xr.Dataset) -> Agreement:
    """Compares every variable, coordinate and number among the attributes of a part.

    Args:
        part: its name.
        kept: as the analysis has it.
        recomputed: the same, made again.
    """
    gaps = list(_gaps_of_variables(kept, recomputed))
    gaps += _gaps_of_attributes(kept.attrs, recomputed.attrs)
    return _judged(part, gaps)


def compare_scores(kept: pd.DataFrame, recomputed: pd.DataFrame) -> Agreement:
    """Compares every score, with its interval, levels and how it was made."""
    gaps = []
    before, now = (table.to_dict(orient="index") for table in (kept, recomputed))
    for key in dict.fromkeys((*before, *now)):
        if key not in before or key not in now:
            gaps.append(_missing(str(key), key in before))
            continue
        scale = abs(float(before[key]["value"]))  # a level of chance near 0 is judged beside the score
        for column in kept.columns:
            first, second = before[key][column], now[key][column]
            if column in NUMBERS:
                gaps.append(_gap(f"{key} {column}", np.asarray(first), np.asarray(second), scale))
            elif first != second:
                gaps.append(_Gap(np.inf, np.inf, f"{key} {column}: {second!r}, not {first!r}"))
    return _judged("scores", gaps)


def _judged(part: str, gaps: list[_Gap]) -> Agreement:
    worst = max(gaps, key=lambda gap: (gap.fraction, gap.difference), default=_Gap(0.0, 0.0, ""))
    if worst.difference == 0:
        return Agreement(part, "agrees exactly")
    status = "within rounding" if worst.fraction <= ROUNDING else "differs"
    return Agreement(part, status, worst.difference, worst.where)


def _gaps_of_variables(kept: xr.Dataset, recomputed: xr.Dataset) -> Iterator[_Gap]:
    for name in dict.fromkeys((*kept.variables, *recomputed.variables)):
        if name not in kept.variables or name not in recomputed.variables:
            yield _missing(str(name), name in kept.variables)
            continue
        before, now = kept.variables[name], recomputed.variables[name]
        if before.dims != now.dims or before.shape != now.shape:
            yield _Gap(np.inf, np.inf, f"{name} has shape {dict(now.sizes)}, not {dict(before.sizes)}")
            continue
        gap = _gap(str(name), before.values, now.values)
        if gap.difference:
            gap = _Gap(gap.difference, gap.fraction, f"{name}{_place(kept, str(name), before.values, now.values)}")
        yield gap


def _gaps_of_attributes(kept: Mapping[Any, Any], recomputed: Mapping[Any, Any]) -> Iterator[_Gap]:
    """Compares attributes that are numbers. Texts say how these were made, which `manifest.differences` compares."""
    numbers = [
        {name: np.asarray(value) for name, value in attributes.items() if np.asarray(value).dtype.kind in "biuf"}
        for attributes in (kept, recomputed)
    ]
    for name in dict.fromkeys((*numbers[0], *numbers[1])):
        before, now = (attributes.get(name) for attributes in numbers)
        if before is None or now is None:
            yield _missing(f"attribute {name}", before is not None)
        elif before.shape != now.shape:
            yield _Gap(np.inf, np.inf, f"attribute {name}")
        else:
            yield _gap(f"attribute {name}", before, now)


def _gap(name: str, before: NDArray[Any], now: NDArray[Any], scale: float = 0.0) -> _Gap:
    """Measures the largest difference of two arrays of the same shape.

    Args:
        name: of what they hold.
        before: the values kept.
        now: the values recomputed.
        scale: what differences are a fraction of, where that is more than the largest value kept.
    """
    differences = _differences(before, now)
    largest = float(differences.max(initial=0.0))
    if largest == 0 or not np.isfinite(largest):
        return _Gap(largest, largest, name if largest else "")
    finite = np.abs(np.where(np.isfinite(before), before, 0).astype(np.float64))
    size = np.fmax(finite.max(initial=0.0), scale)
    # Whole numbers, choices and names are exact: one that is another is no rounding.
    fraction = largest / float(size) if size > 0 and before.dtype.kind == "f" else np.inf
    return _Gap(largest, fraction, name)


def _differences(before: NDArray[Any], now: NDArray[Any]) -> NDArray[np.float64]:
    """Computes |now − before|, 0 where both are missing, infinite where one is or where what is no number differs."""
    if before.dtype.kind in "biuf" and now.dtype.kind in "biuf":
        first, second = before.astype(np.float64), now.astype(np.float64)
        same = (first == second) | (np.isnan(first) & np.isnan(second))
        with np.errstate(invalid="ignore"):
            apart = np.abs(second - first)
        return np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
    return np.where(before == now, 0.0, np.inf)


def _place(kept: xr.Dataset, name: str, before: NDArray[Any], now: NDArray[Any]) -> str:
    """Says at which coordinates two arrays are furthest apart."""
    variable = kept.variables[name]
    if not variable.dims:
        return ""
    at = np.unravel_index(int(np.argmax(_differences(before, now))), variable.shape)
    places = [
        f"{dim} {kept[dim].values[k] if dim in kept.coords else k}" for dim, k in zip(variable.dims, at, strict=True)
    ]
    return f" at {', '.join(places)}"


def _missing(name: str, was_kept: bool) -> _Gap:
    return _Gap(np.inf, np.inf, f"{name} is {'missing now' if was_kept else 'new'}")
