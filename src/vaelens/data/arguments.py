"""The arrays, paths, names and seeds that users hand over, turned into what datasets work with or refused."""

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vaelens.arguments import check_seed
from vaelens.data.annotations import ArrayLike, Names, PathLike, Seed
from vaelens.errors import VaelensError

_NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)


def generator(seed: Seed) -> np.random.Generator:
    """Makes the random generator of a `seed` argument, apart from the global random state."""
    return np.random.default_rng(check_seed(seed))


def as_array(value: ArrayLike, what: str) -> np.ndarray:
    """Views an array, a tensor on any device, or nested lists with NumPy, and copies only where it must.

    Raises:
        VaelensError: If it has no values (a tensor on the meta device), is sparse or masked, or is no regular array.
    """
    if isinstance(value, torch.Tensor):
        return _from_tensor(value, what)
    if np.ma.is_masked(value):
        raise VaelensError(f"{what} must not have masked values; fill them, or leave those images out")
    try:
        return np.asarray(value)
    except Exception as error:  # whatever the user's object raises
        if isinstance(error, ValueError) and isinstance(value, (list, tuple)):
            raise VaelensError(f"{what} must be a regular array, got rows of different lengths") from error
        raise VaelensError(f"{what} must be an array, got {type(value).__name__} ({type(error).__name__})") from error


def _from_tensor(tensor: torch.Tensor, what: str) -> np.ndarray:
    if tensor.device.type == "meta":
        raise VaelensError(f"{what} must have values, got a tensor on the meta device; load it first")
    if tensor.is_nested:
        raise VaelensError(f"{what} must be a regular array, got a nested tensor")
    if tensor.layout != torch.strided:
        raise VaelensError(f"{what} must be dense, got a tensor of layout {tensor.layout}; give its .to_dense()")
    if tensor.is_quantized:
        raise VaelensError(f"{what} must be plain numbers, got a quantised tensor; give its .dequantize()")
    try:
        dense = tensor.detach().cpu().resolve_conj().resolve_neg()
        if dense.dtype.is_floating_point and dense.dtype not in _NUMPY_FLOATS:
            dense = dense.float()
        if dense.numel() and dense.untyped_storage().nbytes() == 0:
            raise VaelensError(f"{what} must have values, got a tensor whose storage is empty")
        return dense.numpy()
    except (TypeError, RuntimeError) as error:
        raise VaelensError(f"{what} must be an array, got a tensor of {tensor.dtype} that NumPy can't hold") from error


def whole_numbers(value: ArrayLike, what: str) -> np.ndarray:
    """Views an array as `as_array` does, and refuses it unless it holds whole numbers."""
    array = as_array(value, what)
    if array.dtype.kind not in "iu":
        raise VaelensError(f"{what} must be whole numbers, got an array of {array.dtype}")
    return array


def checked_path(value: PathLike | None, expected: str) -> Path:
    """Turns a path that a user hands over into a `Path`, and a tilde into the home folder.

    Args:
        value: The path, of something that need not exist.
        expected: What errors say it must be, such as "root must be a folder's path".

    Raises:
        VaelensError: If it is no path, empty, or one that no file can have.
    """
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(text, str):
        raise VaelensError(f"{expected}, got {value!r}")
    if not text or "\0" in text:
        raise VaelensError(f"{expected}, got {'an empty one' if not text else 'one with a NUL character in it'}")
    try:
        path = Path(text).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
        return path
    except (OSError, RuntimeError) as error:  # a name too long, links in a circle, no home folder of that name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise VaelensError(f"{expected}, got {_shortened(text)!r}, which can't be looked at ({reason})") from error


def checked_names(argument: str, value: Names | None) -> list[str] | None:
    """Turns one name or a list of names into a list, and leaves None as it is.

    Raises:
        VaelensError: If it is neither, or a name is not text.
    """
    if value is None:
        return None
    listed = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else value
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise VaelensError(f"{argument} must be a list of names, got {_shortened(repr(value))}")
    return listed


def checked_flag(argument: str, value: Any) -> bool:
    """Checks an argument that is True or False, which a command line may have left a text.

    Raises:
        VaelensError: If it is neither.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise VaelensError(f"{argument} is {_shortened(repr(value))}; expected True or False")
    return bool(value)


def listed_names(names: Sequence[str]) -> str:
    """Lists names as an error does, and of many the first twenty."""
    return ", ".join(names[:20]) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")


def is_utf8(text: str) -> bool:
    """Says whether UTF-8 can hold a text, which it can't where a file's name was not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def brief(error: Any) -> str:
    """Writes what an exception says in one line, or its type where it says nothing."""
    return _shortened(" ".join(str(error).split())) or type(error).__name__


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."
