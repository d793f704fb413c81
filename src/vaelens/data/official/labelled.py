"""Datasets read from official files that carry labels, in any number and order of rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vaelens.data.files.places import file_records
from vaelens.data.labels.column import LabelColumn
from vaelens.data.labels.ranks import RankedDataset
from vaelens.data.official.damage import damaged
from vaelens.observation import Observation


class LabelledImages(RankedDataset):
    """Images of official files with a label for every factor, which a subclass looks up.

    Factors are ranked as in every `RankedDataset`. Where every combination of labels occurs once, pairs are exact.

    Args:
        files: The files read, for provenance; errors in labels name the first.
        labels: Numbers (N, K).
        factors: Each column's name and kind.
        image_shape: Channels, height and width.

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
        self.observation = Observation.image(image_shape)
        pairs = zip(factors, labels.T, strict=True)
        super().__init__(len(labels), (LabelColumn.ranked(name, kind, column) for (name, kind), column in pairs))

    def describe(self) -> dict[str, object]:
        """Describes the dataset as every dataset does, and its files' names and sizes."""
        return super().describe() | {"files": file_records(self._files)}
