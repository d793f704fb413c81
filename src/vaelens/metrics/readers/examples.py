"""Labelled images for training and for the test, where the seed decides which are held out."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vaelens.data import FactorDataset
from vaelens.errors import VaelensError
from vaelens.shapes import FactorValues, Images

_HELD_OUT = 2000  # at most; the standard error of an accuracy is then at most 1.1 %


@dataclass(frozen=True, eq=False)
class Examples:
    """The images of a dataset, apart into what is trained on and what is held out.

    Attributes:
        ds: the dataset.
        columns: the columns of its factor values that are read.
        training: the indices of images to train on.
        held_out: those kept apart: a fifth of all, and 2,000 at most.
    """

    ds: FactorDataset
    columns: tuple[int, ...]
    training: NDArray[np.int64]
    held_out: NDArray[np.int64]

    def labels(self, indices: NDArray[np.int64]) -> FactorValues:
        """Returns the labels (n, columns) of images, −1 where missing."""
        values = self.ds.factor_values(indices)[:, list(self.columns)]
        return torch.from_numpy(np.asarray(values, dtype=np.int64))

    def held_out_chunks(self, rows: int) -> Iterator[tuple[Images, FactorValues]]:
        """Yields the held-out images and their labels, a few at a time."""
        for start in range(0, len(self.held_out), rows):
            chunk = self.held_out[start : start + rows]
            yield self.ds.images_at(chunk), self.labels(chunk)


def examples(ds: FactorDataset, columns: tuple[int, ...], seed: int) -> Examples:
    """Keeps some images of a dataset apart.

    Raises:
        VaelensError: a single image.
    """
    if len(ds) < 2:
        raise VaelensError(
            f"{ds.name} has {len(ds)} image; a factor reader needs some to train on and some to be tested"
        )
    order = np.random.default_rng(seed).permutation(len(ds))
    held_out = min(_HELD_OUT, max(1, len(ds) // 5))
    return Examples(ds, columns, order[held_out:], order[:held_out])


@dataclass(frozen=True, eq=False)
class Batches:
    """The batches of a training run, of which batch t depends on the seed and on t alone.

    Attributes:
        source: where images and labels come from.
        size: images a batch, drawn with replacement.
        seed: draws them.
        steps: how many batches there are.
    """

    source: Examples
    size: int
    seed: int
    steps: int

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Images, FactorValues]]:
        for step in range(self.steps):
            drawn = np.random.default_rng((self.seed, step)).integers(len(self.source.training), size=self.size)
            indices = self.source.training[drawn]
            yield self.source.ds.images_at(indices), self.source.labels(indices)
