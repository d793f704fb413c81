"""Circuits of several factors of one model as one Dataset, which files keep and pictures are drawn from."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from vaelens.circuits.circuit import Circuit

END = -1  # in place of a unit: the factor where an edge begins, the image where it ends
NONE = -2  # no unit
ESTIMATES = ("faithfulness", "held_out", "edge_faithfulness", "completeness", "minimality")
_CURVES = ("faithfulness", "faithfulness_low", "faithfulness_high", "faithfulness_chance")
_AREAS = ("cpr", "cmd", "cpr_chance", "cmd_chance")


def circuit_table(circuits: Sequence["Circuit"]) -> xr.Dataset:
    """Puts circuits of one model side by side.

    Returns:
        A Dataset over `factor` and `unit` (all units, with coordinates `site` and `index`): `member`, `score`, `loss`
        with interval (NaN outside the circuit) and `role`; the circuits' scores with their intervals;
        `random_faithfulness` (factor, random_set); the curve as `curve`, `curve_low`, `curve_high`, `curve_chance`
        (factor, hold, share) and its areas; edges as `edge_factor`, `sender`, `receiver` (numbers of units, −1 for the
        factor and for the image) and `edge_weight`; `shown` (factor, place), the units of `effect_map` (factor, place,
        height, width), −2 for none; `alternatives`, how many other sets there are. Notes are in the attributes.
    """
    first = circuits[0]
    numbers = {
        node: number
        for number, node in enumerate(
            zip(first.scores["site"].values.tolist(), first.scores["index"].values.tolist(), strict=True)
        )
    }
    coords = {
        "factor": [circuit.factor for circuit in circuits],
        "site": ("unit", first.scores["site"].values),
        "index": ("unit", first.scores["index"].values),
        "hold": first.curve["hold"].values,
        "share": first.curve["share"].values,
        "units": ("share", first.curve["units"].values),
    }
    curves = {
        name.replace("faithfulness", "curve"): (
            ("factor", "hold", "share"),
            np.stack([circuit.curve[name].values for circuit in circuits]),
        )
        for name in _CURVES
    }
    areas = {
        name: (("factor", "hold"), np.stack([circuit.curve[name].values for circuit in circuits])) for name in _AREAS
    }
    variables = {
        **_units(circuits, numbers),
        **_estimates(circuits),
        "random_faithfulness": (
            ("factor", "random_set"),
            np.stack([circuit.random_faithfulness for circuit in circuits]),
        ),
        **curves,
        **areas,
        **_edges(circuits, numbers),
        **_maps(circuits, numbers),
        "alternatives": ("factor", np.array([len(circuit.alternatives) for circuit in circuits])),
    }
    attributes = {name: first.how[name] for name in ("threshold", "scorer", "pairs", "seed")}
    notes = {circuit.factor: list(circuit.notes) for circuit in circuits}
    return xr.Dataset(variables, coords, attributes | {"notes": json.dumps(notes)})


def _units(circuits: Sequence["Circuit"], numbers: Mapping[tuple[str, int], int]) -> dict[str, Any]:
    shape = len(circuits), len(numbers)
    member, role = np.zeros(shape, dtype=bool), np.full(shape, "", dtype="<U9")
    losses = {name: np.full(shape, np.nan) for name in ("loss", "loss_low", "loss_high")}
    for row, circuit in enumerate(circuits):
        places = [
            numbers[node]
            for node in zip(circuit.losses["site"].tolist(), circuit.losses["index"].tolist(), strict=True)
        ]
        member[row, places] = True
        for name, values in losses.items():
            values[row, places] = circuit.losses[name].to_numpy()
        for node, what in circuit.roles.items():
            role[row, numbers[node]] = what
    over = ("factor", "unit")
    scores = np.stack([circuit.scores.values for circuit in circuits])
    return {
        "member": (over, member),
        "score": (over, scores),
        **{name: (over, values) for name, values in losses.items()},
        "role": (over, role),
    }


def _estimates(circuits: Sequence["Circuit"]) -> dict[str, Any]:
    columns = {}
    for name in ESTIMATES:
        values = [getattr(circuit, name) for circuit in circuits]
        columns[name] = ("factor", np.array([float(value) for value in values]))
        columns[f"{name}_low"] = ("factor", np.array([value.low for value in values]))
        columns[f"{name}_high"] = ("factor", np.array([value.high for value in values]))
    return columns


def _edges(circuits: Sequence["Circuit"], numbers: Mapping[tuple[str, int], int]) -> dict[str, Any]:
    rows = [
        (row, numbers.get(sender, END), numbers.get(receiver, END), weight)
        for row, circuit in enumerate(circuits)
        for sender, receiver, weight in circuit.graph.edges(data="weight")
    ]
    columns = np.array(rows, dtype=float).reshape(-1, 4).T
    names = ("edge_factor", "sender", "receiver")
    whole = {name: ("edge", columns[k].astype(np.int64)) for k, name in enumerate(names)}
    return whole | {"edge_weight": ("edge", columns[3])}


def _maps(circuits: Sequence["Circuit"], numbers: Mapping[tuple[str, int], int]) -> dict[str, Any]:
    most = max(circuit.effect_maps.sizes["unit"] for circuit in circuits)
    shown = np.full((len(circuits), most), NONE)
    maps = np.full((len(circuits), most, *circuits[0].effect_maps.shape[1:]), np.nan, dtype=np.float32)
    for row, circuit in enumerate(circuits):
        held = circuit.effect_maps
        nodes = zip(held["site"].values.tolist(), held["index"].values.tolist(), strict=True)
        shown[row, : held.sizes["unit"]] = [numbers[node] for node in nodes]
        maps[row, : held.sizes["unit"]] = held.values
    return {"shown": (("factor", "place"), shown), "effect_map": (("factor", "place", "height", "width"), maps)}
