"""What is kept of a chunk that went through a part, so that the part can be run again."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vaelens.lens.execution import Edit
from vaelens.lens.incremental.steps import Step
from vaelens.lens.regions import Region


@dataclass(frozen=True, eq=False)
class Base:
    """A chunk through a part, kept so that it can be run again.

    Attributes:
        given: what went in.
        result: what the part returned.
        activations: of the sites that were asked for.
        held: by site the regions that edits have set; they stay so.
        kept: the values of steps; empty under hooks.
        precision: "fp32" or "bf16".
    """

    given: Tensor
    result: Any
    activations: Mapping[str, Tensor]
    held: Mapping[str, Sequence[Region]]
    kept: Mapping[Step, Any]
    precision: str


def holding(base: Base, rows: Tensor) -> dict[str, Edit]:
    """By site what keeps the regions that the base run's edits set as they were there, for some of its rows."""
    return {
        name: functools.partial(held, base.activations[name].index_select(0, rows), regions)
        for name, regions in base.held.items()
    }


def held(values: Tensor, regions: Sequence[Region], activation: Tensor) -> Tensor:
    """An activation in which some regions have given values."""
    edited, values = activation.clone(), values.to(activation)
    for region in regions:
        region.copy(values, edited)
    return edited


def first(result: Any) -> Tensor:
    """The posterior mean, of a pair; the result itself of one tensor."""
    return result[0] if isinstance(result, tuple | list) else result
