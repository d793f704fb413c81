"""Curves of faithfulness over the size of a circuit, and the areas under them and beside them."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import xarray as xr
from scipy.integrate import trapezoid

from vaelens.circuits.circuit_runs import HOLDS, CircuitRuns, batches
from vaelens.circuits.estimate import PairResamples
from vaelens.circuits.scorers import Scores
from vaelens.errors import VaelensError, unknown

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of all units

Hold = Literal["source", "zero", "mean", "resample"]


def faithfulness_curves(runs: CircuitRuns, scores: Scores, holds: Sequence[Hold] = HOLDS, seed: int = 0) -> xr.Dataset:
    """Measures what the units of highest score carry, over how many of them there are.

    Args:
        runs: circuit runs in which units are held at the base's values.
        scores: by which units are added, in absolute value, (units,).
        holds: the ways in which units outside the circuit are held.
        seed: of random orders, other images and resamples.

    Returns:
        A Dataset over `hold` and `share` (of all units, at least one): `faithfulness` with `_low` and `_high`, and
        `faithfulness_chance`, that of units in a random order; and over `hold` `cpr` and `cmd`, the areas under the
        curve and between it and 1, each with `_chance`. Where what is held leaves nothing to carry, NaN.
    """
    for hold in holds:
        if hold not in HOLDS:
            raise unknown("way to hold units", hold, HOLDS)
    if not holds:
        raise VaelensError("holds is empty; name at least one way to hold units")
    by_score = np.argsort(-np.abs(scores), kind="stable")
    by_chance = np.random.default_rng(seed).permutation(len(scores))
    sizes = [max(1, round(share * len(scores))) for share in SHARES]
    masks = batches([_prefix(order, size) for order in (by_score, by_chance) for size in sizes])
    curves: dict[str, list[np.ndarray]] = {name: [] for name in ("", "_low", "_high", "_chance")}
    for hold in holds:
        held = runs if hold == HOLDS[0] else runs.held_at(hold, seed)
        carried, resamples = held.carried(masks), PairResamples(held.totals, seed)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = carried.sum(axis=1) / held.totals.sum()
        low, high = resamples.interval(resamples.replicates(carried))
        half = len(sizes)
        for name, column in zip(curves, (values[:half], low[:half], high[:half], values[half:]), strict=True):
            curves[name].append(column)
    stacked = {f"faithfulness{name}": (("hold", "share"), np.stack(rows)) for name, rows in curves.items()}
    dataset = xr.Dataset(stacked, {"hold": list(holds), "share": list(SHARES), "units": ("share", sizes)})
    return dataset.assign(
        cpr=_area(dataset["faithfulness"]),
        cpr_chance=_area(dataset["faithfulness_chance"]),
        cmd=_area(abs(1 - dataset["faithfulness"]), at_zero=1.0),
        cmd_chance=_area(abs(1 - dataset["faithfulness_chance"]), at_zero=1.0),
    )


def _prefix(order: np.ndarray, size: int) -> np.ndarray:
    mask = np.zeros(len(order), dtype=bool)
    mask[order[:size]] = True
    return mask


def _area(curve: xr.DataArray, at_zero: float = 0.0) -> xr.DataArray:
    """Computes the area under a curve over the share of units from 0 to 1, by trapezoids."""
    shares = np.array([0.0, *SHARES])
    values = np.concatenate([np.full((curve.sizes["hold"], 1), at_zero), curve.values], axis=1)
    return xr.DataArray(trapezoid(values, shares, axis=1), dims="hold")
