"""Pairs of images that were chosen but not made, so that thousands cost a few numbers each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vaelens.data.pairs import Pairs
from vaelens.shapes import FactorValues, Observations

AT_ONCE = 2048  # choosing them takes ten times the memory of what is chosen
Chosen = tuple[np.ndarray, np.ndarray, np.ndarray]  # first and second (n,), and how far apart they are (n,)


@dataclass(frozen=True, eq=False, repr=False)
class PairDraw:
    """Pairs that were chosen, but whose images were not made yet.

    Attributes:
        first: What the first images are made from: their indices (n,) or factor values (n, K), whole numbers of
            whatever type holds them.
        second: Likewise of the second images.
        distance: How far the two images differ in the other factors, float32 (n,); see `FactorDataset.pairs`.
        factor: The name of the factor that differs; of control pairs, the one that is the same.
        images: Makes images from rows of `first` or `second`, given as int64.
        factors: Makes their factor values, likewise.
        context: Makes the context of images, likewise, where the dataset has one.
    """

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    factor: str
    images: Callable[[np.ndarray], Observations]
    factors: Callable[[np.ndarray], FactorValues]
    context: Callable[[np.ndarray], Any] = lambda _: None

    @property
    def matched(self) -> np.ndarray:
        """Which pairs agree on all other factors, (n,)."""
        return self.distance == 0

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: slice) -> Pairs:
        first, second = (chosen[rows].astype(np.int64) for chosen in (self.first, self.second))
        return Pairs(
            self.images(first),
            self.images(second),
            self.factors(first),
            self.factors(second),
            torch.from_numpy(self.distance[rows]),
            self.factor,
            self.context(first),
        )


def choose_in_parts(count: int, length: int, choose: Callable[[slice], Chosen]) -> Chosen:
    """Chooses pairs a part at a time, in the narrowest types that hold them.

    Args:
        count: How many pairs.
        length: How many images there are to choose from.
        choose: Chooses the pairs of some rows.
    """
    first, second = (np.empty(count, dtype=np.min_scalar_type(length)) for _ in range(2))
    distance = np.empty(count, dtype=np.float32)
    for start in range(0, count, AT_ONCE):
        rows = slice(start, min(start + AT_ONCE, count))
        first[rows], second[rows], distance[rows] = choose(rows)
    return first, second, distance
