"""The images that an analysis may take, how some are drawn from them, and their codes, encoded a few at a time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from vaelens.data import FactorDataset
from vaelens.effects.dataset_rows import rows_at
from vaelens.lens import Lens
from vaelens.metrics.latent_means import latent_means

Labelled = Literal["", "any", "all"]  # whether an image needs no label, one at least, or all
Indices = Int[np.ndarray, " n"]
_AT_ONCE = 512  # images that are encoded


@dataclass(frozen=True, eq=False)
class ImagePool:
    """The images of a dataset that an analysis may take.

    Attributes:
        ds: the dataset.
        rows: the indices of the images that may be taken; None for all.
    """

    ds: FactorDataset
    rows: NDArray[np.int64] | None = None

    def count(self, labelled: Labelled = "") -> int:
        """Counts the images there are to draw from."""
        if self.rows is None and labelled in ("", "all"):
            return self.ds.labelled if labelled else len(self.ds)
        return len(self._candidates(labelled))

    def draw(self, n: int, seed: int, labelled: Labelled = "") -> Indices:
        """Draws the indices of n different images, which with the same seed are the same."""
        if self.rows is None and (labelled in ("", "all") or not self.ds.missing):
            return self.ds.draw(n, seed, bool(labelled))
        candidates = self._candidates(labelled)
        return candidates[np.random.default_rng(seed).choice(len(candidates), n, replace=False)]

    def _candidates(self, labelled: Labelled) -> Indices:
        rows = np.arange(len(self.ds)) if self.rows is None else self.rows
        if not labelled or not self.ds.missing:
            return rows
        has_label = self.ds.factor_values(rows) >= 0
        return rows[has_label.all(axis=1) if labelled == "all" else has_label.any(axis=1)]


def codes_at(lens: Lens, ds: FactorDataset, indices: Indices) -> Float[np.ndarray, "n d"]:
    """Encodes images to one number for each image and latent, with 512 images in memory at a time."""
    parts = np.split(indices, range(_AT_ONCE, len(indices), _AT_ONCE))
    return np.concatenate([latent_means(lens, rows_at(lens, ds, part)).numpy() for part in parts])
