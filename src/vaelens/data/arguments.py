"""What users hand over, turned into what the datasets work with, or refused in one sentence."""

import operator
import reprlib
from typing import Any

import numpy as np
import torch

from vaelens.errors import VaelensError


def whole_number(value: Any, what: str, least: int) -> int:
    """`value` as an int, refused if it is no whole number or below `least`.

    Example:
        >>> whole_number(3, "n", least=1)
        3
        >>> whole_number(0, "n", least=1)
        Traceback (most recent call last):
        vaelens.errors.VaelensError: n must be a whole number of at least 1, got 0
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise VaelensError(f"{what} must be a whole number of at least {least}, got {reprlib.repr(value)}")
    return number


def generator(seed: object) -> np.random.Generator:
    """The random generator of a `seed` argument; the global random state is neither read nor changed."""
    return np.random.default_rng(whole_number(seed, "seed", least=0))


def as_array(value: Any, what: str) -> np.ndarray:
    """A NumPy view of an array, a tensor on any device, or nested lists; copied only where it must be."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    try:
        return np.asarray(value)
    except ValueError as error:
        raise VaelensError(f"{what} must be a regular array, got rows of different lengths") from error


def whole_numbers(value: Any, what: str) -> np.ndarray:
    """`as_array`, refused unless its dtype is one of whole numbers."""
    array = as_array(value, what)
    if array.dtype.kind not in "iu":
        raise VaelensError(f"{what} must be whole numbers, got an array of {array.dtype}")
    return array
