"""A dataset whose only label means nothing, so that images that differ in it are two images chosen at random."""

from typing import Any

import numpy as np
from torch import Tensor

from vaelens.data import FactorDataset
from vaelens.data.factors import Factor, Factors
from vaelens.lens import Batch, Lens, as_batch


class RandomLabel(FactorDataset):
    """Images with one label of two values, shuffled over them.

    Args:
        x: the observations, in their context where the lens takes one.
        lens: the lens that they are for.
        seed: of the shuffle.
    """

    name = "images with a shuffled label"

    def __init__(self, x: Tensor | Batch, lens: Lens, seed: int) -> None:
        batch, form = as_batch(x), lens.engine.parts.form
        self._x = batch.values.cpu().numpy()
        self._context = None if form is None or batch.context is None else form.unpacked(batch.context.cpu())
        self._labels = np.random.default_rng(seed).permutation(np.arange(len(x)) % 2)[:, None]
        self.observation = lens.observation
        self.factors = Factors((Factor("shuffled label", 2, "categorical"),))

    def __len__(self) -> int:
        return len(self._x)

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the images at indices."""
        return self._x[indices]

    def context_at(self, indices: np.ndarray) -> Any:
        """Looks up what encoder and decoder are given besides."""
        if isinstance(self._context, dict):
            return {name: rows[indices] for name, rows in self._context.items()}
        return None if self._context is None else self._context[indices]

    def factor_values(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the labels at indices."""
        return self._labels[indices]
