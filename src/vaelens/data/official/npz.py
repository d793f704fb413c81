"""Arrays inside an .npz file, without pickle, whose rows are streamed, or mapped where they are not compressed.

Headers are compared with the file's real size before anything is allocated. Nothing is read but the array asked for.
"""

import math
import struct
import zipfile
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import IO

import numpy as np

from vaelens.data.official.damage import check_promise, damaged, reading
from vaelens.data.official.stored_array import StoredArray

LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature … length of the name, length of the extra field


class NpzArray(StoredArray):
    """An array in an .npz file, not read yet."""

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields the rows in order, some megabytes at a time."""
        row, step = self.row_bytes, self.rows_at_once()
        with (
            reading(self.path, "an npz file"),
            zipfile.ZipFile(self.path) as archive,
            archive.open(f"{self.name}.npy") as member,
        ):
            _header(member)
            for start in range(0, self.shape[0], step):
                rows = min(step, self.shape[0] - start)
                block = np.frombuffer(_exactly(member, rows * row), dtype=self.dtype)
                yield block.reshape(rows, *self.shape[1:])

    def mapped(self) -> np.ndarray | None:
        """Maps the array where it lies, at no cost, or returns None if it is compressed."""
        with reading(self.path, "an npz file"), zipfile.ZipFile(self.path) as archive:
            info = archive.getinfo(f"{self.name}.npy")
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                return None
            with self.path.open("rb") as file:
                file.seek(info.header_offset)
                signature, name, extra = LOCAL_HEADER.unpack(_exactly(file, LOCAL_HEADER.size))
                if signature != b"PK\x03\x04":
                    raise damaged(self.path, f"{self.name} is not where its table of contents says")
                file.seek(name + extra, 1)
                if _header(file)[:2] != (self.shape, self.dtype):
                    raise damaged(self.path, f"{self.name} is not where its table of contents says")
                start = file.tell()
                if start + math.prod(self.shape) * self.dtype.itemsize > self.path.stat().st_size:
                    raise damaged(self.path, f"it ends within {self.name}")
            return np.asarray(np.memmap(self.path, self.dtype, "r", start, self.shape))


def open_npz(path: Path, *names: str) -> list[NpzArray]:
    """Opens the named arrays of an .npz file.

    Raises:
        VaelensError: If the file is damaged, lacks one of them, or one can't be read without pickle.
    """
    with reading(path, "an npz file"), zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist()}
        arrays: list[NpzArray] = []
        for name in names:
            info = members.get(f"{name}.npy")
            if info is None:
                names_there = ", ".join(sorted(file.removesuffix(".npy") for file in members)[:8]) or "nothing"
                raise damaged(path, f"it has no array {name!r}, but {names_there}")
            check_promise(path, info.file_size, min(info.compress_size, path.stat().st_size))
            with archive.open(info) as member:
                shape, dtype, header = _header(member)
            if dtype.hasobject:
                raise damaged(path, f"{name} holds Python objects, which are never opened")
            if min(shape, default=0) < 1 or math.prod(shape) * dtype.itemsize + header != info.file_size:
                raise damaged(path, f"{name} has shape {shape} of {dtype}, which is not the size of its data")
            arrays.append(NpzArray(path, name, shape, dtype))
    return arrays


def _header(member: IO[bytes] | BufferedIOBase) -> tuple[tuple[int, ...], np.dtype, int]:
    """Reads the shape and type in the header that opens an .npy file, and the header's length."""
    version = np.lib.format.read_magic(member)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, fortran, dtype = read(member)
    if fortran:
        raise ValueError("its rows do not lie one after another")
    return shape, dtype, member.tell()


def _exactly(member: IO[bytes] | BufferedIOBase, size: int) -> bytes:
    data = member.read(size)
    if len(data) != size:
        raise EOFError(f"it ends {size - len(data):,} bytes early")
    return data
