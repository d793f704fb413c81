"""The tables of a page: rows of text, read off an analysis."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vaelens.report.numerals import NOTHING, estimate, number, spoken
from vaelens.report.ranking import by_strength, estimates, front, outcomes, unit_names

Row = dict[str, Any]

_COUNTS = ("active latents", "codes in use")


def latent_rows(latent: xr.Dataset) -> list[Row]:
    """Every latent's numbers, in order of CES."""
    names = [str(k) for k in range(latent.sizes["latent"])]
    columns = ("ces", "ces_relative", "ces_posterior", "specificity_normalised")
    measured = {name: estimates(latent, name, names) for name in columns}
    return [
        {
            "latent": k,
            "active": bool(latent["active"].values[k]),
            "kl": number(latent["kl"].values[k]) if "kl" in latent else NOTHING,
            **{name: str(values[k]) for name, values in measured.items()},
        }
        for k in by_strength(latent)
    ]


def change_rows(effects: xr.Dataset, active: np.ndarray) -> list[Row]:
    """What each factor or manipulation of level 1 changes: the image, and which active latent most."""
    axis = "factor" if "factor" in effects.dims else "manipulation"
    outputs = estimates(effects, "output_effect", effects[axis].values.astype(str).tolist())
    codes = (
        estimates(effects, "codes_changed", [output.name for output in outputs]) if "codes_changed" in effects else []
    )
    latents = np.flatnonzero(active)
    rows = []
    for k, output in enumerate(outputs):
        row = effects.isel({axis: k, "latent": latents})
        ranked = front(estimates(row, "latent_effect", latents.astype(str).tolist()))
        rows.append(
            {
                "name": output.name,
                "output": str(output),
                "latent": NOTHING if ranked is None else ranked.best.name,
                "change": NOTHING if ranked is None else str(ranked.best),
                "tied": NOTHING if ranked is None or not ranked.tied else _some([one.name for one in ranked.tied]),
                "codes": str(codes[k]) if codes else NOTHING,
                "aside": f"{effects['matched'].values[k]:,}"
                if axis == "factor"
                else f"{effects['strength'].values[k]:g}",
            }
        )
    return rows


def unit_rows(effects: xr.Dataset, most: int = 10) -> list[Row]:
    """The units that recover most, largest fraction first; those without a fraction are left out."""
    kinds = outcomes(effects)
    sites, names = effects["site"].values.astype(str).tolist(), unit_names(effects)
    recovered, effect = (estimates(effects, variable, names) for variable in ("recovered", "effect"))
    order = [k for k in np.argsort(-effects["recovered"].values, kind="stable") if np.isfinite(recovered[k].value)]
    return [
        {
            "unit": names[k],
            "outcome": kinds[sites[k]],
            "recovered": str(recovered[k]),
            "chance": number(float(effects["recovered_chance"][k])),
            "effect": str(effect[k]),
        }
        for k in order[:most]
    ]


def mode_rows(effects: Mapping[str, xr.Dataset]) -> list[Row]:
    """Relative CES of every mode by what it changes: a latent at all positions, at one, or a position's whole code."""
    swap = effects["swap"]

    def over_latents(part: str, mode: str) -> str:
        if part not in effects:
            return NOTHING
        (found,) = estimates(effects[part].sel(mode=mode), "ces_relative_active_mean", [mode])
        return str(found)

    def of_codes(variable: str, distance: float = 1.0) -> str:
        (found,) = estimates(swap, variable, [variable])
        return spoken(*(end / distance for end in (found.value, found.low, found.high)))

    # Drawn in "posterior" mode as a latent's value is: from the same place in another image.
    drawn = of_codes("ces_posterior_mean", swap.attrs["reference_distance"] or np.nan)
    rows = [
        {
            "mode": mode,
            "everywhere": over_latents("modes", mode),
            "one": over_latents("one_position", mode),
            "code": drawn if mode == "posterior" else NOTHING,
        }
        for mode in effects["modes"]["mode"].values.tolist()
    ]
    return [*rows, {"mode": "swap", "everywhere": NOTHING, "one": NOTHING, "code": of_codes("ces_relative_mean")}]


def score_rows(scores: pd.DataFrame) -> list[Row]:
    """The table of scores; "—" for an interval, a level of chance, a direction or a value that there is not."""
    rows = []
    for name, score in scores.iterrows():
        value, interval = estimate(*(float(score[column]) for column in ("value", "low", "high")))
        if name in _COUNTS:
            value = f"{score['value']:.0f}"
            interval = NOTHING if interval == NOTHING else f"[{score['low']:.0f}, {score['high']:.0f}]"
        better = score["better"] if isinstance(score["better"], str) and score["better"] else NOTHING
        chance = number(float(score.get("chance", np.nan)))
        shown = {"value": value, "interval": interval, "chance": chance, "better": better, "made": score["made"]}
        rows.append({"score": name, **shown})
    return rows


def described(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A record of plain values as names and text."""
    return [(name.replace("_", " "), _written(value)) for name, value in record.items()]


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {_written(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _some(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
