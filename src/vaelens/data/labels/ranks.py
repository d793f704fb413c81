"""Datasets whose images carry labels, of which a factor's values are the ranks, kept in the narrowest integers."""

from collections.abc import Iterable

import numpy as np

from vaelens.data.dataset import FactorDataset
from vaelens.data.factors import Factor, Factors
from vaelens.data.labels.column import LabelColumn


class RankedDataset(FactorDataset):
    """Images with labels, which a subclass makes.

    A factor's value is the rank of its label among those that occur, 0..size - 1, or -1 where it is missing. A factor
    with one label tells images apart nowhere; it is left out, as are columns that say themselves that they are none.

    Args:
        length: How many images there are.
        columns: Their labels, each column of that length.

    Attributes:
        original_values: For each factor's name what its ranks stand for, (size,).
        left_out: The names of the columns left out; `notes` says why.
    """

    def __init__(self, length: int, columns: Iterable[LabelColumn]) -> None:
        items, ranks = [], []
        self._left_out: dict[str, str] = {}
        self.original_values: dict[str, np.ndarray] = {}
        missing = {}
        for column in columns:
            size = len(column.values)
            if column.no_factor or size <= 1:
                self._left_out[column.name] = column.no_factor or ("one value" if size else "no values")
                continue
            items.append(Factor(column.name, size, column.kind))
            ranks.append(column.ranks.astype(np.min_scalar_type(-size), copy=False))  # -1 must fit
            self.original_values[column.name] = column.values
            if column.missing:
                missing[column.name] = column.missing
        self.factors = Factors(tuple(items))
        self.left_out: tuple[str, ...] = tuple(self._left_out)
        self.missing = missing
        self._ranks = np.stack(ranks, axis=1) if ranks else np.zeros((length, 0), dtype=np.int8)

    @property
    def notes(self) -> list[str]:
        """Says which columns were left out, and why, and how many images lack which label."""
        left_out = ", ".join(f"{name} ({reason})" for name, reason in self._left_out.items())
        lacking = ", ".join(f"{name} in {count:,}" for name, count in self.missing.items())
        lacked = f"missing labels: {lacking} of {len(self):,} images"
        return [*([f"left out: {left_out}"] if left_out else []), *([lacked] if lacking else [])]

    def __len__(self) -> int:
        return len(self._ranks)

    def factor_values(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the factor values at indices, which are ranks."""
        return self._ranks[indices]
