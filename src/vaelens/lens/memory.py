"""Memory between the chunks of a sweep, and the same work in halves where it runs out."""

import ctypes
import os
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from vaelens.errors import VaelensError

Made = TypeVar("Made")

# glibc's numbers of its thresholds: from which size a block is mapped alone, and how much that is free is kept. It
# stops raising the first at 32 MiB, and has the second at twice the first.
_THRESHOLDS = {"MALLOC_MMAP_THRESHOLD_": (-3, 31 * 2**20), "MALLOC_TRIM_THRESHOLD_": (-1, 62 * 2**20)}


def keep_freed_memory(even_where_set: bool = False) -> None:
    """Lets the C library keep freed blocks for the next chunk, instead of giving every page back and asking again.

    glibc's thresholds are set as high as it raises them by itself. Under another library this does nothing.

    Args:
        even_where_set: also where the environment sets a threshold. Dask starts its workers with one of 64 KiB, and a
            step of training then takes 1.5 times as long; anywhere else it is the user's choice, and stays.
    """
    if not even_where_set and any(name in os.environ for name in _THRESHOLDS):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for threshold, value in _THRESHOLDS.values():
        mallopt(threshold, value)


@runtime_checkable
class Rows(Protocol):
    """Anything of which slices can be taken."""

    def __len__(self) -> int: ...
    def __getitem__(self, some: slice, /) -> Any: ...


Taken = TypeVar("Taken", bound=Rows)


def halving(work: Callable[[Taken], Tensor], rows: Taken) -> Tensor:
    """Does some work on rows, or on halves of them where memory runs out, and joins the results in order.

    Raises:
        VaelensError: it runs out for a single row.
    """
    try:
        return work(rows)
    except Exception as error:
        halves = halves_of(rows, error)
    # Outside of `except`, whose traceback would hold the tensors of the attempt.
    return torch.cat([halving(work, half) for half in halves])


def halves_of(rows: Taken, error: Exception) -> tuple[Taken, Taken]:
    """Returns the halves of some rows whose work ended in an error, where memory ran out; else raises the error.

    Raises:
        VaelensError: memory ran out for a single row.
    """
    if not is_out_of_memory(error):
        raise error
    if len(rows) < 2:
        raise _too_large(error) from error
    middle = len(rows) // 2
    return rows[:middle], rows[middle:]


def in_chunks(images: int, rows: int, build: Callable[[slice], Made]) -> Iterator[tuple[slice, Made]]:
    """Yields consecutive chunks of images with what is built from each. They are smaller once memory has run out.

    Args:
        images: how many there are.
        rows: how many a chunk has at most.
        build: makes something of the images of a chunk; may be called again for fewer of them.

    Raises:
        VaelensError: it runs out for a single image.
    """
    start = 0
    while start < images:
        chunk = slice(start, min(start + rows, images))
        built = _attempt(build, chunk)
        if built is None:
            rows = (chunk.stop - chunk.start) // 2
            continue
        yield chunk, built
        start = chunk.stop


class Whole:
    """Chunks put one after the other into one tensor, so that none is held beside it.

    Args:
        rows: how many there are of all chunks together.
    """

    def __init__(self, rows: int):
        self._rows, self._filled = rows, 0
        self.tensor: Tensor | None = None

    def add(self, chunk: Tensor) -> None:
        """Appends the next rows. The first chunk decides on their shape and type."""
        if self.tensor is None:
            self.tensor = chunk.new_empty(self._rows, *chunk.shape[1:])
        self.tensor[self._filled : self._filled + len(chunk)] = chunk
        self._filled += len(chunk)


def is_out_of_memory(error: Exception) -> bool:
    """Tells whether an exception says that memory ran out, on a GPU or in RAM."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _attempt(build: Callable[[slice], Made], chunk: slice) -> Made | None:
    try:
        return build(chunk)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if chunk.stop - chunk.start < 2:
            raise _too_large(error) from error
    return None


def _too_large(error: Exception) -> VaelensError:
    return VaelensError(
        f"one image alone does not fit into memory ({' '.join(str(error).split())[:120]}); give the model's images in "
        "a smaller size, fewer sites at a time, or a machine with more memory"
    )
