"""The record of one column of labels, with what each level stands for, and how it was binned."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LabelColumn:
    """One column of labels.

    Attributes:
        name: The column's name.
        kind: The factor's kind: ordinal, circular or categorical; a continuous column is binned, and ordinal.
        ranks: Each row's level, (N,) in 0 … size - 1; -1 where the label is missing.
        values: What each level stands for, (size,): the value itself, or the median of a continuous column's bin.
        raw: The numbers of a continuous column as given, float64 (N,), NaN where missing; None of other columns.
        edges: The bounds between a continuous column's bins, (size - 1,); a bin holds its lower bound.
        no_factor: Why the column is no factor, such as an index; empty if it may be one.
    """

    name: str
    kind: str
    ranks: np.ndarray
    values: np.ndarray
    raw: np.ndarray | None = None
    edges: tuple[float, ...] = ()
    no_factor: str = ""

    @classmethod
    def ranked(cls, name: str, kind: str, labels: np.ndarray, has_label: np.ndarray | None = None) -> "LabelColumn":
        """Ranks labels among those that occur.

        Args:
            name: The column's name.
            kind: The factor's kind.
            labels: The labels that are there, in the order of the rows.
            has_label: Which rows have one, bool (N,); all by default.

        Example:
            >>> column = LabelColumn.ranked("size", "ordinal", np.array([9, 5, 9]), np.array([True, True, False, True]))
            >>> column.ranks, column.values, column.missing
            (array([ 1,  0, -1,  1], dtype=int8), array([5, 9]), 1)
        """
        values, ranks = np.unique(labels, return_inverse=True)
        narrow = ranks.astype(np.min_scalar_type(-max(1, len(values))))  # the narrowest type that holds -1 too
        if has_label is None:
            return cls(name, kind, narrow, values)
        return cls(name, kind, spread(narrow, has_label), values)

    @classmethod
    def excluded(cls, name: str, length: int, reason: str) -> "LabelColumn":
        """Makes the record of a column that is no factor."""
        return cls(name, "categorical", np.full(length, -1, dtype=np.int8), np.zeros(0), no_factor=reason)

    @property
    def missing(self) -> int:
        """Counts the rows that lack the label."""
        return int((self.ranks < 0).sum())


def spread(ranks: np.ndarray, has_label: np.ndarray) -> np.ndarray:
    """Puts the ranks of rows that have a label among all rows, with -1 in those that lack it."""
    everywhere = np.full(len(has_label), -1, dtype=ranks.dtype)
    everywhere[has_label] = ranks
    return everywhere
