"""Signals, numbers that are read off a site's units by a weighted sum, which is all that the next site sees."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Signal:
    """A weighted sum of a site's units and a constant.

    Attributes:
        weights: of the units, by name.
        constant: what is added.

    Example:
        >>> shifted = Signal({"a": 1.0}, -8.0)
        >>> 0.5 * shifted + Signal({"b": 2.0})
        Signal(weights={'a': 0.5, 'b': 2.0}, constant=-4.0)
    """

    weights: Mapping[str, float]
    constant: float = 0.0

    def __add__(self, other: "Signal") -> "Signal":
        names = dict.fromkeys((*self.weights, *other.weights))
        weights = {name: self.weights.get(name, 0.0) + other.weights.get(name, 0.0) for name in names}
        return Signal(weights, self.constant + other.constant)

    def __sub__(self, other: "Signal") -> "Signal":
        return self + -1.0 * other

    def __rmul__(self, factor: float) -> "Signal":
        return Signal({name: factor * weight for name, weight in self.weights.items()}, factor * self.constant)

    def plus(self, constant: float) -> "Signal":
        """Adds a constant."""
        return Signal(self.weights, self.constant + constant)


NO_SIGNAL = Signal({})
