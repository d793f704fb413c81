"""Notes on a circuit, sentences about what is worth knowing of how it was found and of what it says."""

from collections.abc import Sequence

import numpy as np

from vaelens.circuits.circuit_runs import CircuitRuns
from vaelens.circuits.estimate import Estimate
from vaelens.circuits.search import BY_SCORE, THOROUGH, Search
from vaelens.circuits.unit_graph import LEAST_WEIGHT
from vaelens.circuits.unit_sets import Mask

_CLOSE = 1.05  # times the units, up to which two large sets are of a size
_MISSED = 0.1  # of the effect, that edges may carry less than units before it is said


def search_notes(search: Search, sets: Sequence[Mask], runs: CircuitRuns, threshold: float) -> list[str]:
    """Says how the search was misled, what other minimal sets there are, and how far it looked."""
    notes = []
    size = int(sets[0].sum())
    by_score = next(units for way, units in search.ways if way == BY_SCORE)
    if by_score > max(size + 1, _CLOSE * size) or (by_score > size and len(runs.table) <= THOROUGH):
        notes.append(
            f"adding units by score and leaving out what can be spared ends at {by_score} units; another order, or an "
            f"exchange, ends at {size}: scores of single units mislead here"
        )
    if len(sets) > 1:
        least, most = int(min(mask.sum() for mask in sets)), int(max(mask.sum() for mask in sets))
        sizes = f"{least}" if least == most else f"{least} to {most}"
        notes.append(
            f"{len(sets)} different sets of {sizes} units carry {threshold:.0%} each, and none of them can spare a "
            "unit: what they do not share is redundant, or stands in for what is held"
        )
    if len(runs.table) > THOROUGH:
        notes.append(
            f"of the {len(runs.table)} units of this model sets were searched by score and by exchange only; there may "
            "be smaller ones"
        )
    return notes


def edge_notes(faithfulness: float, edges: float, passed: Sequence[str]) -> list[str]:
    """Says what the edges of the graph leave out."""
    notes = []
    if passed:
        notes.append(
            f"something passes {', '.join(passed)} by, as on a skip connection: edges join neighbouring sites only, so "
            "neither the graph nor what its edges carry shows it; units and their scores are as they should be"
        )
    if edges < faithfulness - _MISSED:
        notes.append(
            f"the edges of the graph, those of weight {LEAST_WEIGHT:g} or more, carry {edges:.2f} where the units "
            f"carry {faithfulness:.2f}: the rest passes by weaker edges{', or past a site' if passed else ''}"
        )
    return notes


def held_out_notes(faithfulness: Estimate, held_out: Estimate, threshold: float, pairs: int) -> list[str]:
    """Says when a circuit does not hold on other pairs, its interval below the threshold."""
    if np.isnan(held_out):
        return ["every pair of the data that differs in the factor was searched: there is none to hold out"]
    if held_out.high >= threshold:
        return []
    return [
        f"on other pairs the circuit carries {held_out}, below {threshold:g}: it is fitted to the {pairs} pairs that "
        f"were searched, of which it carries {faithfulness:.3g}; quote the former, or search more pairs (n={4 * pairs})"
    ]
