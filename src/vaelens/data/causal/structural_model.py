"""Structural causal models over ordinal levels: variables, their parents, their equations and exact probabilities."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import networkx as nx
import numpy as np

from vaelens.arguments import check_seed, whole_number
from vaelens.data.factors import Factor, Factors
from vaelens.errors import VaelensError, unknown


@dataclass(frozen=True)
class Variable:
    """A variable with `size` levels and the mechanism that sets it.

    A variable without parents is drawn: level k has the probability noise[k]. One with parents is
    min(max(equation(parents) + e, 0), size - 1), where the noise e is one of -r … r with the probabilities given,
    r = len(noise) // 2, drawn independently of everything else.

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
        """The levels (n,) that parents' levels (n,) and noise in -r … r, or 0 … size - 1 without parents, lead to."""
        if self.equation is None:
            return noise
        return np.clip(self.equation(*parents) + noise, 0, self.size - 1)

    @property
    def support(self) -> np.ndarray:
        """The values that the noise takes, one for each of its probabilities."""
        return np.arange(len(self.noise)) - (len(self.noise) // 2 if self.parents else 0)

    def __str__(self) -> str:
        if not self.parents:
            certain = [k for k, p in enumerate(self.noise) if p == 1]
            return f"{self.name} = {certain[0]}" if certain else f"{self.name} drawn from 0..{self.size - 1}"
        spread = ", ".join(f"{e:+d}: {p:g}" for e, p in zip(self.support, self.noise, strict=True))
        text = self.formula or f"f({', '.join(self.parents)})"
        return f"{self.name} = {text} + noise ({spread}), kept in 0..{self.size - 1}"


@dataclass(frozen=True, repr=False)
class StructuralModel:
    """A structural causal model; printing it lists its equations.

    Args:
        variables: The variables, causes before effects.

    Raises:
        VaelensError: If a name repeats, or a parent is unknown or comes after its child.

    Example:
        >>> coin = Variable("coin", 2, noise=(0.5, 0.5))
        >>> twice = Variable("twice", 3, (0.1, 0.9, 0.0), ("coin",), lambda coin: 2 * coin, "2 coin")
        >>> model = StructuralModel((coin, twice))
        >>> model
        coin drawn from 0..1
        twice = 2 coin + noise (-1: 0.1, +0: 0.9, +1: 0), kept in 0..2
        >>> model.probabilities("twice", coin=1)
        array([0. , 0.1, 0.9])
        >>> model.do(twice=0)
        coin drawn from 0..1
        twice = 0
    """

    variables: tuple[Variable, ...]

    def __post_init__(self) -> None:
        known: list[str] = []
        for variable in self.variables:
            for parent in variable.parents:
                if parent not in known:
                    raise unknown(f"parent of {variable.name!r} (causes come before effects)", parent, known)
            known.append(variable.name)
        _ = self.factors  # names that repeat are refused there

    @cached_property
    def factors(self) -> Factors:
        """The variables as factors, with the causal edges."""
        items = tuple(Factor(variable.name, variable.size) for variable in self.variables)
        edges = tuple((parent, variable.name) for variable in self.variables for parent in variable.parents)
        return Factors(items, edges)

    @property
    def graph(self) -> nx.DiGraph:
        """The causal graph over the variables' names; frozen."""
        return self.factors.graph

    def __getitem__(self, name: object) -> Variable:
        return self.variables[self._column(name)]

    def sample(self, n: Any, seed: Any = 0) -> np.ndarray:
        """Draws of all variables.

        Args:
            n: How many, at least 1.
            seed: A whole number. It decides the noise of every variable, used or not: with the same seed the rows
                of a model and of its `do` are the same individuals in two worlds.

        Returns:
            Levels, int64 (n, K).
        """
        uniform = np.random.default_rng(check_seed(seed)).random((whole_number("n", n, low=1), len(self.variables)))
        drawn: dict[str, np.ndarray] = {}
        for variable, u in zip(self.variables, uniform.T, strict=True):
            at = np.searchsorted(np.cumsum(variable.noise), u, side="right")
            # The last probability may be 0, or the sum a rounding error below 1.
            noise = variable.support[np.minimum(at, np.flatnonzero(variable.noise)[-1])]
            drawn[variable.name] = variable.levels([drawn[parent] for parent in variable.parents], noise)
        return np.stack(list(drawn.values()), axis=1).astype(np.int64)

    def do(self, **values: Any) -> "StructuralModel":
        """The model in which variables are set: each is cut off from its parents, its effects follow it.

        Args:
            **values: Levels by the variables' names.

        Raises:
            VaelensError: If nothing is set, a variable is unknown, or a level is none of its own.
        """
        if not values:
            raise VaelensError("do() sets nothing; name variables and levels, such as do(name=3)")
        changed = list(self.variables)
        for name, value in values.items():
            column = self._column(name)
            size = changed[column].size
            level = whole_number(name, value, low=0, high=size - 1)
            certain = tuple(float(k == level) for k in range(size))
            changed[column] = replace(changed[column], noise=certain, parents=(), equation=None, formula="")
        return StructuralModel(tuple(changed))

    def probabilities(self, name: object, **parents: Any) -> np.ndarray:
        """The exact distribution (size,) of a variable given its parents' levels.

        Raises:
            VaelensError: If the variable is unknown, or other levels than its parents' are given.
        """
        variable = self[name]
        if set(parents) != set(variable.parents):
            wanted = ", ".join(variable.parents) or "none"
            raise VaelensError(f"{variable.name!r} has the parents {wanted}, got {', '.join(parents) or 'none'}")
        given = [
            np.array([whole_number(parent, parents[parent], low=0, high=self[parent].size - 1)])
            for parent in variable.parents
        ]
        return np.bincount(variable.levels(given, variable.support), variable.noise, variable.size)

    def _column(self, name: object) -> int:
        names = self.factors.names
        if name not in names:
            raise unknown("variable", name, names)
        return names.index(name)

    def __repr__(self) -> str:
        return "\n".join(str(variable) for variable in self.variables)
