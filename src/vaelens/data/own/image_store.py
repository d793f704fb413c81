"""Decoded pictures as one uint8 array, in memory, or where there are many mapped from the cache folder."""

import math
from collections.abc import Callable, Iterable

import numpy as np
from rich.console import Console
from rich.progress import track

from vaelens.cache import cache_folder
from vaelens.data.files.kept_array import kept_array

IN_MEMORY = 2**30  # bytes
WORTH_SHOWING = 500  # pictures; fewer are decoded before a progress bar could be read


def store(
    shape: tuple[int, ...], pictures: Iterable[np.ndarray], key: str, version: Callable[[], str], what: str
) -> np.ndarray:
    """Puts all pictures into one array.

    Args:
        shape: (N, C, H, W).
        pictures: The N pictures in order; none is asked for where they are kept.
        key: Names the pictures and how they are decoded, fit for a file's name.
        version: Makes 16 hexadecimal digits that change whenever a picture does; called where they are kept.
        what: What errors call them.

    Raises:
        VaelensError: If they are too large for memory and the cache folder can't be written or has no room.
    """
    if math.prod(shape) > IN_MEMORY:
        folder = cache_folder() / "pictures"
        return kept_array([folder], key, version(), shape, lambda: (picture[None] for picture in pictures), what)
    array = np.empty(shape, dtype=np.uint8)
    shown = track(
        pictures,
        "decoding pictures",
        total=len(array),
        console=Console(stderr=True),
        transient=True,
        disable=len(array) < WORTH_SHOWING,
    )
    for row, picture in enumerate(shown):
        array[row] = picture
    return array
