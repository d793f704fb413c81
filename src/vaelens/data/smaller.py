"""Smaller versions of rendered images, each pixel the mean of a block of the full rendering's."""

from typing import Any

import numpy as np
from jaxtyping import Float

from vaelens.arguments import whole_number
from vaelens.errors import VaelensError

FULL = 64
SIDES = (64, 32, 16)


def checked_side(size: Any) -> int:
    """Returns the side of the images that a dataset is asked for.

    Raises:
        VaelensError: If it is none of 64, 32 and 16.
    """
    side = whole_number("size", size, 1)
    if side not in SIDES:
        raise VaelensError(f"size is {size!r}; expected 64, 32 or 16 pixels, which divide the rendering's 64")
    return side


def smaller(images: Float[np.ndarray, "n c h w"], side: int) -> Float[np.ndarray, "n c side side"]:
    """Averages blocks of pixels, so that images of 64 × 64 become `side` × `side`. A side of 64 leaves them unchanged.

    Example:
        >>> smaller(np.arange(2 * 64 * 64.0).reshape(1, 2, 64, 64), 32)[0, :, 0, 0]  # of 0, 1, 64 and 65
        array([  32.5, 4128.5])
    """
    if side == images.shape[-1]:
        return images
    block = images.shape[-1] // side
    return images.reshape(*images.shape[:2], side, block, side, block).mean(axis=(3, 5))
