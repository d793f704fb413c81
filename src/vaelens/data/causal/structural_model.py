"""Structural causal models over ordinal levels, with their equations and exact probabilities."""

from dataclasses import dataclass, replace
from functools import cached_property

import networkx as nx
import numpy as np

from vaelens.arguments import check_seed, whole_number
from vaelens.data.annotations import Count, Name, Seed
from vaelens.data.causal.variable import Variable
from vaelens.data.factors import Factor, Factors
from vaelens.errors import VaelensError, unknown

ROWS = 2**16  # individuals sampled at once


@dataclass(frozen=True, repr=False)
class StructuralModel:
    """A structural causal model, whose equations `print` lists.

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
        names: list[str] = []
        for variable in self.variables:
            for parent in variable.parents:
                if parent not in names:
                    raise unknown(f"parent of {variable.name!r} (causes come before effects)", parent, names)
            names.append(variable.name)
        _ = self.factors  # names that repeat are refused there

    @cached_property
    def factors(self) -> Factors:
        """Lists the variables as factors, with the causal edges."""
        items = tuple(Factor(variable.name, variable.size) for variable in self.variables)
        edges = tuple((parent, variable.name) for variable in self.variables for parent in variable.parents)
        return Factors(items, edges)

    @property
    def graph(self) -> nx.DiGraph:
        """Returns the causal graph over the variables' names, frozen."""
        return self.factors.graph

    def __getitem__(self, name: Name) -> Variable:
        return self.variables[self._column(name)]

    def sample(self, n: Count, seed: Seed = 0) -> np.ndarray:
        """Samples all variables.

        Args:
            n: How many, at least 1.
            seed: A whole number. It decides the noise of every variable, used or not: with the same seed the rows
                of a model and of its `do` are the same individuals in two worlds.

        Returns:
            Levels, int64 (n, K).
        """
        rng, count = np.random.default_rng(check_seed(seed)), whole_number("n", n, low=1)
        sampled = np.empty((count, len(self.variables)), dtype=np.int64)
        for start in range(0, count, ROWS):
            block = sampled[start : start + ROWS]
            block[:] = self._levels(rng.random(block.shape))
        return sampled

    def _levels(self, uniform: np.ndarray) -> np.ndarray:
        """Turns uniform noise in [0, 1), (n, K), into levels (n, K)."""
        levels: dict[str, np.ndarray] = {}
        for variable, u in zip(self.variables, uniform.T, strict=True):
            at = np.searchsorted(np.cumsum(variable.noise), u, side="right")
            # The last probability may be 0, or the sum a rounding error below 1.
            noise = variable.support[np.minimum(at, np.flatnonzero(variable.noise)[-1])]
            levels[variable.name] = variable.levels([levels[parent] for parent in variable.parents], noise)
        return np.stack(list(levels.values()), axis=1)

    def do(self, **values: Count) -> "StructuralModel":
        """Returns the model in which variables are set, each cut off from its parents.

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

    def probabilities(self, name: Name, **parents: Count) -> np.ndarray:
        """Computes the exact distribution (size,) of a variable given its parents' levels.

        Raises:
            VaelensError: If the variable is unknown, or other levels than its parents' are given.
        """
        variable = self[name]
        if set(parents) != set(variable.parents):
            wanted = ", ".join(variable.parents) or "none"
            raise VaelensError(f"{variable.name!r} has the parents {wanted}, got {', '.join(parents) or 'none'}")
        parent_levels = [
            np.array([whole_number(parent, parents[parent], low=0, high=self[parent].size - 1)])
            for parent in variable.parents
        ]
        return np.bincount(variable.levels(parent_levels, variable.support), variable.noise, variable.size)

    def _column(self, name: Name) -> int:
        names = self.factors.names
        if name not in names:
            raise unknown("variable", name, names)
        return names.index(name)

    def __repr__(self) -> str:
        return "\n".join(str(variable) for variable in self.variables)
