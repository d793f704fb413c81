"""Arrays from outside as dense tensors, and the least and largest of their values."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.errors import VaelensError

_BLOCK = 2**20  # values looked at at once


def dense_tensor(x: Any, many: str, expected: str, span: str) -> Tensor:
    """Returns a tensor or array as a dense tensor with values of its own, without a copy where there need be none.

    Args:
        x: a torch tensor or NumPy array.
        many: what its rows are called.
        expected: the shape, in words.
        span: the values, in words.

    Raises:
        VaelensError: it is neither; sparse, or without values; of what is no number.
    """
    if not isinstance(x, Tensor | np.ndarray):
        raise VaelensError(f"{many} are a {type(x).__name__}; give a tensor or array of shape {expected}")
    if isinstance(x, np.ndarray) and x.dtype.kind not in "biuf":
        raise VaelensError(f"{many} have type {x.dtype}, expected floats in {span}")
    values = x.detach() if isinstance(x, Tensor) else _as_tensor(x)
    if values.layout != torch.strided or values.is_meta:
        what = "on the meta device" if values.is_meta else f"a {values.layout} tensor"
        raise VaelensError(f"{many} are {what}; give a dense tensor or array of shape {expected}")
    return values


def extremes(values: Tensor) -> tuple[float, float]:
    """Finds the least and the largest value, which are not finite where any value isn't."""
    blocks = [torch.aminmax(block) for block in values.split(max(1, _BLOCK // values[0].numel()))]
    lows, highs = (torch.stack(ends) for ends in zip(*blocks, strict=True))
    return float(lows.min()), float(highs.max())


def _as_tensor(array: np.ndarray) -> Tensor:
    # Torch takes neither a flipped nor a byte-swapped array; such a one is copied. A read-only one (a mapped file,
    # say) it takes with a warning, and needs none here: whatever runs is given copies.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable", category=UserWarning)
        return torch.as_tensor(np.require(array, array.dtype.newbyteorder("="), ["C"]))
