"""Finding images by their labels where the data is no full factor grid.

A search compares one label combination with every row, column by column: O(N K) bytes read, O(N) bytes held.
"""

import numpy as np

from vaelens.data.factors import Factors
from vaelens.errors import VaelensError


class LabelTable:
    """The factor values of all N images, kept by column in the narrowest integer type.

    Args:
        values: Factor values, integers (N, K); negative where a label is missing.
        factors: What the columns are; by default categorical, so that two labels are either equal or not.
    """

    def __init__(self, values: np.ndarray, factors: Factors | None = None) -> None:
        ends = np.min_scalar_type(int(values.max(initial=0))), np.min_scalar_type(int(values.min(initial=0)))
        self._columns = np.ascontiguousarray(values.T, dtype=np.result_type(*ends))  # (K, N)
        self._factors = factors

    def known(self, factor: int | None = None) -> np.ndarray:
        """The indices of images whose label of a factor is known, or whose labels all are."""
        columns = self._columns if factor is None else self._columns[factor : factor + 1]
        return np.flatnonzero((columns >= 0).all(axis=0))

    def find(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """For each row of labels (n, K) the index of an image that has them, drawn uniformly; -1 where none has.

        Example:
            >>> table = LabelTable(np.array([[0, 1], [1, 0]]))
            >>> table.find(np.array([[1, 0], [1, 1]]), np.random.default_rng(0))
            array([ 1, -1])
        """
        found = np.full(len(labels), -1, dtype=np.int64)
        for wanted, rows in _groups(labels):
            candidates = np.flatnonzero(self._columns[0] == wanted[0])
            for column, value in zip(self._columns[1:], wanted[1:], strict=True):
                candidates = candidates[column[candidates] == value]
            if len(candidates):
                found[rows] = rng.choice(candidates, size=len(rows))
        return found

    def partners(self, rows: np.ndarray, factor: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """For each row an image that differs in one factor and is the nearest to it in the others.

        Nearest is an image that agrees on as many other labels as possible; among those, one with the smallest
        distance, the sum over the other factors of: |i - j| / (size - 1) for an ordinal factor, the steps the
        shorter way round / floor(size / 2) for a circular one, 1 for a categorical one whose labels differ, and 1
        where a label is missing. What is missing agrees with nothing.

        Args:
            rows: Indices of images whose label of the factor is known, (n,).
            factor: The column in which the partner must differ.
            rng: Draws uniformly among the nearest.

        Returns:
            The partners' indices (n,), and whether they agree on all other factors (n,).

        Raises:
            VaelensError: If no image differs in that factor.

        Example:
            >>> from vaelens.data.factors import Factor
            >>> factors = Factors((Factor("shape", 2, "categorical"), Factor("scale", 9)))
            >>> table = LabelTable(np.array([[0, 4], [1, 0], [1, 3], [1, 8]]), factors)
            >>> table.partners(np.array([0]), 0, np.random.default_rng(0))  # none has scale 4; 3 is the nearest
            (array([2]), array([False]))
        """
        partners = np.empty(len(rows), dtype=np.int64)
        matched = np.empty(len(rows), dtype=bool)
        others = [k for k in range(len(self._columns)) if k != factor]
        for labels, members in _groups(self._columns[:, rows].T):
            # As narrow as counts to K and -1 allow: the time goes into reading and writing it K times.
            agreement = np.zeros(self._columns.shape[1], dtype=np.min_scalar_type(-len(self._columns) - 1))
            for k in others:
                if labels[k] >= 0:
                    agreement += self._columns[k] == labels[k]
            agreement[(self._columns[factor] == labels[factor]) | (self._columns[factor] < 0)] = -1
            most = agreement.max()
            if most < 0:
                same = f"all {len(agreement)} images have the value {labels[factor]} of factor number {factor}"
                raise VaelensError(f"{same}, so no pair can differ in it")
            nearest = np.flatnonzero(agreement == most)
            if most < len(others):
                distance = np.sum([self._distance(k, nearest, int(labels[k])) for k in others], axis=0)
                nearest = nearest[distance <= distance.min() + 1e-9]  # sums of the same terms in another order
            partners[members] = rng.choice(nearest, size=len(members))
            matched[members] = most == len(others)
        return partners, matched

    def _distance(self, column: int, rows: np.ndarray, label: int) -> np.ndarray:
        """How far the labels of rows are from a label, in 0 … 1."""
        labels = self._columns[column][rows].astype(np.int64)
        apart = np.abs(labels - label)
        kind = self._factors.kinds[column] if self._factors else "categorical"
        size = self._factors.sizes[column] if self._factors else 2
        if kind == "ordinal":
            distance = apart / max(size - 1, 1)
        elif kind == "circular":
            distance = np.minimum(apart, size - apart) / max(size // 2, 1)
        else:
            distance = (apart > 0).astype(float)
        return np.where((labels < 0) | (label < 0), 1.0, distance)


def _groups(labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each distinct row of labels with the positions it stands at, so that each is searched for once."""
    if len(labels) == 0:
        return []
    distinct, group = np.unique(labels, axis=0, return_inverse=True)
    group = group.reshape(-1)  # NumPy 2.0 alone returns it as a column
    order = np.argsort(group, kind="stable")
    return list(zip(distinct, np.split(order, np.cumsum(np.bincount(group))[:-1]), strict=True))
