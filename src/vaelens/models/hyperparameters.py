"""The kinds of hyperparameters, which are numbers and whole numbers with a range, and choices."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any

from vaelens.arguments import whole_number
from vaelens.errors import VaelensError, unknown

Value = float | int | str


@dataclass(frozen=True)
class Hyperparameter(ABC):
    """A value that an objective takes."""

    name: str
    meaning: str
    """What it does, in one line."""
    default: Value

    @property
    @abstractmethod
    def range(self) -> str:
        """Describes the values allowed."""

    @abstractmethod
    def check(self, value: Any) -> Value:
        """Returns the value, of its kind.

        Raises:
            VaelensError: if it is of another kind or out of range.
        """


def real_number(value: Any) -> float:
    """Returns the value as a float, and NaN where it is no number or larger than any float.

    Example:
        >>> real_number(2), real_number("2"), real_number(10**400)
        (2.0, nan, nan)
    """
    try:
        return float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan


@dataclass(frozen=True)
class Number(Hyperparameter):
    """A number, `low` to `high`.

    Example:
        >>> Number("beta", "weight of the KL divergence", 4.0, low=0.0, high=1000.0).check(2)
        2.0
    """

    low: float
    high: float

    @property
    def range(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def check(self, value: Any) -> float:
        number = real_number(value)
        if not self.low <= number <= self.high:  # false for NaN too
            shown = value if isinstance(value, Real) else repr(value)
            raise VaelensError(f"{self.name} is {shown}; expected {self.range}")
        return number


@dataclass(frozen=True)
class Whole(Hyperparameter):
    """A whole number, `low` to `high`."""

    low: int
    high: int

    @property
    def range(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def check(self, value: Any) -> int:
        return whole_number(self.name, value, self.low, self.high)


@dataclass(frozen=True)
class Choice(Hyperparameter):
    """One of several words."""

    choices: tuple[str, ...]

    @property
    def range(self) -> str:
        return " or ".join(self.choices)

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise unknown(self.name, value, self.choices)
        return value
