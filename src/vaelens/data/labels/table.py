"""The search for images by their labels where the data is no full factor grid.

A search compares one combination of labels with every row, column by column: O(N K) bytes read, O(N) bytes held.
"""

import numpy as np

from vaelens.data.factors import Factors
from vaelens.errors import VaelensError

TOLERANCE = 1e-9  # within which distances are the same: sums of the same terms in another order


class LabelTable:
    """The factor values of all N images, kept by column in the narrowest integer type.

    Args:
        values: Factor values, integers (N, K); negative where a label is missing.
        factors: What the columns are; by default categorical, so that two labels are either equal or not.
    """

    def __init__(self, values: np.ndarray, factors: Factors | None = None) -> None:
        ends = np.min_scalar_type(int(values.max(initial=0))), np.min_scalar_type(int(values.min(initial=0)))
        self._columns = np.ascontiguousarray(values.T, dtype=np.result_type(*ends))  # (K, N)
        self._steps = [_steps(factors, k) for k in range(len(self._columns))]

    def known(self, factor: int | None = None) -> np.ndarray:
        """Lists the indices of images whose label of a factor is known, or whose labels all are."""
        columns = self._columns if factor is None else self._columns[factor : factor + 1]
        return np.flatnonzero((columns >= 0).all(axis=0))

    def find(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Finds for each row of labels (n, K) the index of an image that has them, uniformly, or -1.

        Example:
            >>> table = LabelTable(np.array([[0, 1], [1, 0]]))
            >>> table.find(np.array([[1, 0], [1, 1]]), np.random.default_rng(0))
            array([ 1, -1])
        """
        indices = np.full(len(labels), -1, dtype=np.int64)
        for wanted, rows in _groups(labels):
            candidates = np.flatnonzero(self._columns[0] == wanted[0])
            for column, value in zip(self._columns[1:], wanted[1:], strict=True):
                candidates = candidates[column[candidates] == value]
            if len(candidates):
                indices[rows] = rng.choice(candidates, size=len(rows))
        return indices

    def partners(self, rows: np.ndarray, factor: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Finds for each row the image nearest to it, in the other factors, of those that differ in one factor.

        The distance is the sum over the other factors of: |i - j| / (size - 1) for an ordinal factor, the steps the
        shorter way round / floor(size / 2) for a circular one, 1 for a categorical one whose labels differ, and 1
        where a label is missing.

        Args:
            rows: Indices of images whose label of the factor is known, (n,).
            factor: The column in which the partner must differ.
            rng: Chooses uniformly among the nearest.

        Returns:
            The partners' indices (n,), and their distances (n,), 0 where they agree on all other factors.

        Raises:
            VaelensError: If no image differs in that factor.

        Example:
            >>> from vaelens.data.factors import Factor
            >>> factors = Factors((Factor("shape", 2, "categorical"), Factor("scale", 9)))
            >>> table = LabelTable(np.array([[0, 4], [1, 0], [1, 3], [1, 8]]), factors)
            >>> table.partners(np.array([0]), 0, np.random.default_rng(0))  # none has scale 4; 3 is the nearest
            (array([2]), array([0.125]))
        """
        partners = np.empty(len(rows), dtype=np.int64)
        distances = np.empty(len(rows))
        column = self._columns[factor]
        for labels, members in _groups(self._columns[:, rows].T):
            candidates = (column != labels[factor]) & (column >= 0)
            if not candidates.any():
                same = f"all {len(column)} images have the value {labels[factor]} of factor number {factor}"
                raise VaelensError(f"{same}, so no pair can differ in it")
            distance = self._distances(labels, factor)
            distance[~candidates] = np.inf
            least = distance.min()
            nearest = np.flatnonzero(distance <= least + TOLERANCE)
            partners[members] = rng.choice(nearest, size=len(members))
            distances[members] = least
        return partners, distances

    def controls(
        self, rows: np.ndarray, factor: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Finds for each row the other image nearest to it, in the other factors, with the same value of one factor.

        Args:
            rows: Indices of images whose label of the factor is known, (n,).
            factor: The column in which the partner must agree.
            rng: Chooses uniformly among the nearest, and other rows for those whose value no other image has.

        Returns:
            The rows, the partners' indices and their distances, as in `partners`, each (n,).

        Raises:
            VaelensError: If no two images have the same value of that factor.
        """
        column = self._columns[factor]
        values, counts = np.unique(column[column >= 0], return_counts=True)
        repeated = np.flatnonzero(np.isin(column, values[counts > 1]))
        if not len(repeated):
            raise VaelensError(f"no two images have the same value of factor number {factor}; it has no control pairs")
        rows = rows.copy()
        alone = np.flatnonzero(~np.isin(column[rows], values[counts > 1]))
        rows[alone] = repeated[rng.integers(len(repeated), size=len(alone))]
        partners = np.empty(len(rows), dtype=np.int64)
        distances = np.empty(len(rows))
        for labels, members in _groups(self._columns[:, rows].T):
            distance = self._distances(labels, factor)
            distance[column != labels[factor]] = np.inf
            for member in members:  # the image itself is the nearest of all, and differs from row to row
                own = distance[rows[member]]
                distance[rows[member]] = np.inf
                least = distance.min()
                partners[member] = rng.choice(np.flatnonzero(distance <= least + TOLERANCE))
                distances[member] = least
                distance[rows[member]] = own
        return rows, partners, distances

    def _distances(self, labels: np.ndarray, factor: int) -> np.ndarray:
        """Computes how far all images are from a combination of labels in all factors but one, float64 (N,)."""
        unlike = np.zeros(self._columns.shape[1], dtype=np.min_scalar_type(len(self._columns)))
        distance = np.zeros(self._columns.shape[1])
        for k, (column, steps) in enumerate(zip(self._columns, self._steps, strict=True)):
            if k == factor:
                continue
            if labels[k] < 0:
                unlike += 1
            elif steps is None:
                unlike += column != labels[k]
            else:
                # steps[size - 1 + difference]; a missing label stands at the end, which index -1 finds.
                apart = np.append(steps[len(steps) // 2 - int(labels[k]) :][: len(steps) // 2 + 1], 1.0)
                distance += apart[column]
        distance += unlike
        return distance


def _steps(factors: Factors | None, column: int) -> np.ndarray | None:
    """Tabulates the distance of two values by their difference, -(size - 1) … size - 1, if they have an order."""
    if factors is None or factors.kinds[column] == "categorical":
        return None
    size = factors.sizes[column]
    apart = np.abs(np.arange(1 - size, size))
    if factors.kinds[column] == "circular":
        return np.minimum(apart, size - apart) / max(size // 2, 1)
    return apart / max(size - 1, 1)


def _groups(labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Lists each distinct row of labels with the positions it stands at, so that each is searched for once."""
    if len(labels) == 0:
        return []
    distinct, group = np.unique(labels, axis=0, return_inverse=True)
    group = group.reshape(-1)  # NumPy 2.0 alone returns it as a column
    order = np.argsort(group, kind="stable")
    return list(zip(distinct, np.split(order, np.cumsum(np.bincount(group))[:-1]), strict=True))
