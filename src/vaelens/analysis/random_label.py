"""A label that means nothing, as a dataset: images that differ in it are two images chosen at random."""

import numpy as np
from torch import Tensor

from vaelens.data import FactorDataset
from vaelens.data.factors import Factor, Factors
from vaelens.observation import Observation


class RandomLabel(FactorDataset):
    """Images with one label of two values, shuffled over them.

    Args:
        x: the images, (n, C, H, W) in [0, 1].
        observation: what they are.
        seed: of the shuffle.
    """

    name = "images with a shuffled label"

    def __init__(self, x: Tensor, observation: Observation, seed: int) -> None:
        self._x = x.cpu().numpy()
        self._labels = np.random.default_rng(seed).permutation(np.arange(len(x)) % 2)[:, None]
        self.observation = observation
        self.factors = Factors((Factor("shuffled label", 2, "categorical"),))

    def __len__(self) -> int:
        return len(self._x)

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the images at indices."""
        return self._x[indices]

    def factor_values(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the labels at indices."""
        return self._labels[indices]
