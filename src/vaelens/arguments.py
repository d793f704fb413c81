"""The numbers that users hand over, checked in one place: counts, sizes and seeds."""

import operator
from typing import Any

from vaelens.errors import VaelensError


def whole_number(name: str, value: Any, low: int, high: int | None = None) -> int:
    """The value as an int.

    Raises:
        VaelensError: if it is no whole number, below `low` or above `high`.

    Example:
        >>> whole_number("steps", 3, low=1)
        3
    """
    expected = f"of at least {low}" if high is None else f"from {low} to {high}"
    is_whole = hasattr(value, "__index__") and not isinstance(value, bool)
    if not is_whole or operator.index(value) < low or (high is not None and operator.index(value) > high):
        raise VaelensError(f"{name} is {value!r}; expected a whole number {expected}")
    return operator.index(value)


def check_seed(seed: Any) -> int:
    """The seed as an int.

    Raises:
        VaelensError: if it is no whole number from 0 to 2⁶³ − 1.
    """
    return whole_number("seed", seed, low=0, high=2**63 - 1)
