"""The ground-truth generative factors of a dataset, which say what varies and what causes what."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import networkx as nx
import numpy as np

from vaelens.data.annotations import Name
from vaelens.errors import VaelensError, unknown

KINDS = ("ordinal", "circular", "categorical")


@dataclass(frozen=True)
class Factor:
    """One generative factor, whose values are the integers 0 … size - 1.

    Args:
        name: The factor's name, such as "scale".
        size: The number of values it takes, at least 1.
        kind: "ordinal" (values have an order), "circular" (the last value is next to the first) or
            "categorical" (values have no order).

    Raises:
        VaelensError: If the name is empty, the size is below 1 or the kind is none of the three.
    """

    name: str
    size: int
    kind: str = "ordinal"

    def __post_init__(self) -> None:
        if not self.name:
            raise VaelensError("a factor needs a name, got an empty one")
        if self.size < 1:
            raise VaelensError(f"factor {self.name!r} must have at least 1 value, got {self.size}")
        if self.kind not in KINDS:
            raise unknown("kind of factor", self.kind, KINDS)


@dataclass(frozen=True, repr=False)
class Factors:
    """The factors of a dataset, in the order of the columns of its factor values.

    Args:
        items: The factors; their names must differ.
        edges: Pairs (cause, effect) of factor names, where one factor causes another. None by default: the
            factors of a factorial dataset are set independently of each other.

    Raises:
        VaelensError: If a name repeats, an edge names no factor, or the edges form a cycle.

    Example:
        >>> factors = Factors((Factor("shape", 3, "categorical"), Factor("scale", 6)))
        >>> factors
        Factors(shape: 3 categorical, scale: 6 ordinal)
        >>> factors.names, factors.sizes, factors.index("scale")
        (('shape', 'scale'), (3, 6), 1)
    """

    items: tuple[Factor, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        repeated = [name for name, count in Counter(self.names).items() if count > 1]
        if repeated:
            raise VaelensError(f"factor names must differ, got {repeated[0]!r} more than once")
        for name in (end for edge in self.edges for end in edge):
            self.index(name)
        if not nx.is_directed_acyclic_graph(self.graph):
            raise VaelensError(f"the causal edges {self.edges} form a cycle; a factor cannot cause itself")

    @property
    def names(self) -> tuple[str, ...]:
        """Lists the factors' names."""
        return tuple(factor.name for factor in self.items)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lists the factors' numbers of values."""
        return tuple(factor.size for factor in self.items)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Lists the factors' kinds."""
        return tuple(factor.kind for factor in self.items)

    @cached_property
    def graph(self) -> nx.DiGraph:
        """Returns the true causal graph over the factors' names, frozen, so take a `.copy()` to change it."""
        graph = nx.DiGraph()
        graph.add_nodes_from(self.names)
        graph.add_edges_from(self.edges)
        return nx.freeze(graph)

    def index(self, name: Name) -> int:
        """Finds the column of the named factor.

        Raises:
            VaelensError: If no factor has that name; the message lists those that exist.
        """
        if name not in self.names:
            raise unknown("factor", name, self.names)
        return self.names.index(name)

    def checked_values(self, values: np.ndarray) -> np.ndarray:
        """Checks whole numbers that stand for factor values, and returns them as int64 (n, K).

        Raises:
            VaelensError: If the shape is wrong, or a value is none of its factor's.
        """
        if values.ndim != 2 or values.shape[1] != len(self):
            message = f"factor values must have shape (n, {len(self)}), got {values.shape}"
            raise VaelensError(f"{message}; one column for each of {', '.join(self.names)}")
        wrong = np.argwhere((values < 0) | (values >= np.array(self.sizes)))
        if len(wrong):
            row, k = wrong[0]
            valid = f"factor {self.names[k]!r} takes values 0..{self.sizes[k] - 1}"
            raise VaelensError(f"{valid}, got {values[row, k]} (row {row})")
        return values.astype(np.int64)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Factor]:
        return iter(self.items)

    def __repr__(self) -> str:
        listed = [f"{factor.name}: {factor.size} {factor.kind}" for factor in self.items]
        listed += [f"{cause} -> {effect}" for cause, effect in self.edges]
        return f"Factors({', '.join(listed)})"
