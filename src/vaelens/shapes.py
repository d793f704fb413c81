"""Shapes as types, defined once, read by people and executed by jaxtyping and beartype in the tests.

Public functions that refuse a user's wrong array with a `VaelensError` annotate it loosely (`Tensor`,
`ArrayLike`); everything behind them uses these.
"""

from jaxtyping import Float, Int
from torch import Tensor

Images = Float[Tensor, "n c h w"]  # in [0, 1]
Observations = Float[Tensor, "n *shape"]  # images, vectors, series, volumes
Codes = Float[Tensor, "n d *positions"]
FactorValues = Int[Tensor, "n k"]  # indices into each factor's values

__all__ = ["Codes", "FactorValues", "Images", "Observations"]
