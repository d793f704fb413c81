"""A circuit to walk, with its units by site, what each is worth, and the edges between them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vaelens.circuits import Circuit
from vaelens.circuits.circuit_table import END, circuit_table
from vaelens.errors import VaelensError
from vaelens.explorer.view import Unit
from vaelens.lens import Lens

_END = "image"
_LARGEST = 64 * 2**20  # bytes of a file


@dataclass(frozen=True)
class Edge:
    """An edge between two units of a circuit, or from its factor, or to the image.

    Attributes:
        sender: a unit, or the factor's name.
        receiver: a unit, or "image".
        weight: the fraction of the receiver's change that the sender brings about by itself.
    """

    sender: Unit | str
    receiver: Unit | str
    weight: float


@dataclass(frozen=True, eq=False)
class Walk:
    """A circuit to walk.

    Attributes:
        factor: whose it is.
        units: by site, in the order of the data.
        faithfulness: the fraction of the effect that it carries.
        losses: of each unit, the fraction that is lost without it.
        edges: between neighbouring sites.
        maps: of units that a picture shows, the mean absolute change of each pixel, (height, width).
    """

    factor: str
    units: Mapping[str, tuple[int, ...]]
    faithfulness: float
    losses: Mapping[Unit, float]
    edges: tuple[Edge, ...]
    maps: Mapping[Unit, np.ndarray] = field(default_factory=dict)

    def check(self, lens: Lens) -> None:
        """Refuses a circuit of another model.

        Raises:
            VaelensError: a site or unit that the model does not have.
        """
        for site, units in self.units.items():
            if site not in lens.sites or max(units, default=0) >= lens.sites[site].units:
                raise VaelensError(
                    f"the circuit of {self.factor!r} has units at {site!r} that this model does not have; give a "
                    "circuit of this model"
                )


def walks_of(circuits: Any) -> tuple[Walk, ...]:
    """Takes circuits as a user gives them, each a `Circuit`, the JSON file of one or a `Walk`, one alone or several.

    Raises:
        VaelensError: anything else.
    """
    if circuits is None:
        return ()
    several = [circuits] if isinstance(circuits, Circuit | str | Path) else list(circuits)
    walks = []
    for circuit in several:
        if isinstance(circuit, Circuit):
            walks += walks_of_table(circuit_table([circuit]))
        elif isinstance(circuit, str | Path):
            walks.append(read_walk(Path(circuit).expanduser()))
        elif isinstance(circuit, Walk):
            walks.append(circuit)
        else:
            raise VaelensError(
                f"circuit is a {type(circuit).__name__}; expected a Circuit, or the JSON file that one was written to"
            )
    return tuple({walk.factor: walk for walk in walks}.values())


def walks_of_table(table: xr.Dataset) -> list[Walk]:
    """Takes the circuits of an analysis, its part "circuits"."""
    if "member" not in table:
        return []
    nodes: list[Unit] = list(zip(table["site"].values.tolist(), table["index"].values.tolist(), strict=True))
    sites = list(dict.fromkeys(site for site, _ in nodes))
    walks = []
    for row, factor in enumerate(table["factor"].values.tolist()):
        member, losses = table["member"].values[row], table["loss"].values[row]
        inside = [node for node, is_in in zip(nodes, member, strict=True) if is_in]
        units = {site: tuple(index for of, index in inside if of == site) for site in sites}
        ends = {END: ""} | dict(enumerate(nodes))
        edges = [
            Edge(ends[int(sender)] or factor, ends[int(receiver)] or _END, float(weight))
            for of, sender, receiver, weight in zip(
                table["edge_factor"].values,
                table["sender"].values,
                table["receiver"].values,
                table["edge_weight"].values,
                strict=True,
            )
            if int(of) == row
        ]
        maps = {
            nodes[int(number)]: values
            for number, values in zip(table["shown"].values[row], table["effect_map"].values[row], strict=True)
            if number >= 0 and values.size
        }
        worth = {node: float(loss) for node, loss, is_in in zip(nodes, losses, member, strict=True) if is_in}
        walks.append(Walk(factor, units, float(table["faithfulness"].values[row]), worth, tuple(edges), maps))
    return walks


def read_walk(path: Path) -> Walk:
    """Reads a circuit that `Circuit.to_json` wrote.

    Raises:
        VaelensError: the file is missing, too large, or no circuit.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise VaelensError(f"{str(path)!r} is larger than any circuit; give the JSON file of one")
        record = json.loads(path.read_text(encoding="utf-8"))
        units = {str(site): tuple(map(int, members)) for site, members in record["units"].items()}
        losses = {(str(row["site"]), int(row["index"])): _number(row["loss"]) for row in record["losses"]}
        nodes: dict[str, Unit] = {
            f"{site}:{index}": (site, index) for site, members in units.items() for index in members
        }
        edges = tuple(
            Edge(nodes.get(sender, sender), nodes.get(receiver, receiver), float(edge["weight"]))
            for edge in record["edges"]
            for sender, receiver in [(str(edge["from"]), str(edge["to"]))]
        )
        return Walk(str(record["factor"]), units, _number(record["faithfulness"]["value"]), losses, edges)
    except OSError as error:
        raise VaelensError(
            f"{str(path)!r} can't be read ({error.strerror}); give the JSON file of a circuit"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise VaelensError(
            f"{str(path)!r} is no circuit; expected a JSON file of vaelens circuits or Circuit.to_json"
        ) from error


def walks_in(folder: Path) -> list[Walk]:
    """Reads the circuits in a folder of `vaelens circuits`, and none where there is no such folder."""
    return [read_walk(path) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []


def plain_edges(edges: Iterable[Edge]) -> list[dict[str, Any]]:
    """Turns edges into plain values, the strongest first."""
    ordered = sorted(edges, key=lambda edge: -abs(edge.weight))
    return [{"from": _plain(edge.sender), "to": _plain(edge.receiver), "weight": edge.weight} for edge in ordered]


def _plain(end: Unit | str) -> Any:
    return end if isinstance(end, str) else list(end)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
