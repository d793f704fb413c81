"""The part of an analysis that finds a circuit of every factor. It is the most expensive, so only on request."""

import json

import numpy as np
import xarray as xr

from vaelens.analysis.choice import Share
from vaelens.analysis.cost import Clock, Cost, Moved
from vaelens.analysis.part import Part
from vaelens.analysis.subject import Subject
from vaelens.circuits import Circuit, discover_circuit, find_motifs
from vaelens.circuits.circuit_table import circuit_table
from vaelens.circuits.discovery import NoEffect
from vaelens.progress import reporting

_TIMED = 16  # images by which the cost is judged
_RUNS_A_UNIT, _RUNS = 1.5, 400  # of a search, in forwards of the model for each pair; measured on the usual backbone
_GRAPHS = 50  # random ones that motifs are compared with
_HUNDREDTHS = 100  # that a circuit's progress is told in


def varying_factors(subject: Subject) -> list[str]:
    """Lists the factors that have several values."""
    factors = subject.ds.factors
    return [name for name, size in zip(factors.names, factors.sizes, strict=True) if size > 1]


def circuits_part(subject: Subject, full: int) -> Part:
    """Finds a circuit of every factor that varies, with its motifs. Factors without effect are named in `left_out`.

    Besides what `circuit_table` says there are `motif_count` and `motif_z` (factor, motif), as `find_motifs` says them.
    """
    lens, ds, seed = subject.lens, subject.ds, subject.seed
    names = varying_factors(subject)

    def run(share: Share, moved: Moved) -> xr.Dataset:
        circuits: list[Circuit] = []
        left_out: dict[str, str] = {}
        with reporting(moved, _HUNDREDTHS * len(names), "circuits") as report:
            for name in names:
                progress = report.part(_HUNDREDTHS, name)
                try:
                    circuits.append(discover_circuit(lens, ds, name, n=share.images, seed=seed, progress=progress))
                except NoEffect as error:
                    left_out[name] = str(error)
                    progress(1, 1)
        if not circuits:
            nothing = xr.Dataset(coords={"factor": np.array([], dtype="<U1")})
            return nothing.assign_attrs(left_out=json.dumps(left_out))
        motifs = [find_motifs(circuit, graphs=_GRAPHS, seed=seed).set_index("motif") for circuit in circuits]
        over = ("factor", "motif")
        counted = {
            "motif_count": (over, np.stack([of_circuit["count"].to_numpy() for of_circuit in motifs])),
            "motif_z": (over, np.stack([of_circuit["z"].to_numpy() for of_circuit in motifs])),
        }
        table = circuit_table(circuits).assign(counted).assign_coords(motif=list(motifs[0].index))
        return table.assign_attrs(left_out=json.dumps(left_out))

    def cost(patience: float, clock: Clock) -> tuple[Cost, ...]:
        few = subject.x[: min(_TIMED, len(subject.x))]
        lens.reconstruct(few)  # what is done once
        begin = clock()
        lens.reconstruct(few)
        units = sum(site.units for site in lens.sites.values())
        runs = len(names) * (_RUNS_A_UNIT * units + _RUNS)
        return (Cost(0.0, runs * (clock() - begin) / len(few)),)

    return Part("circuits", full, run, "pairs for each factor", cost=cost)
