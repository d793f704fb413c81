"""The search for images by their labels, O(1), where every combination of values occurs once, in whatever order."""

import math

import numpy as np


class LabelGrid:
    """The row of every combination of factor values, made by `of` and searched like a `LabelTable`.

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
        """Makes the grid of these factor values, or returns None if they are no full grid.

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
        """Lists the rows whose labels are known, which are all of them."""
        return np.arange(len(self._rows))

    def find(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Finds the one row of each combination of labels (n, K)."""
        return self._rows[np.ravel_multi_index(tuple(labels.T), self._sizes)]

    def partners(self, rows: np.ndarray, factor: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Finds for each row one with another value of the factor, which agrees on the other factors."""
        labels = with_another_value(self._values[rows], factor, self._sizes[factor], rng)
        return self.find(labels, rng), np.zeros(len(rows))

    def controls(
        self, rows: np.ndarray, factor: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs every row with itself, the only one with the same labels."""
        return rows, rows, np.zeros(len(rows))


def with_another_value(values: np.ndarray, factor: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Replaces one factor in factor values int64 (n, K) by another of its values, uniformly chosen."""
    changed = values.astype(np.int64)
    changed[:, factor] += rng.integers(1, size, size=len(values))  # a step round the circle never ends at its start
    changed[:, factor] %= size
    return changed
