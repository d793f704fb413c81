"""Decoded images as one uint8 array: in memory, or mapped from a file of the cache folder where there are many."""

import contextlib
import math
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vaelens.data.cache import cache_folder
from vaelens.errors import VaelensError

IN_MEMORY = 2**30  # bytes


def store(shape: tuple[int, ...], images: Iterable[np.ndarray], key: str) -> np.ndarray:
    """All images in one array.

    Args:
        shape: (N, C, H, W).
        images: Gives the N images in order; not asked for anything where the file of that key is there.
        key: Names the images and how they were made, fit for a file's name.

    Raises:
        VaelensError: If they are too large for memory and the cache folder can't be written.
    """
    if math.prod(shape) <= IN_MEMORY:
        array = np.empty(shape, dtype=np.uint8)
        _fill(array, images)
        return array
    path = cache_folder() / f"images-{key}.npy"
    found = _opened(path, shape)
    if found is not None:
        return found
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    except OSError as error:
        need = f"{math.prod(shape):,} bytes of decoded images go to disk, and {str(path.parent)!r} can't be written"
        raise VaelensError(f"{need} ({error.strerror}); set the environment variable VAELENS_CACHE") from error
    os.close(handle)
    part = Path(name)
    try:
        array = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
        _fill(array, images)
        array.flush()
        del array
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    found = _opened(path, shape)
    assert found is not None, "the images just written do not open"
    return found


def _fill(array: np.ndarray, images: Iterable[np.ndarray]) -> None:
    for row, image in enumerate(images):
        array[row] = image


def _opened(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The file mapped; None if it is missing or not whole, so that it is made anew."""
    with contextlib.suppress(OSError, ValueError, EOFError):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.shape == shape and array.dtype == np.uint8:
            return array
    return None
