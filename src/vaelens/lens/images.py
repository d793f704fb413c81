"""The check that every batch of images passes before a model sees it."""

import math
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.errors import VaelensError

_BLOCK = 2**20  # values checked at once
_TOLERANCE = 1e-4  # interpolation and float conversion overshoot [0, 1] by this much, a wrong scale by far more


def checked_images(x: Any, shape: tuple[int, ...] | None = None) -> Tensor:
    """Images as a float tensor (n, C, H, W) in [0, 1], or a sentence that says what is wrong with them.

    Args:
        x: a torch tensor or NumPy array.
        shape: (C, H, W) that each image must have; None accepts any.

    Raises:
        VaelensError: not an array, not four axes, no image, wrong image shape, integers, NaN, values outside
            [0, 1].
    """
    if not isinstance(x, Tensor | np.ndarray):
        raise VaelensError(f"images are a {type(x).__name__}; give a tensor or array of shape (n, C, H, W) in [0, 1]")
    images = x.detach() if isinstance(x, Tensor) else _as_tensor(x)
    given = tuple(images.shape)
    if images.ndim != 4:
        hint = "; add a batch axis with x[None]" if images.ndim == 3 else ""
        raise VaelensError(f"images have shape {given}, expected (n, C, H, W){hint}")
    if shape is not None and given[1:] != shape:
        turned = (given[3], *given[1:3]) == shape
        hint = "; move the channel axis with x.permute(0, 3, 1, 2)" if turned else ""
        raise VaelensError(f"images have shape {given[1:]} each, this model takes {shape}{hint}")
    if given[0] == 0:
        raise VaelensError("no images given (n = 0); give at least one")
    if not images.is_floating_point():
        raise VaelensError(f"images have type {images.dtype}, expected floats in [0, 1]; for 0..255 use x / 255")
    low, high = _range(images)
    if not math.isfinite(low + high):
        raise VaelensError("images contain NaN or infinite values; expected floats in [0, 1]")
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        hint = "; for 0..255 use x / 255" if low >= 0 and high > 2 else ""
        hint = hint or ("; for -1..1 use (x + 1) / 2" if low >= -1 - _TOLERANCE and high <= 1 + _TOLERANCE else "")
        raise VaelensError(f"images range from {low:.4g} to {high:.4g}, expected [0, 1]{hint}")
    return images


def check_channels(images: Tensor, wanted: int, model: str) -> None:
    """Refuse images, (n, C, H, W), of another number of channels than a model takes.

    Raises:
        VaelensError: see above.
    """
    given = images.shape[1]
    if given != wanted:
        way = f"grey ones go in as x.expand(-1, {wanted}, -1, -1)" if given == 1 else f"give images of {wanted}"
        raise VaelensError(f"images have {given} channel{'s' * (given > 1)}, this {model} takes {wanted}; {way}")


def _range(images: Tensor) -> tuple[float, float]:
    """The least and the largest value; not finite where one isn't."""
    blocks = [torch.aminmax(block) for block in images.split(max(1, _BLOCK // images[0].numel()))]
    lows, highs = (torch.stack(ends) for ends in zip(*blocks, strict=True))
    return float(lows.min()), float(highs.max())


def _as_tensor(array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "biuf":
        raise VaelensError(f"images have type {array.dtype}, expected floats in [0, 1]")
    # Torch takes neither a flipped nor a byte-swapped array; such a one is copied. A read-only one (a mapped file,
    # say) it takes with a warning, and needs none here: whatever runs is given copies.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable", category=UserWarning)
        return torch.as_tensor(np.require(array, array.dtype.newbyteorder("="), ["C"]))
