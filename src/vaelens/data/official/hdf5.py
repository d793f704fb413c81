"""Arrays inside an HDF5 file, read by blocks of whole chunks and closed again, so that no handle outlives a call.

A promise that the file's size can't hold is refused before memory is taken; so are arrays that lie in other files.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vaelens.data.official.damage import check_promise, damaged, reading
from vaelens.data.official.stored_array import StoredArray

PLAIN_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF}
CHUNK_LIMIT = 2**27  # bytes that one chunk may take unpacked


@dataclass(frozen=True)
class Hdf5Array(StoredArray):
    """An array in an HDF5 file, not read yet.

    Attributes:
        chunk_rows: Rows that are packed together.
    """

    chunk_rows: int

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields the rows in order, some megabytes at a time."""
        step = self.rows_at_once(self.chunk_rows)
        with reading(self.path, "an HDF5 file"), h5py.File(self.path, "r", locking=False) as file:
            stored: Any = file[self.name]
            for start in range(0, self.shape[0], step):
                yield np.asarray(stored[start : start + step])


def open_hdf5(path: Path, *names: str) -> list[Hdf5Array]:
    """Opens the named arrays of an HDF5 file.

    Raises:
        VaelensError: If the file is damaged or lacks one of them, or one is stored elsewhere.
    """
    with reading(path, "an HDF5 file"), h5py.File(path, "r", locking=False) as file:
        return [_checked(path, file, name) for name in names]


def _checked(path: Path, file: h5py.File, name: str) -> Hdf5Array:
    steps = name.split("/")
    for depth in range(1, len(steps) + 1):
        place = "/".join(steps[:depth])
        if not isinstance(file.get(place, getlink=True), h5py.HardLink):
            raise damaged(path, f"it has no array {name!r}, but {', '.join(sorted(file)[:8]) or 'nothing'}")
    array = file[name]
    if not isinstance(array, h5py.Dataset):
        raise damaged(path, f"{name} is no array")
    if array.is_virtual or array.external:
        raise damaged(path, f"{name} lies in another file")
    if not array.shape or min(array.shape) < 1:
        raise damaged(path, f"{name} has shape {array.shape}")
    if array.dtype.hasobject:
        raise damaged(path, f"{name} holds values of {array.dtype}")
    packing = array.id.get_create_plist()
    filters = {packing.get_filter(k)[0] for k in range(packing.get_nfilters())}
    if not filters <= PLAIN_FILTERS:
        raise damaged(path, f"{name} is packed by a filter that the official file does not use")
    packed = min(array.id.get_storage_size(), path.stat().st_size)
    check_promise(path, math.prod(array.shape) * array.dtype.itemsize, packed)
    chunk = math.prod(array.chunks or (1,)) * array.dtype.itemsize
    if chunk > CHUNK_LIMIT:
        raise damaged(path, f"{name} is packed in pieces of {chunk:,} bytes")
    return Hdf5Array(path, name, array.shape, array.dtype, array.chunks[0] if array.chunks else 1)
