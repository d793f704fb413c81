"""Datasets that hold every combination of their factors' values once, so that pairs are exact."""

import math
from abc import abstractmethod

import numpy as np

from vaelens.data.dataset import FactorDataset
from vaelens.data.labels.grid import with_another_value


class GridDataset(FactorDataset):
    """A full factor grid, the last factor running fastest, whose images are rendered from their factor values."""

    @abstractmethod
    def render(self, factors: np.ndarray) -> np.ndarray:
        """Renders factor values int64 (n, K) as images (n, C, H, W), uint8, bool, or floats in [0, 1]."""

    def __len__(self) -> int:
        return math.prod(self.factors.sizes)

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Renders the images at indices."""
        return self.render(self.factor_values(indices))

    def factor_values(self, indices: np.ndarray) -> np.ndarray:
        """Computes the factor values at indices."""
        return np.stack(np.unravel_index(indices, self.factors.sizes), axis=1)

    def locate(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Computes the one index of each combination of factor values."""
        return np.asarray(np.ravel_multi_index(tuple(values.T), self.factors.sizes))

    def draw_pairs(self, factor: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Chooses exact pairs, whose second image has another value of the factor and no other change."""
        first = rng.integers(len(self), size=n)
        values = with_another_value(self.factor_values(first), factor, self.factors.sizes[factor], rng)
        return first, self.locate(values, rng), np.zeros(n)

    def draw_controls(
        self, first: np.ndarray, factor: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs every image with itself, the only one of the grid with the same values."""
        return first, first, np.zeros(len(first))
