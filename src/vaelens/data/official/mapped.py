"""Images of official files, mapped into memory after they were converted once from a slow format.

They are kept (see `kept_array`) in the folder `converted` beside the official file or, where that can't be written, in
the cache folder. When a source changes, its size or its time of change makes another version.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from vaelens.cache import cache_folder
from vaelens.data.files.kept_array import kept_array

LAYOUT = 1  # of the converted files; a change of what is in them makes the old ones stale


def mapped(
    sources: Iterable[Path],
    key: str,
    shape: tuple[int, ...],
    blocks: Callable[[], Iterator[np.ndarray]],
    stamp: str = "",
) -> np.ndarray:
    """Maps the converted bytes of some files, after converting them if they have not been.

    Args:
        sources: The files converted; the first one's folder is where the folder `converted` goes.
        key: The dataset and the options that change the bytes, fit for a file's name.
        shape: The shape of the result.
        blocks: Gives the result's rows in order, uint8, as arrays of up to some megabytes.
        stamp: Whatever else the bytes depend on.

    Returns:
        uint8 of that shape, read-only.

    Raises:
        VaelensError: If no folder can be written or has room, or a block can't be read.
    """
    files = list(sources)
    beside = files[0].parent
    place = hashlib.sha256(str(beside.resolve()).encode()).hexdigest()[:16]
    folders = (beside / "converted", cache_folder() / "converted" / place)
    return kept_array(folders, key, fingerprint(files, shape, stamp), shape, blocks, files[0].name)


def fingerprint(files: Iterable[Path], shape: tuple[int, ...], stamp: str) -> str:
    """Hashes the files' names, sizes and times of change, the shape and the stamp into 16 hexadecimal digits."""
    digest = hashlib.sha256(repr((LAYOUT, shape, stamp)).encode())
    for file in files:
        status = file.stat()
        digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def channels_first(images: np.ndarray) -> np.ndarray:
    """Views images (N, H, W, C) as (N, C, H, W)."""
    return np.moveaxis(images, -1, 1)
