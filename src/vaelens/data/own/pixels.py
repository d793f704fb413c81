"""The user's images as an array, checked for shape, type and range, and read as masks where they hold 0 and 1 only."""

from collections.abc import Iterator

import numpy as np

from vaelens.data.warning import warn
from vaelens.errors import VaelensError
from vaelens.observation import Observation

DARK = 16  # of 255; images whose brightest pixel is below are hardly meant so
BLOCK = 2**24  # values looked at at once


def checked_images(images: np.ndarray) -> tuple[np.ndarray, bool]:
    """Checks images (N, C, H, W), and says whether they are masks stored as bytes.

    Bytes that hold 0 and 1 only, as masks are often stored, would be black at 1/255: they are viewed as truth values, 1
    as white. Images that vary, but below 16 of 255, are kept with a `VaelensWarning`.

    Raises:
        VaelensError: If they have another shape, type or range.
    """
    if images.ndim == 3:
        raise VaelensError(
            f"images must have shape (N, C, H, W), got {images.shape}; add a channel: images[:, None]; of series "
            f"(N, channels, time) give observation=vl.Observation.series({images.shape[1:]})"
        )
    if images.ndim != 4:
        raise VaelensError(f"images must have shape (N, C, H, W), got {images.shape}")
    if images.size == 0:
        raise VaelensError(f"images must not be empty, got shape {images.shape}")
    if images.shape[1] > 4 >= images.shape[3]:
        message = f"images must have shape (N, C, H, W), got {images.shape}, which looks like (N, H, W, C)"
        raise VaelensError(f"{message}; move the channels: np.moveaxis(images, -1, 1)")
    if images.dtype == np.bool_:
        return images, False
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        message = f"images must be uint8 or floating point in [0, 1], got {images.dtype}"
        raise VaelensError(f"{message}; values 0..255 can be given as images.astype(np.uint8)")
    if images.dtype == np.uint8:
        lowest, highest = _span(images, enough=DARK)
        if highest == 1:
            return images.view(np.bool_), True
    else:
        lowest, highest = _span(images)
        Observation.image(images.shape[1:]).check_range(lowest, highest)
        lowest, highest = 255 * lowest, 255 * highest
    if lowest < highest < DARK:
        warn(
            f"images hold values from {lowest:g} to {highest:g} of 255, so that they are nearly black; scale them if "
            f"{highest:g} is meant to be white"
        )
    return images, False


def _span(images: np.ndarray, enough: int | None = None) -> tuple[float, float]:
    """Finds the lowest and highest value, looking no further once one is as high as enough, or at a NaN."""
    lowest, highest = np.inf, -np.inf
    for block in _blocks(images):
        low, high = float(block.min()), float(block.max())
        if np.isnan(low):
            return low, high
        lowest, highest = min(lowest, low), max(highest, high)
        if enough is not None and highest >= enough:
            break
    return lowest, highest


def _blocks(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yields all values, some millions at a time, and those that are only repeated views once."""
    distinct = images[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in images.strides)]
    step = max(1, BLOCK // max(1, distinct[0].size))
    for start in range(0, len(distinct), step):
        yield distinct[start : start + step]
