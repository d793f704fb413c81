"""The record of images that differ in one factor, and a draw of such pairs, from which any part of them is had."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from vaelens.shapes import FactorValues, Images


@dataclass(frozen=True, eq=False, repr=False)
class Pairs:
    """Pairs of images that differ in one factor; unpacks to `x, x2, f, f2`.

    Attributes:
        x: The first images, (n, C, H, W) in [0, 1].
        x2: The second images, likewise.
        f: The first images' factor values, int64 (n, K).
        f2: The second images' factor values, likewise.
        matched: Which pairs agree on all other factors, (n,). All do where the data is a full factor grid.
        factor: The name of the factor that differs.
    """

    x: Images
    x2: Images
    f: FactorValues
    f2: FactorValues
    matched: Bool[Tensor, " n"]
    factor: str

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.x, self.x2, self.f, self.f2))

    def __repr__(self) -> str:
        return f"Pairs(factor={self.factor!r}, n={len(self.x)}, matched={int(self.matched.sum())})"


@dataclass(frozen=True, eq=False, repr=False)
class PairDraw:
    """Pairs that were drawn, but whose images were not made yet: thousands cost a few numbers each.

    Attributes:
        first: what the first images are made from: their indices (n,) or factor values (n, K), whole numbers of
            whatever type holds them.
        second: likewise of the second images.
        matched: which pairs agree on all other factors, (n,).
        factor: the name of the factor that differs.
        images: makes images from rows of `first` or `second`, given as int64.
        factors: their factor values, likewise.
    """

    first: np.ndarray
    second: np.ndarray
    matched: np.ndarray
    factor: str
    images: Callable[[np.ndarray], Images]
    factors: Callable[[np.ndarray], FactorValues]

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: slice) -> Pairs:
        first, second = (drawn[rows].astype(np.int64) for drawn in (self.first, self.second))
        return Pairs(
            self.images(first),
            self.images(second),
            self.factors(first),
            self.factors(second),
            torch.from_numpy(self.matched[rows]),
            self.factor,
        )
