"""An array that is slow to make, so that it is made once, block by block, and mapped from a file ever after.

The file gets its name when it is whole: a process that is killed leaves a part, which the next one overwrites. The
name holds a version of what the array was made from; when that changes, the old file is removed.
"""

import contextlib
import math
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import filelock
import numpy as np

from vaelens.data.files.progress import byte_bar
from vaelens.errors import VaelensError

SPARE = 2**26  # bytes of disk to leave free


def kept_array(
    folders: Sequence[Path],
    key: str,
    version: str,
    shape: tuple[int, ...],
    blocks: Callable[[], Iterable[np.ndarray]],
    what: str,
) -> np.ndarray:
    """Maps the array, after making it if none of the folders has it.

    Args:
        folders: Where it may lie; it is written into the first one that can be written and has room.
        key: What it is, fit for a file's name. Of each key one version is kept in a folder.
        version: 16 hexadecimal digits that change whenever the array does.
        shape: Its shape.
        blocks: Gives its rows in order, uint8, as arrays of up to some megabytes.
        what: What errors call the files that it is made from.

    Returns:
        uint8 of that shape, read-only.

    Raises:
        VaelensError: If no folder can be written or has room, or a block can't be made.
    """
    name = f"{key}-{version}.npy"
    for folder in folders:
        array = _opened(folder / name, shape)
        if array is not None:
            return array
    size, refusals = math.prod(shape), []
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(folder / f"{key}.lock"):  # another process may be at it: wait, and find the result
                array = _opened(folder / name, shape)
                if array is None:
                    _check_room(folder, size)
                    _make(folder / name, key, shape, blocks)
                    array = _opened(folder / name, shape)
        except OSError as error:
            refusals.append(f"{str(folder)!r}: {error.strerror or error}")
            continue
        assert array is not None, "the array just written does not open"
        return array
    raise VaelensError(
        f"{what} must be converted once, which takes {size + SPARE:,} bytes of disk, and no folder will do "
        f"({'; '.join(refusals)}); make room or name another folder in the environment variable VAELENS_CACHE"
    )


def _opened(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Maps the file, or returns None if it is missing or not whole, so that it is made anew."""
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


def _make(path: Path, key: str, shape: tuple[int, ...], blocks: Callable[[], Iterable[np.ndarray]]) -> None:
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
