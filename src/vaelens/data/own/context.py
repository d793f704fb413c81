"""The context of the user's observations, one row for each, which encoder and decoder are given besides."""

from collections.abc import Mapping

import numpy as np

from vaelens.data.annotations import Context
from vaelens.data.arguments import as_array
from vaelens.errors import VaelensError


def checked_context(context: Context, length: int) -> Context:
    """Checks that there is a row of context for each observation, and returns it as NumPy arrays.

    Raises:
        VaelensError: If there is not, or it is no array of numbers.
    """
    if context is None:
        return None
    if isinstance(context, Mapping):
        return {str(name): _checked(rows, f"context {name!r}", length) for name, rows in context.items()}
    return _checked(context, "the context", length)


def rows_of_context(context: Context, indices: np.ndarray) -> Context:
    """Looks up the context at indices, or returns None where there is none."""
    if context is None:
        return None
    if isinstance(context, Mapping):
        return {name: rows[indices] for name, rows in context.items()}
    return context[indices]


def _checked(rows: object, what: str, length: int) -> np.ndarray:
    array = as_array(rows, what)  # pyright: ignore[reportArgumentType]
    if array.dtype.kind not in "biuf":
        raise VaelensError(f"{what} has type {array.dtype}; expected numbers: np.unique(rows, return_inverse=True)[1]")
    if array.ndim == 0 or len(array) != length:
        raise VaelensError(f"{what} has shape {array.shape}; expected one row for each of {length} observations")
    return array
