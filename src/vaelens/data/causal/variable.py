"""A variable of a structural causal model, with the mechanism that sets its level."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vaelens.errors import VaelensError


@dataclass(frozen=True)
class Variable:
    """A variable with `size` levels and the mechanism that sets it.

    A variable without parents is sampled: level k has the probability noise[k]. One with parents is
    min(max(equation(parents) + e, 0), size - 1), where the noise e is one of -r … r with the probabilities given,
    r = len(noise) // 2, independent of everything else.

    Args:
        name: The variable's name.
        size: The number of its levels, 0 … size - 1.
        noise: Probabilities that add up to 1.
        parents: The names of the variables that cause it directly.
        equation: Takes the parents' levels, integer arrays (n,) in their order; returns levels, integers (n,).
        formula: The equation as a line of text.
        values: What each level stands for, such as an angle in degrees; the levels themselves by default.

    Raises:
        VaelensError: If there are fewer than 2 levels, the noise is no distribution or has the wrong length, or
            there are parents without an equation or the other way round.
    """

    name: str
    size: int
    noise: tuple[float, ...]
    parents: tuple[str, ...] = ()
    equation: Callable[..., np.ndarray] | None = None
    formula: str = ""
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 2:
            raise VaelensError(f"variable {self.name!r} must have at least 2 levels, got {self.size}")
        if bool(self.parents) != (self.equation is not None):
            raise VaelensError(f"variable {self.name!r} must have both parents and an equation, or neither")
        if min(self.noise, default=-1) < 0 or abs(sum(self.noise) - 1) > 1e-9:
            raise VaelensError(f"the noise of {self.name!r} must be probabilities that add up to 1, got {self.noise}")
        if self.parents and len(self.noise) % 2 == 0:
            raise VaelensError(f"the noise of {self.name!r} must be centred on 0: an odd number of probabilities")
        if not self.parents and len(self.noise) != self.size:
            raise VaelensError(f"{self.name!r} has {self.size} levels and no parents, so as many probabilities")
        if self.values and len(self.values) != self.size:
            raise VaelensError(f"{self.name!r} has {self.size} levels but {len(self.values)} values")

    def levels(self, parents: list[np.ndarray], noise: np.ndarray) -> np.ndarray:
        """Computes the levels (n,) that parents' levels (n,) and noise lead to."""
        if self.equation is None:
            return noise
        return np.clip(self.equation(*parents) + noise, 0, self.size - 1)

    @property
    def support(self) -> np.ndarray:
        """Lists the values that the noise takes, one for each of its probabilities."""
        return np.arange(len(self.noise)) - (len(self.noise) // 2 if self.parents else 0)

    def __str__(self) -> str:
        if not self.parents:
            certain = [k for k, p in enumerate(self.noise) if p == 1]
            return f"{self.name} = {certain[0]}" if certain else f"{self.name} drawn from 0..{self.size - 1}"
        spread = ", ".join(f"{e:+d}: {p:g}" for e, p in zip(self.support, self.noise, strict=True))
        text = self.formula or f"f({', '.join(self.parents)})"
        return f"{self.name} = {text} + noise ({spread}), kept in 0..{self.size - 1}"
