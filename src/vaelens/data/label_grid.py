"""Finding images by their labels where every combination of values occurs once, in whatever order: O(1) a search."""

import math

import numpy as np


class LabelGrid:
    """The row of every combination of factor values; made by `of`, searched like a `LabelTable`.

    Args:
        values: Factor values (N, K), each combination once.
        sizes: The factors' numbers of values, (K,).
        rows: The row of each combination, the last factor running fastest, (N,).
    """

    def __init__(self, values: np.ndarray, sizes: tuple[int, ...], rows: np.ndarray) -> None:
        self._values = values
        self._sizes = sizes
        self._rows = rows

    @classmethod
    def of(cls, values: np.ndarray, sizes: tuple[int, ...]) -> "LabelGrid | None":
        """The grid of these factor values; None if they are no full grid.

        Example:
            >>> grid = LabelGrid.of(np.array([[1, 0], [0, 1], [0, 0], [1, 1]]), (2, 2))
            >>> grid.find(np.array([[0, 0], [1, 1]]), np.random.default_rng(0))
            array([2, 3])
            >>> LabelGrid.of(np.array([[1, 0], [0, 1], [1, 0], [1, 1]]), (2, 2)) is None
            True
        """
        if not sizes or len(values) != math.prod(sizes) or values.min() < 0:
            return None
        combination = np.ravel_multi_index(tuple(values.T), sizes)
        rows = np.full(len(values), -1, dtype=np.int64)
        rows[combination] = np.arange(len(values))
        return None if (rows < 0).any() else cls(values, sizes, rows)

    def known(self, factor: int | None = None) -> np.ndarray:
        """The rows whose labels are known: all of them."""
        return np.arange(len(self._rows))

    def find(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The one row of each combination of labels (n, K)."""
        return self._rows[np.ravel_multi_index(tuple(labels.T), self._sizes)]

    def partners(self, rows: np.ndarray, factor: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """For each row one with another value of the factor, drawn uniformly; all agree on the other factors."""
        labels = with_another_value(self._values[rows], factor, self._sizes[factor], rng)
        return self.find(labels, rng), np.ones(len(rows), dtype=bool)


def with_another_value(values: np.ndarray, factor: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Factor values int64 (n, K) that differ from these in one factor only, drawn uniformly from its other values."""
    changed = values.astype(np.int64)
    changed[:, factor] += rng.integers(1, size, size=len(values))  # a step round the circle never ends at its start
    changed[:, factor] %= size
    return changed
