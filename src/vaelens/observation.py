"""The observation: what goes into a model and comes out, as one record of shape, axes, range and features.

Images are its first kind. Whoever checks what a user hands over, or labels an axis of a result, asks this record.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.errors import VaelensError

_BLOCK = 2**20  # values checked at once
_TOLERANCE = 1e-4  # interpolation and float conversion overshoot a range by this much, a wrong scale by far more


@dataclass(frozen=True)
class Observation:
    """What one observation is.

    Attributes:
        shape: of one observation, such as (C, H, W).
        axes: the name of each axis.
        low: the smallest value, or None where there is no range.
        high: the largest value, or None.
        noun: what several of them are called.
        features: the name of each feature on the first axis, where they have names.
        groups: named groups of features, by their indices.

    Example:
        >>> Observation.image((1, 8, 8)).batch
        '(n, 1, 8, 8)'
    """

    shape: tuple[int, ...]
    axes: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    noun: str = "observations"
    features: tuple[str, ...] | None = None
    groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def image(cls, shape: Sequence[int]) -> "Observation":
        """An image (C, H, W) with values in [0, 1]."""
        channels, height, width = shape
        return cls((channels, height, width), ("channel", "height", "width"), 0.0, 1.0, "images")

    @property
    def size(self) -> int:
        """How many values one observation has."""
        return math.prod(self.shape)

    @property
    def span(self) -> str:
        """The range in words, such as "[0, 1]"."""
        return "any values" if self.low is None or self.high is None else f"[{self.low:g}, {self.high:g}]"

    @property
    def batch(self) -> str:
        """The shape of several, such as "(n, 1, 8, 8)"."""
        return f"({', '.join(['n', *map(str, self.shape)])})"

    def checked(self, x: Any) -> Tensor:
        """Return observations as a float tensor (n, *shape), or say what is wrong with them.

        Args:
            x: a torch tensor or NumPy array.

        Raises:
            VaelensError: as `checked_images`.
        """
        return checked_images(x, self.shape)

    def check_range(self, low: float, high: float, tolerance: float = 0.0) -> None:
        """Refuse values from `low` to `high` that are no numbers, or reach outside the range.

        Raises:
            VaelensError: they are, with how they may be scaled.
        """
        if not math.isfinite(low + high):
            raise VaelensError(f"{self.noun} contain NaN or infinite values; expected floats in {self.span}")
        if self.low is None or self.high is None:
            return
        if low < self.low - tolerance or high > self.high + tolerance:
            hint = "; for 0..255 use x / 255" if low >= 0 and high > 2 else ""
            hint = hint or ("; for -1..1 use (x + 1) / 2" if low >= -1 - tolerance and high <= 1 + tolerance else "")
            raise VaelensError(f"{self.noun} range from {low:.4g} to {high:.4g}, expected {self.span}{hint}")


def checked_images(x: Any, shape: tuple[int, ...] | None = None) -> Tensor:
    """Return images as a float tensor (n, C, H, W) in [0, 1], or say what is wrong with them.

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
    size = tuple(images.shape)
    if images.layout != torch.strided or images.is_meta:
        kind = "on the meta device" if images.is_meta else f"a {images.layout} tensor"
        raise VaelensError(f"images are {kind}; give a dense tensor or array of shape (n, C, H, W) in [0, 1]")
    if images.ndim != 4:
        hint = "; add a batch axis with x[None]" if images.ndim == 3 else ""
        raise VaelensError(f"images have shape {size}, expected (n, C, H, W){hint}")
    if shape is not None and size[1:] != shape:
        turned = (size[3], *size[1:3]) == shape
        hint = "; move the channel axis with x.permute(0, 3, 1, 2)" if turned else ""
        raise VaelensError(f"images have shape {size[1:]} each, this model takes {shape}{hint}")
    if size[0] == 0:
        raise VaelensError("no images given (n = 0); give at least one")
    if not images.is_floating_point():
        raise VaelensError(f"images have type {images.dtype}, expected floats in [0, 1]; for 0..255 use x / 255")
    Observation.image(size[1:]).check_range(*_range(images), _TOLERANCE)
    return images


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
