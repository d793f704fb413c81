"""The tables of a page: rows of text, read off an analysis."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vaelens.analysis.parts import PARTS
from vaelens.metrics.catalogue import COUNT, METRICS
from vaelens.report.latents import Latents
from vaelens.report.numerals import NOTHING, estimate, number, spoken
from vaelens.report.ranking import estimates, front, outcomes, unit_names

Row = dict[str, Any]


def latent_rows(latent: xr.Dataset | None, latents: Latents) -> list[Row]:
    """Lists every latent's numbers, in order, with "—" for what was not measured."""
    names = [str(k) for k in range(len(latents))]
    columns = ("ces", "ces_relative", "ces_posterior", "specificity_normalised")
    measured = {} if latent is None else {name: estimates(latent, name, names) for name in columns}
    return [
        {
            "latent": k,
            "active": bool(latents.active[k]),
            "kl": number(latent["kl"].values[k]) if latent is not None and "kl" in latent else NOTHING,
            **dict.fromkeys(columns, NOTHING),
            **{name: str(values[k]) for name, values in measured.items()},
        }
        for k in latents.order
    ]


def change_rows(effects: xr.Dataset, active: np.ndarray) -> list[Row]:
    """Lists what each factor or manipulation of level 1 changes, and which active latent it moves most."""
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
                "tied": NOTHING if ranked is None or not ranked.tied else _some([rival.name for rival in ranked.tied]),
                "codes": str(codes[k]) if codes else NOTHING,
                "aside": f"{effects['matched'].values[k]:,}"
                if axis == "factor"
                else f"{effects['strength'].values[k]:g}",
            }
        )
    return rows


def unit_rows(effects: xr.Dataset, most: int = 10) -> list[Row]:
    """Lists the units with the largest recovered fractions, without those that have none."""
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
    """Lists relative CES of every mode by what it changes, a latent at all positions or at one, or a whole code."""
    swap = effects["swap"]

    def over_latents(part: str, mode: str) -> str:
        if part not in effects:
            return NOTHING
        (mean,) = estimates(effects[part].sel(mode=mode), "ces_relative_active_mean", [mode])
        return str(mean)

    def of_codes(variable: str, distance: float = 1.0) -> str:
        (mean,) = estimates(swap, variable, [variable])
        return spoken(*(end / distance for end in (mean.value, mean.low, mean.high)))

    # Drawn in "posterior" mode as a latent's value is: from the same place in another image.
    drawn = of_codes("ces_posterior_mean", swap.attrs["reference_distance"] or np.nan)
    rows = [
        {
            "mode": mode,
            "everywhere": over_latents("modes", mode),
            "one": over_latents("one_position", mode),
            "code": drawn if mode == "posterior" else NOTHING,
        }
        for mode in next(
            (effects[part]["mode"].values.tolist() for part in ("modes", "one_position") if part in effects), []
        )
    ]
    return [*rows, {"mode": "swap", "everywhere": NOTHING, "one": NOTHING, "code": of_codes("ces_relative_mean")}]


def score_rows(scores: pd.DataFrame) -> list[Row]:
    """Lists the scores, with "—" for whatever a score has not."""
    rows = []
    for key, score in scores.iterrows():
        value, interval = estimate(*(float(score[column]) for column in ("value", "low", "high")))
        metric = METRICS[str(key)]
        if metric.unit == COUNT:
            value = f"{score['value']:.0f}"
            interval = NOTHING if interval == NOTHING else f"[{score['low']:.0f}, {score['high']:.0f}]"
        rows.append(
            {
                "score": score["label"],
                "meaning": metric.meaning,
                "unit": NOTHING if metric.unit == COUNT or not metric.unit else metric.unit,
                "value": value,
                "interval": interval,
                "chance": number(float(score["chance"])),
                "better": score["better"] or NOTHING,
                "made": score["made"],
            }
        )
    return rows


def part_rows(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Lists on how much each part was measured, and why others are missing."""
    rows = []
    for name, part in provenance.get("parts", {}).items():
        taken, of = part["taken"], part["of"]
        said = f"{taken:,} {part['counted']}" if taken == of else f"{taken:,} of {of:,} {part['counted']}"
        if part.get("sites", 0) < part.get("of_sites", 0):
            said += f", {part['sites']} of {part['of_sites']} sites"
        if part["counted"]:
            rows.append((name.replace("_", " "), said))
    missing = provenance.get("left_out", {}).items()
    return [*rows, *((name.replace("_", " "), f"not made: {reason}") for name, reason in missing)]


def patched_sites(provenance: Mapping[str, Any]) -> str:
    """Says how many sites were patched where not all were."""
    part = provenance.get("parts", {}).get("patching", {})
    sites, of = part.get("sites", 0), part.get("of_sites", 0)
    return f", at {sites} of {of} sites, spread over the model" if sites < of else ""


def asked_parts(provenance: Mapping[str, Any]) -> str:
    """Writes the arguments by which parts were asked for, nothing where all were."""
    asked = provenance.get("asked", {})
    names = asked.get("parts", list(PARTS))
    only = "" if len(names) == len(PARTS) else f", only={names}"
    return f"{only}, minutes={asked['minutes']:g}" if asked.get("minutes") else only


def described(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Writes a record of plain values as names and text."""
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
