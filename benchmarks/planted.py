"""How well any scorer of units finds what is planted: `python -m benchmarks.planted [SCORER …] [--seeds N]`.

SCORER is "exact", "attribution", "attribution-ig", "random", "circuit" (the units that `vl.discover_circuit` finds), or
package.module:function, a function that is given a lens and pairs (`pairs.x`, `pairs.x2`) and returns by site a number
for each unit.
"""

import argparse
import functools
import importlib
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import vaelens as vl
from vaelens.circuits.circuit_runs import CircuitRuns
from vaelens.circuits.scorers import SCORERS
from vaelens.circuits.search import Search
from vaelens.data import Pairs
from vaelens.planted import KINDS, score_recovery

Scorer = Callable[[vl.Lens, Pairs], Mapping[str, ArrayLike]]

DEPTHS = (2, 3, 4)
HEADER = "| kind | precision and recall | AUROC | perfect | factors |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Outcome:
    """What a scorer reaches on the models of a kind, on average over factors.

    As many units are taken as were planted, so that precision and recall are one number.
    """

    kind: str
    recall: float
    auroc: float
    perfect: float
    factors: int

    def __str__(self) -> str:
        return f"| {self.kind} | {self.recall:.3f} | {self.auroc:.3f} | {self.perfect:.0%} | {self.factors} |"


def measure(
    scorer: Scorer, kind: str, seeds: Sequence[int], depths: Sequence[int] = DEPTHS, pairs: int = 64
) -> Outcome:
    """Scores every factor of every model of a kind, dense and convolutional."""
    recalls, areas = [], []
    for depth, convolutional, seed in itertools.product(depths, (False, True), seeds):
        planted = vl.planted_model(kind, depth, convolutional, seed)
        for factor in planted.truth.circuits:
            scores = scorer(planted.lens, planted.dataset.pairs(factor, pairs, seed))
            recovered, area = score_recovery(planted.truth, factor, scores)
            recalls.append(recovered.recall)
            areas.append(area)
    return Outcome(kind, *(float(np.mean(values)) for values in (recalls, areas, np.equal(recalls, 1))), len(recalls))


def own(name: str, lens: vl.Lens, pairs: Pairs) -> Mapping[str, ArrayLike]:
    """The scores of one of vaelens's scorers; of "circuit" 1 for the units of what is found, and 0 for others."""
    runs = CircuitRuns(lens, pairs.x, pairs.x2)
    if name == "circuit":
        scores = Search(runs, SCORERS["exact"](runs, 0), 0.9).minimal_sets()[0].astype(np.float64)
    else:
        scores = np.abs(SCORERS[name](runs, 0))
    return {site: scores[span] for site, span in runs.table.spans()}


def named(name: str) -> Scorer:
    """The scorer of a name.

    Raises:
        SystemExit: there is none.
    """
    if name in (*SCORERS, "circuit"):
        return functools.partial(own, name)
    module, _, function = name.partition(":")
    try:
        scorer: Any = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise SystemExit(
            f"no scorer {name!r}: {error}; give one of {', '.join(SCORERS)}, circuit, module:function"
        ) from error
    return scorer


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted", description=__doc__)
    parser.add_argument("scorers", nargs="*", default=[*SCORERS, "circuit"], metavar="SCORER")
    parser.add_argument("--seeds", type=int, default=20, help="models of each kind, depth and layers (default 20)")
    parser.add_argument("--depths", type=int, nargs="+", choices=DEPTHS, default=DEPTHS)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args(arguments)
    warnings.simplefilter("error")
    for name in options.scorers:
        scorer = named(name)
        print(f"\n**{name}**\n\n{HEADER}", flush=True)
        for kind in options.kinds:
            print(measure(scorer, kind, range(options.seeds), options.depths), flush=True)


if __name__ == "__main__":
    main()
