"""Images that lie on disk and are mapped into memory: converted once from a slow format, then as fast as an array.

The conversion goes block by block, so it takes little memory, into the folder `converted` beside the official file or,
where that can't be written, into the user's cache folder. The file gets its name when it is whole: a killed
conversion leaves a part that the next one overwrites. When a source changes, its size or its time of change names
another file, and the old one is removed.
"""

import contextlib
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import filelock
import numpy as np

from vaelens.data.cache import cache_folder
from vaelens.data.progress import byte_bar
from vaelens.errors import VaelensError

LAYOUT = 1  # of the converted files; a change of what is in them makes the old ones stale
SPARE = 2**26  # bytes of disk to leave free
BLOCK = 2**25  # bytes of images in memory at a time


def mapped(
    sources: Iterable[Path],
    key: str,
    shape: tuple[int, ...],
    blocks: Callable[[], Iterator[np.ndarray]],
    stamp: str = "",
) -> np.ndarray:
    """The converted bytes of some files, mapped; they are converted now if they have not been.

    Args:
        sources: The files converted; the first one's folder is where the folder `converted` goes.
        key: The dataset and the options that change the bytes, fit for a file's name.
        shape: The shape of the result.
        blocks: Gives the result's rows in order, uint8, as arrays of a few megabytes.
        stamp: Whatever else the bytes depend on.

    Returns:
        uint8 of that shape, read-only.

    Raises:
        VaelensError: If no folder can be written or has room, or a block can't be had.
    """
    files = list(sources)
    name = f"{key}-{fingerprint(files, shape, stamp)}.npy"
    folders = (files[0].parent / "converted", _cache_folder(files[0].parent))
    for folder in folders:
        found = _opened(folder / name, shape)
        if found is not None:
            return found
    size, refusals = math.prod(shape), []
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(folder / f"{key}.lock"):  # another process may be at it: wait, and find the result
                found = _opened(folder / name, shape)
                if found is None:
                    _check_room(folder, size)
                    _convert(folder / name, key, shape, blocks)
                    found = _opened(folder / name, shape)
        except OSError as error:
            refusals.append(f"{str(folder)!r}: {error.strerror or error}")
            continue
        assert found is not None, "the conversion just written does not open"
        return found
    raise VaelensError(
        f"{files[0].name} must be converted once, which takes {size + SPARE:,} bytes of disk, and no folder will do "
        f"({'; '.join(refusals)}); make room or name another folder in the environment variable VAELENS_CACHE"
    )


def fingerprint(files: Iterable[Path], shape: tuple[int, ...], stamp: str) -> str:
    """16 hexadecimal digits that change with the files' names, sizes and times of change, the shape and the stamp."""
    digest = hashlib.sha256(repr((LAYOUT, shape, stamp)).encode())
    for file in files:
        status = file.stat()
        digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def rows_at_once(row_bytes: int, multiple: int = 1) -> int:
    """How many rows make a block, a multiple of so many where that many fit."""
    rows = max(1, BLOCK // row_bytes)
    return max(multiple, rows // multiple * multiple) if multiple * row_bytes <= 4 * BLOCK else rows


def channels_first(images: np.ndarray) -> np.ndarray:
    """A view of images (N, H, W, C) as (N, C, H, W)."""
    return np.moveaxis(images, -1, 1)


def _cache_folder(sources: Path) -> Path:
    place = hashlib.sha256(str(sources.resolve()).encode()).hexdigest()[:16]
    return cache_folder() / "converted" / place


def _opened(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The file mapped; None if it is missing or not whole, so that it is made anew."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception:  # of damaged bytes NumPy raises almost anything
        return None
    whole = array.shape == shape and array.dtype == np.uint8 and array.flags.c_contiguous
    return np.asarray(array) if whole else None


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise OSError(f"has {free:,} bytes free")


def _convert(path: Path, key: str, shape: tuple[int, ...], blocks: Callable[[], Iterator[np.ndarray]]) -> None:
    part = path.parent / f"{key}.part"
    try:
        with part.open("wb") as file, byte_bar(math.prod(shape)) as bar:
            task = bar.add_task(f"converting {key}, once", total=math.prod(shape))
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            rows = 0
            for block in blocks():
                assert block.dtype == np.uint8, f"a block of {block.dtype}"
                assert block.shape[1:] == shape[1:], f"a block of {block.shape} for {shape}"
                file.write(np.ascontiguousarray(block).data)  # a plain write: a full disk is an error, not a signal
                rows += len(block)
                bar.advance(task, block.nbytes)
            assert rows == shape[0], f"{rows} rows for {shape}"
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    part.replace(path)
    for stale in path.parent.glob(f"{key}-{'[0-9a-f]' * 16}.npy"):
        if stale != path:
            with contextlib.suppress(OSError):  # in use, on a system that can't remove such files
                stale.unlink()
