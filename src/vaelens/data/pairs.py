"""The record of images that differ in one factor."""

from collections.abc import Iterator
from dataclasses import dataclass

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
