"""What is shown and said of circuits, which is a drawing of each, a table of their scores, and one sentence."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from markupsafe import Markup

from vaelens.analysis import Analysis
from vaelens.report.circuit_drawing import drawing
from vaelens.report.numerals import listed, number, spoken

_FACTORS = 8  # named in the sentence


def circuits_sentence(analysis: Analysis) -> str | None:
    """Says how many units carry each factor, and what as many random ones do.

    Printed when circuits were found. Of more than eight factors those with the fewest units are named. Rests on
    `member`, `held_out` and `random_faithfulness` of the part "circuits".
    """
    circuits = found(analysis.effects)
    if circuits is None:
        return None
    sizes = circuits["member"].sum("unit")
    order = sizes.argsort().values[:_FACTORS].tolist()
    names = circuits["factor"].values.astype(str)
    items = [
        f"{names[k]} {int(sizes[k])} (on pairs searched they carry {_interval(circuits, k, 'faithfulness')}, on others "
        f"{_interval(circuits, k, 'held_out')})"
        for k in order
    ]
    best = float(circuits["random_faithfulness"].max())
    return (
        f"Of {circuits.sizes['unit']:,} units, sets that carry {circuits.attrs['threshold']:.0%} of a factor's effect "
        f"and can spare none: {listed(items)}; of 100 random sets as large for each, none carries more than "
        f"{number(best)}."
    )


def found(effects: Mapping[str, xr.Dataset]) -> xr.Dataset | None:
    """Returns the circuits of an analysis, or None where there are none."""
    circuits = effects.get("circuits")
    return circuits if circuits is not None and circuits.sizes["factor"] else None


def circuit_section(effects: Mapping[str, xr.Dataset]) -> dict[str, Any]:
    """Makes what the section on circuits shows, as `circuit_drawings`, `circuit_rows` and `circuits_left_out`."""
    if "circuits" not in effects:
        return {}
    left_out = json.loads(effects["circuits"].attrs["left_out"])
    circuits = found(effects)
    shown: dict[str, Any] = {"circuits_left_out": left_out, "circuit_drawings": [], "circuit_rows": []}
    if circuits is None:
        return shown
    notes = json.loads(circuits.attrs["notes"])
    for k, name in enumerate(circuits["factor"].values.astype(str).tolist()):
        drawn = drawing(circuits, name)
        members = int(circuits["member"].values[k].sum())
        shown["circuit_drawings"].append(
            {
                "factor": name,
                "svg": Markup(drawn.svg),
                "narrowest": drawn.narrowest,
                "shown": drawn.shown,
                "members": members,
                "notes": notes.get(name, []),
            }
        )
        shown["circuit_rows"].append(
            {
                "factor": name,
                "units": f"{members:,} of {circuits.sizes['unit']:,}",
                "faithfulness": _interval(circuits, k, "faithfulness"),
                "held_out": _interval(circuits, k, "held_out"),
                "random": number(float(circuits["random_faithfulness"].values[k].max())),
                "edges": _fraction(circuits, k, "edge_faithfulness"),
                "completeness": _fraction(circuits, k, "completeness"),
                "cpr": _area(circuits, k, "cpr"),
                "cmd": _area(circuits, k, "cmd"),
                "others": int(circuits["alternatives"].values[k]),
            }
        )
    return shown


def _interval(circuits: xr.Dataset, row: int, name: str) -> str:
    ends = [float(circuits[f"{name}{end}"].values[row]) for end in ("", "_low", "_high")]
    return spoken(*ends) if np.isfinite(ends[0]) else "none"


def _fraction(circuits: xr.Dataset, row: int, name: str) -> str:
    return f"{float(circuits[name].values[row]) + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _area(circuits: xr.Dataset, row: int, name: str) -> str:
    held = circuits.isel(factor=row).sel(hold="source")
    return f"{number(float(held[name]))} ({number(float(held[f'{name}_chance']))})"
