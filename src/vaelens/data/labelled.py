"""Datasets read from official files that carry labels, in any number and order of rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vaelens.data.damage import damaged
from vaelens.data.dataset import FactorDataset
from vaelens.data.factors import Factor, Factors
from vaelens.data.places import file_records


class LabelledImages(FactorDataset):
    """Images of official files with a label for every factor; a subclass says how images are had.

    A factor's value is the rank of its label among those that occur, 0..size - 1. A factor with one label tells
    images apart nowhere; it is left out. Where every combination of labels occurs once, pairs are exact.

    Args:
        files: The files read, for provenance; errors in labels name the first.
        labels: Numbers (N, K).
        factors: Each column's name and kind.
        image_shape: Channels, height and width.

    Attributes:
        original_values: For each factor's name its labels, (size,), by rank.
        left_out: The names of the factors left out because they have one label.

    Raises:
        VaelensError: If the labels have the wrong shape or are no finite numbers.
    """

    def __init__(
        self,
        files: Sequence[Path],
        labels: np.ndarray,
        factors: Sequence[tuple[str, str]],
        image_shape: tuple[int, int, int],
    ) -> None:
        if labels.ndim != 2 or labels.shape[1] != len(factors):
            raise damaged(files[0], f"its labels have shape {labels.shape}, expected (N, {len(factors)})")
        if labels.dtype.kind not in "iuf" or not np.isfinite(labels).all():
            raise damaged(files[0], "its labels are not all finite numbers")
        self._files = tuple(files)
        self.image_shape = image_shape
        items, ranks, left_out = [], [], []
        self.original_values: dict[str, np.ndarray] = {}
        for (name, kind), column in zip(factors, labels.T, strict=True):
            values, rank = np.unique(column, return_inverse=True)
            if len(values) == 1:
                left_out.append(name)
                continue
            items.append(Factor(name, len(values), kind))
            ranks.append(rank.astype(np.min_scalar_type(len(values) - 1)))
            self.original_values[name] = values
        self.left_out: tuple[str, ...] = tuple(left_out)
        self.factors = Factors(tuple(items))
        self._ranks = np.stack(ranks, axis=1) if ranks else np.zeros((len(labels), 0), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self._ranks)

    def factor_values(self, indices: np.ndarray) -> np.ndarray:
        """The factor values at indices, as ranks."""
        return self._ranks[indices]

    def describe(self) -> dict[str, object]:
        """Where numbers computed on this dataset come from: as of every dataset, and the files' names and sizes."""
        return super().describe() | {"files": file_records(self._files)}
