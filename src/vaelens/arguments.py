"""The arguments that many public functions take, as types, and the numbers among them checked in one place."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaelens.errors import VaelensError

Seed = int | np.integer  # a whole number from 0 to 2⁶³ − 1
Progress = bool | Callable[[float, float], Any]  # True for a bar, False for none, or a function of (done, total)
Numbers = Sequence[float] | NDArray[Any]


def whole_number(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Returns the value as an int.

    Raises:
        VaelensError: if it is no whole number, below `low` or above `high`.

    Example:
        >>> whole_number("steps", 3, low=1)
        3
    """
    expected = f"of at least {low}" if high is None else f"from {low} to {high}"
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:  # arrays and tensors of fractions have an __index__, which raises
        number = None
    if number is None or number < low or (high is not None and number > high):
        raise VaelensError(f"{name} is {value!r}; expected a whole number {expected}")
    return number


def check_seed(seed: Any) -> int:
    """Returns the seed as an int.

    Raises:
        VaelensError: if it is no whole number from 0 to 2⁶³ − 1.
    """
    return whole_number("seed", seed, low=0, high=2**63 - 1)
