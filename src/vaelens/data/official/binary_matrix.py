"""SmallNORB's own binary matrices, a little-endian header, then the values, last index fastest, plain or gzipped.

The header is a magic number for the type, the number of dimensions, and at least three lengths.
"""

import gzip
import math
import struct
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from vaelens.data.official.damage import check_promise, damaged, reading
from vaelens.data.official.stored_array import StoredArray

TYPES = {
    0x1E3D4C55: np.dtype("u1"),
    0x1E3D4C54: np.dtype("<i4"),
    0x1E3D4C56: np.dtype("<i2"),
    0x1E3D4C51: np.dtype("<f4"),
    0x1E3D4C53: np.dtype("<f8"),
}
MOST_DIMENSIONS = 8


class BinaryMatrix(StoredArray):
    """A matrix in a file, not read yet, gzipped if the file's name ends in .gz."""

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields the rows in order, some megabytes at a time, and refuses more bytes than promised."""
        row, step = self.row_bytes, self.rows_at_once()
        with reading(self.path, "a binary matrix"), _open(self.path) as file:
            _header(self.path, file)
            for start in range(0, self.shape[0], step):
                rows = min(step, self.shape[0] - start)
                data = file.read(rows * row)
                if len(data) != rows * row:
                    raise damaged(self.path, f"it ends after {start + len(data) // row:,} of {self.shape[0]:,} rows")
                yield np.frombuffer(data, self.dtype).reshape(rows, *self.shape[1:])
            if file.read(1):
                raise damaged(self.path, f"it goes on after its {self.shape[0]:,} rows")


def open_binary_matrix(path: Path) -> BinaryMatrix:
    """Opens the matrix in a file.

    Raises:
        VaelensError: If the file is no such matrix, or can't hold what its header promises.
    """
    with reading(path, "a binary matrix"), _open(path) as file:
        shape, dtype, header = _header(path, file)
    promised = header + math.prod(shape) * dtype.itemsize
    size = path.stat().st_size
    if path.suffix == ".gz":
        check_promise(path, promised, size)
    elif promised != size:
        raise damaged(path, f"its header promises {promised:,} bytes and it has {size:,}")
    return BinaryMatrix(path, "it", shape, dtype)  # the file is the matrix, and gives it no name


def _open(path: Path) -> BufferedIOBase:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _header(path: Path, file: BufferedIOBase) -> tuple[tuple[int, ...], np.dtype, int]:
    magic, count = struct.unpack("<Ii", file.read(8))
    if magic not in TYPES:
        raise damaged(path, f"it begins with {magic:#010x}, which is the magic number of no binary matrix")
    if not 1 <= count <= MOST_DIMENSIONS:
        raise damaged(path, f"its header names {count} dimensions")
    stored = max(3, count)
    lengths = struct.unpack(f"<{stored}i", file.read(4 * stored))
    if min(lengths[:count]) < 1:
        raise damaged(path, f"its header names the shape {lengths[:count]}")
    return lengths[:count], TYPES[magic], 8 + 4 * stored
