"""The record of pairs of images, which differ in one factor or, as controls, have the same value of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from vaelens.shapes import FactorValues, Observations


@dataclass(frozen=True, eq=False, repr=False)
class Pairs:
    """Pairs of images that differ in one factor, which unpack to `x, x2, f, f2`.

    Attributes:
        x: The first images, (n, C, H, W) in [0, 1].
        x2: The second images, likewise.
        f: The first images' factor values, int64 (n, K).
        f2: The second images' factor values, likewise.
        distance: How far the two images differ in the other factors, float32 (n,): the sum over them of a difference
            from 0 to 1 each (see `FactorDataset.pairs`). All are 0 where the data is a full factor grid.
        factor: The name of the factor that differs; of control pairs, the one that is the same.
        context: What encoder and decoder are given beside the first images, where the dataset has it.
    """

    x: Observations
    x2: Observations
    f: FactorValues
    f2: FactorValues
    distance: Float[Tensor, " n"]
    factor: str
    context: Any = None

    @property
    def matched(self) -> Bool[Tensor, " n"]:
        """Which pairs agree on all other factors, (n,)."""
        return self.distance == 0

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.x, self.x2, self.f, self.f2))

    def __repr__(self) -> str:
        return f"Pairs(factor={self.factor!r}, n={len(self.x)}, matched={int(self.matched.sum())})"
