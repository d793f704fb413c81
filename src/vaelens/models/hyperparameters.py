"""The kinds of hyperparameters: numbers and whole numbers with a range, and choices."""

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
    """A value that an objective is given."""

    name: str
    meaning: str
    """What it does, in one line."""
    default: Value

    @property
    @abstractmethod
    def range(self) -> str:
        """The values allowed, in words."""

    @abstractmethod
    def check(self, value: Any) -> Value:
        """The value, of its kind.

        Raises:
            VaelensError: if it is of another kind or out of range.
        """


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
        if isinstance(value, bool) or not isinstance(value, Real):
            raise VaelensError(f"{self.name} is {value!r}; expected {self.range}")
        try:
            number = float(value)
        except OverflowError:  # a whole number of hundreds of digits, in no range
            number = math.nan
        if not self.low <= number <= self.high:  # false for NaN too
            raise VaelensError(f"{self.name} is {value}; expected {self.range}")
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
