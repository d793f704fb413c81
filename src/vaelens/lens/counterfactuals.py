"""Counterfactual rows that were run, and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from vaelens.lens.interchange import CounterfactualRows

CODE, IMAGE = "code", "image"  # what can be wanted of them besides activations at sites


@dataclass(frozen=True, eq=False)
class Counterfactuals:
    """Some counterfactual rows.

    Attributes:
        rows: for each which groups' values were exchanged in which image of the chunk, (m,).
        values: what was asked for, by target, (m, …).
    """

    rows: CounterfactualRows
    values: Mapping[str, Tensor]

    @property
    def images(self) -> Tensor:
        """Which image of the chunk each row is of, (m,), on the device of the values."""
        return self.rows.rows
