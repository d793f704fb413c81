"""The tables of a page, as rows of text read off an analysis."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vaelens.analysis import Analysis
from vaelens.analysis.part import ON_REQUEST, PARTS
from vaelens.metrics.catalogue import COUNT, METRICS
from vaelens.report.changes import Change, axis_of, changes, is_intervened
from vaelens.report.latents import Latents
from vaelens.report.matrices import MEASURES, RANDOM
from vaelens.report.numerals import NOTHING, estimate, number, spoken
from vaelens.report.ranking import Estimate, estimates, front
from vaelens.report.units import shown_sites, units_by_site

Row = dict[str, Any]
_NEXT = 4  # units of a site that are listed after its first
# The columns of the table of latents with their headings, and those that are written with an interval.
LATENT_COLUMNS = (
    ("kl", "KL"),
    ("information", "information"),
    ("removal_cost", "removal cost"),
    ("ces_posterior", "posterior CES"),
    ("ces", "CES"),
    ("support", "support"),
    ("cycle_error", "cycle error"),
    ("specificity_per_image", "specificity per image"),
)
_WITH_INTERVAL = ("information", "removal_cost", "ces_posterior", "ces", "specificity_per_image")


def latent_rows(latent: xr.Dataset | None, latents: Latents) -> list[Row]:
    """Lists every latent's numbers, in order, with "—" for what was not measured.

    Support and cycle error are means over the values that the latent is set to.
    """
    columns: dict[str, list[str]] = {}
    for name, _ in LATENT_COLUMNS:
        if latent is None or name not in latent:
            columns[name] = [NOTHING] * len(latents)
        elif name in _WITH_INTERVAL:
            columns[name] = [str(value) for value in estimates(latent, name, [name] * len(latents))]
        else:
            values = latent[name].values
            columns[name] = [number(value) for value in (values.mean(axis=1) if values.ndim > 1 else values)]
    return [
        {"latent": k, "active": bool(latents.active[k]), **{name: column[k] for name, column in columns.items()}}
        for k in latents.order
    ]


def latent_columns(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Lists the columns of the table of latents, and their headings, of which some row has a number."""
    return [(name, heading) for name, heading in LATENT_COLUMNS if any(row[name] != NOTHING for row in rows)]


def change_rows(analysis: Analysis) -> list[Row]:
    """Lists what each factor or manipulation of level 1 changes, and which active latents it moves most by d′."""
    effects = analysis.effects["input"]
    axis = axis_of(effects)
    names = effects[axis].values.astype(str).tolist()
    outputs = estimates(effects, "output_effect", names)
    codes = estimates(effects, "codes_changed", names) if "codes_changed" in effects else []
    measured = {change.name: change for change in changes(analysis)}
    rows = []
    for k, output in enumerate(outputs):
        change = measured.get(output.name)
        moved = None if change is None else change.moved
        rows.append(
            {
                "name": output.name,
                "output": str(output),
                "adjusted": str(change.output) if change is not None and not is_intervened(analysis) else NOTHING,
                "latent": _untold(change) if moved is None else moved.best.name.removeprefix("latent "),
                "change": NOTHING if moved is None else str(moved.best),
                "tied": NOTHING if moved is None or not moved.tied else _some(moved.tied, "latent "),
                "codes": str(codes[k]) if codes else NOTHING,
                "aside": f"{effects['matched'].values[k]:,}"
                if axis == "factor"
                else f"{effects['strength'].values[k]:g}",
            }
        )
    if "output_effect_random" in effects:
        low, high = (float(effects[f"output_effect_random{end}"].mean()) for end in ("_low", "_high"))
        random = dict.fromkeys(rows[0], NOTHING) | {"name": RANDOM}
        rows.append(random | {"output": spoken(float(effects["output_effect_random"].mean()), low, high)})
    return rows


def label_rows(labels: xr.Dataset, active: np.ndarray) -> list[Row]:
    """Lists each label's largest association with a latent, and the latents whose association may be as large."""
    latents = np.flatnonzero(active)
    rows = []
    for k, name in enumerate(labels["factor"].values.astype(str)):
        signed = estimates(labels.isel(factor=k, latent=latents), "association", latents.astype(str).tolist())
        ranked = front(map(_size, signed))
        rows.append(
            {
                "name": name,
                "measure": MEASURES[str(labels["measure"].values[k])],
                "latent": NOTHING if ranked is None else ranked.best.name,
                "association": NOTHING if ranked is None else str(_named(signed, ranked.best.name)),
                "tied": NOTHING if ranked is None or not ranked.tied else _some(ranked.tied),
                "chance": number(float(labels["association_chance"].values[k])),
                "predicted": number(float(labels["predicted"].values[k])),
                "labelled": f"{int(labels['labelled'].values[k]):,}",
            }
        )
    return rows


def spread_labels(labels: xr.Dataset) -> list[str]:
    """Lists the labels of which all latents together tell much more than one alone, as a factor reader would show."""
    return labels["factor"].values[labels["reader_tells_more"].values.astype(bool)].astype(str).tolist()


def site_rows(analysis: Analysis) -> list[Row]:
    """Lists the units of each patched site that recover most, ranked within the site."""
    if "patching" not in analysis.effects:
        return []
    shown = shown_sites(analysis)
    effects = analysis.effects["patching"]
    measured = estimates(effects, "recovered", effects["index"].values.astype(str).tolist())
    rows = []
    for units in units_by_site(analysis):
        if units.site not in shown:
            continue
        best, *later = units.order
        outside = float(effects["outside_range"].values[best]) if "outside_range" in effects else np.nan
        rows.append(
            {
                "site": units.site,
                "outcome": units.outcome,
                "count": f"{units.count:,}",
                "unit": measured[best].name,
                "recovered": str(measured[best]),
                "typical": number(units.typical),
                "tied": _some(units.ranked.tied) if units.ranked.tied else NOTHING,
                "next": ", ".join(f"{measured[k].name} ({number(measured[k].value)})" for k in later[:_NEXT])
                or NOTHING,
                "outside": number(outside),
            }
        )
    return rows


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
                "untrained": number(float(score.get("untrained", np.nan))),
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
    spread = ", spread over the model" if sites > 1 else ""
    return f", at {sites} of {of} sites{spread}" if sites < of else ""


def asked_parts(provenance: Mapping[str, Any]) -> str:
    """Writes the arguments by which parts were asked for, nothing where all were."""
    asked = provenance.get("asked", {})
    usual = [name for name in PARTS if name not in ON_REQUEST]
    names = asked.get("parts", usual)
    only = f", only={names}"
    if set(usual) <= set(names):
        only = ", circuits=True" if "circuits" in names else ""
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


def _some(candidates: Sequence[Estimate], head: str = "", most: int = 6) -> str:
    names = [candidate.name.removeprefix(head) for candidate in candidates]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _untold(change: Change | None) -> str:
    """Writes what stands in place of a latent, a dash for a change that is told or not measured, else why it isn't."""
    if change is None or change.told:
        return NOTHING
    return "can't be told" if np.isnan(change.output.value) else "not told from chance"


def _size(signed: Estimate) -> Estimate:
    """Takes the sign from an estimate."""
    if not signed.value < 0:
        return signed
    return replace(signed, value=-signed.value, low=-signed.high, high=-signed.low)


def _named(candidates: Sequence[Estimate], name: str) -> Estimate:
    return next(candidate for candidate in candidates if candidate.name == name)
