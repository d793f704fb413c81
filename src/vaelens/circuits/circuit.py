"""What a search for a circuit found, as a record that prints, draws and saves itself."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pandas as pd
import xarray as xr

from vaelens.circuits import export
from vaelens.circuits.circuit_table import ESTIMATES, circuit_table
from vaelens.circuits.estimate import Estimate
from vaelens.circuits.unit_sets import Units
from vaelens.markup import text

if TYPE_CHECKING:
    from vaelens.report.circuit_drawing import Drawing

_LISTED = 16  # units of a site that are printed; `units` has all


@dataclass(frozen=True, eq=False)
class Alternative:
    """Another minimal set of units.

    Attributes:
        units: by site, in ascending order.
        faithfulness: the fraction of the effect that it carries.
    """

    units: Units
    faithfulness: Estimate

    def __len__(self) -> int:
        return sum(map(len, self.units.values()))


@dataclass(frozen=True, eq=False, repr=False)
class Circuit:
    """A set of units that carries a factor from image to image, and how well.

    The effect of a pair of images (x, x') that differ in the factor is Y(x') − Y(x), Y the image that comes out. In a
    circuit run x' goes in, units of the set are computed from their inputs, and all others are held at their values on
    x. Fractions are by projection on the effect, sums over pairs above and below.

    Attributes:
        factor: the factor's name.
        units: by site, in ascending order; an empty tuple where the site has none.
        faithfulness: the fraction of the effect that the circuit run carries, on the pairs that were searched.
        held_out: the same on pairs that were not, of which there are at most as many; NaN where the data has none.
        edge_faithfulness: the fraction that the edges of `graph` carry, on the pairs that were searched: each unit sees
            the circuit only through its edges, and is given the base's values for the rest. What it falls short of
            `faithfulness` passes by edges too weak for the graph, or past a site.
        completeness: the fraction carried when instead the circuit's units are held and all others computed; the lower
            the more complete. Units that all ways share make it low whatever else there is: see `alternatives`.
        minimality: the least fraction that is lost without one of the units; a set is minimal where that takes it below
            the threshold.
        random_faithfulness: the faithfulness of sets of random units, as many at each site, (sets,).
        curve: faithfulness over the share of all units, by four ways to hold the others, with the areas `cpr` and
            `cmd`; see `faithfulness_curves`.
        graph: units as nodes (site, index), from the factor's name to "image"; `weight` of an edge is the fraction of
            the receiver's change that the sender brings about by itself. Edges join neighbouring sites only: what
            passes by a skip connection has none.
        alternatives: other minimal sets that the search came upon; there may be further ones.
        roles: units of which one minimal set needs what another does without: "redundant", or "backup" where the unit
            never changes as long as nothing is held.
        scores: of every unit, by the scorer, (unit) with coordinates `site` and `index`.
        losses: a row for each of the circuit's units: site, index, score, and the fraction lost without it, with
            interval.
        effect_maps: of the units that a picture shows, one to five of each site, those of largest loss: the mean
            absolute change of each pixel where the unit alone takes the source's value, (unit, height, width) with
            coordinates `site` and `index`; pixels of size 0 where what comes out is no image.
        notes: what is worth knowing about the search, in sentences.
        how: threshold, scorer, number of pairs, seed, model and dataset.
    """

    factor: str
    units: Units
    faithfulness: Estimate
    held_out: Estimate
    edge_faithfulness: Estimate
    completeness: Estimate
    minimality: Estimate
    random_faithfulness: np.ndarray
    curve: xr.Dataset
    graph: nx.DiGraph
    alternatives: tuple[Alternative, ...]
    roles: Mapping[tuple[str, int], str]
    scores: xr.DataArray
    losses: pd.DataFrame
    effect_maps: xr.DataArray
    notes: tuple[str, ...]
    how: Mapping[str, object]

    def __len__(self) -> int:
        return sum(map(len, self.units.values()))

    @property
    def cpr(self) -> float:
        """The area under the curve of faithfulness, units held at the base's values. Higher is better."""
        return float(self.curve["cpr"].sel(hold="source"))

    @property
    def cmd(self) -> float:
        """The area between the curve of faithfulness and 1, units held at the base's values. Lower is better."""
        return float(self.curve["cmd"].sel(hold="source"))

    def figure(self) -> "Drawing":
        """Draws the circuit with sites from left to right, each unit with the pixels that it changes, edges by weight.

        At most twenty units are shown, five at a site, or one of each site where there are more sites; the rest is
        counted. In a notebook the drawing shows itself; `.save(path)` writes it as SVG.
        """
        from vaelens.report.circuit_drawing import drawing  # a convenience of the record, as pages live above it

        return drawing(circuit_table([self]), self.factor)

    def _repr_html_(self) -> str:
        return f"{self.figure().svg}<pre>{text(self)}</pre>"

    def to_graphml(self, path: str | Path) -> None:
        """Writes the graph as GraphML.

        Raises:
            VaelensError: if it cannot be written.
        """
        export.write(path, export.graphml(self.graph))

    def to_dot(self, path: str | Path) -> None:
        """Writes the graph in the language of Graphviz. `dot -Tsvg` draws it, sites from left to right.

        Raises:
            VaelensError: if it cannot be written.
        """
        export.write(path, export.dot(self.graph))

    def to_json(self, path: str | Path) -> None:
        """Writes units, scores with their intervals, alternatives, edges and curve as JSON.

        Raises:
            VaelensError: if it cannot be written.
        """
        export.write(path, export.json_text(self._plain()))

    def _plain(self) -> dict[str, object]:
        estimates = {name: getattr(self, name) for name in ESTIMATES}
        shares = [str(share) for share in self.curve["share"].values]
        return {
            "factor": self.factor,
            "units": dict(self.units),
            **{name: _ends(estimate) for name, estimate in estimates.items()},
            "random_faithfulness": self.random_faithfulness.tolist(),
            "cpr": self.cpr,
            "cmd": self.cmd,
            "curve": {
                str(hold): dict(zip(shares, curve.tolist(), strict=True))
                for hold, curve in zip(self.curve["hold"].values, self.curve["faithfulness"].values, strict=True)
            },
            "alternatives": [
                {"units": dict(other.units), "faithfulness": _ends(other.faithfulness)} for other in self.alternatives
            ],
            "roles": [{"site": site, "index": unit, "role": role} for (site, unit), role in self.roles.items()],
            "losses": self.losses.to_dict(orient="records"),
            "edges": export.edges(self.graph),
            "notes": list(self.notes),
            "how": dict(self.how),
        }

    def __repr__(self) -> str:
        return (
            f"<a circuit of {self.factor!r}: {len(self)} of {self.scores.size} units, faithfulness {self.faithfulness}>"
        )

    def __str__(self) -> str:
        chance, sizes = self.random_faithfulness, Counter(self.scores["site"].values.tolist())
        lines = [
            f"a circuit of {self.factor!r}: {len(self)} of {self.scores.size} units",
            f"  faithfulness   {self.faithfulness}, on other pairs {self.held_out}",
            f"  edges carry    {self.edge_faithfulness}",
            f"  random sets    {chance.mean():.3g} on average, at most {chance.max():.3g} of {len(chance)}",
            f"  completeness   {self.completeness}",
            f"  minimality     {self.minimality}",
            f"  CPR, CMD       {self.cpr:.3g}, {self.cmd:.3g}",
            *(f"  {site:<14} {_listed(units, sizes[site])}" for site, units in self.units.items()),
            *(f"  · {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def _listed(units: tuple[int, ...], of: int) -> str:
    """Lists units, all of them or the first, with how many there are."""
    listed = ", ".join(map(str, units[:_LISTED]))
    more = f", … ({len(units)} of {of})" if len(units) > _LISTED else ""
    return f"{listed}{more}" or "–"


def _ends(estimate: Estimate) -> dict[str, float]:
    return {"value": float(estimate), "low": estimate.low, "high": estimate.high}
