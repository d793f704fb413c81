"""Precision, recall and the area under the ROC curve, which tell how much of what was planted was found.

What is missing counts as missing: a set is compared as a set, and scores have to name every unit once.
"""

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score

from vaelens.errors import VaelensError
from vaelens.planted.truth import Truth, Units


@dataclass(frozen=True)
class Recovery:
    """How well a set that was found agrees with the one planted.

    Attributes:
        precision: the share of what was found that was planted, in [0, 1]; NaN where nothing was found.
        recall: the share of what was planted that was found, in [0, 1].
    """

    precision: float
    recall: float


def recovery(units: Collection[Hashable], planted: Collection[Hashable]) -> Recovery:
    """Compares a set of units, or of edges, with the one planted.

    Raises:
        VaelensError: if nothing was planted.

    Example:
        >>> recovery({"a", "b", "x"}, {"a", "b", "c", "d"})
        Recovery(precision=0.6666666666666666, recall=0.5)
    """
    if not planted:
        raise VaelensError("nothing was planted, so nothing can be found; give the units or edges of a circuit")
    hits = len(set(units) & set(planted))
    return Recovery(hits / len(set(units)) if units else float("nan"), hits / len(set(planted)))


def score_recovery(truth: Truth, factor: str, scores: Mapping[str, ArrayLike]) -> tuple[Recovery, float]:
    """Compares scores of all units with a factor's planted circuit.

    As many units are taken as were planted, those of highest score; of several planted circuits that count which
    agrees best. Of equal scores those of units that were not planted come first, so that ties earn nothing.

    Args:
        truth: of the planted model.
        factor: the factor's name.
        scores: by site the scores of its units, (units,), higher for a unit that matters more.

    Returns:
        Precision and recall of the units taken, and the area under the ROC curve of all scores, ties counting half.

    Raises:
        VaelensError: if a site or a unit has no score, or a score is no number.
    """
    candidates = [truth.circuits[factor], *truth.alternatives[factor]]
    flat = _flat(truth, scores)
    outcomes = [_compared(flat, _mask(truth, units)) for units in candidates]
    return max(outcomes, key=lambda outcome: (outcome[0].recall, outcome[1]))


def _compared(scores: np.ndarray, planted: np.ndarray) -> tuple[Recovery, float]:
    order = np.lexsort([planted, -scores])
    taken = set(order[: planted.sum()].tolist())
    return recovery(taken, set(np.flatnonzero(planted).tolist())), float(roc_auc_score(planted, scores))


def _flat(truth: Truth, scores: Mapping[str, ArrayLike]) -> np.ndarray:
    columns = []
    for site, types in truth.unit_types.items():
        column = np.asarray(scores[site], dtype=np.float64) if site in scores else np.empty(0)
        if column.shape != (len(types),) or not np.isfinite(column).all():
            raise VaelensError(
                f"scores of {site} have shape {column.shape}; expected ({len(types)},), a finite number for each unit "
                f"of each of the sites {', '.join(truth.unit_types)}"
            )
        columns.append(column)
    return np.concatenate(columns)


def _mask(truth: Truth, units: Units) -> np.ndarray:
    return np.concatenate([np.isin(np.arange(len(types)), units[site]) for site, types in truth.unit_types.items()])
