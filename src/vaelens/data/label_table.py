"""Finding images by their labels where the data is no full factor grid.

A search compares one label combination with every row, column by column: O(N K) bytes read, O(N) bytes held.
"""

import numpy as np

from vaelens.errors import VaelensError


class LabelTable:
    """The factor values of all N images, kept by column in the narrowest integer type.

    Args:
        values: Factor values, non-negative integers (N, K).
    """

    def __init__(self, values: np.ndarray) -> None:
        narrowest = np.min_scalar_type(int(values.max(initial=0)))
        self._columns = np.ascontiguousarray(values.T, dtype=narrowest)  # (K, N)

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
        """For each row an image that differs in one factor and agrees on as many others as possible.

        Args:
            rows: Indices of images, (n,).
            factor: The column in which the partner must differ.
            rng: Draws uniformly among the partners that agree on most.

        Returns:
            The partners' indices (n,), and whether they agree on all other factors (n,).

        Raises:
            VaelensError: If no image differs in that factor.
        """
        partners = np.empty(len(rows), dtype=np.int64)
        matched = np.empty(len(rows), dtype=bool)
        others = [column for k, column in enumerate(self._columns) if k != factor]
        for labels, members in _groups(self._columns[:, rows].T):
            # As narrow as counts to K and -1 allow: the time goes into reading and writing it K times.
            agreement = np.zeros(self._columns.shape[1], dtype=np.min_scalar_type(-len(self._columns) - 1))
            for column, value in zip(others, np.delete(labels, factor), strict=True):
                agreement += column == value
            agreement[self._columns[factor] == labels[factor]] = -1
            most = agreement.max()
            if most < 0:
                same = f"all {len(agreement)} images have the value {labels[factor]} of factor number {factor}"
                raise VaelensError(f"{same}, so no pair can differ in it")
            partners[members] = rng.choice(np.flatnonzero(agreement == most), size=len(members))
            matched[members] = most == len(others)
        return partners, matched


def _groups(labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each distinct row of labels with the positions it stands at, so that each is searched for once."""
    if len(labels) == 0:
        return []
    distinct, group = np.unique(labels, axis=0, return_inverse=True)
    group = group.reshape(-1)  # NumPy 2.0 alone returns it as a column
    order = np.argsort(group, kind="stable")
    return list(zip(distinct, np.split(order, np.cumsum(np.bincount(group))[:-1]), strict=True))
