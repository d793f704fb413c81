"""The check that every batch of images passes before a model sees it."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.errors import VaelensError

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
    if not torch.isfinite(images).all():
        raise VaelensError("images contain NaN or infinite values; expected floats in [0, 1]")
    low, high = float(images.min()), float(images.max())
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        hint = "; for 0..255 use x / 255" if low >= 0 and high > 2 else ""
        hint = hint or ("; for -1..1 use (x + 1) / 2" if low >= -1 - _TOLERANCE and high <= 1 + _TOLERANCE else "")
        raise VaelensError(f"images range from {low:.4g} to {high:.4g}, expected [0, 1]{hint}")
    return images


def _as_tensor(array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "biuf":
        raise VaelensError(f"images have type {array.dtype}, expected floats in [0, 1]")
    # Torch takes neither a flipped nor a read-only nor a byte-swapped array; such a one is copied.
    return torch.as_tensor(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))
