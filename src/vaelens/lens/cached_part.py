"""The cached run of one part on a chunk of rows, with what it takes to run the part again from some sites on."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaelens.lens.execution import ActivationEdit
from vaelens.lens.incremental.rows import select_rows
from vaelens.lens.incremental.steps import Step
from vaelens.lens.regions import Region
from vaelens.lens.subspace import Subspace

Clamp = Region | Subspace  # what a treatment has set


@dataclass(frozen=True, eq=False)
class CachedPart:
    """A chunk through a part, cached so that the part can be run again.

    Attributes:
        inputs: what went in.
        result: what the part returned.
        activations: of the sites that were asked for.
        clamped: by site the regions that a treatment has set; they stay so.
        values: of steps; empty under hooks.
        precision: "fp32" or "bf16".
        seed: of whatever the part draws on this chunk.
    """

    inputs: Tensor
    result: Any
    activations: Mapping[str, Tensor]
    clamped: Mapping[str, Sequence[Clamp]]
    values: Mapping[Step, Any]
    precision: str
    seed: int

    def clamps(self, rows: Tensor) -> dict[str, ActivationEdit]:
        """Builds by site the edit that keeps what a treatment has set as it is in the cached run, for some rows."""
        return {
            name: functools.partial(clamp, select_rows(self.activations[name], rows), regions)
            for name, regions in self.clamped.items()
        }


def clamp(values: Tensor, regions: Sequence[Clamp], activation: Tensor) -> Tensor:
    """Copies an activation and sets some of its regions to their values in another tensor of the same shape."""
    edited, values = activation.clone(), values.to(activation)
    for region in regions:
        region.copy(values, edited)
    return edited


def first_result(result: Any) -> Tensor:
    """Returns the posterior mean of a pair, or the result itself where it is one tensor."""
    return result[0] if isinstance(result, tuple | list) else result


def in_own_memory(result: Any, copied: bool = False) -> Any:
    """Takes what a part returned out of inference mode, and into memory of its own where `copied` asks for it.

    Where no gradients are asked for, those that a part computes inside, as of an energy, end there.
    """
    if isinstance(result, Tensor):
        result = result if torch.is_grad_enabled() else result.detach()
        return result.clone() if copied or result.is_inference() else result
    if isinstance(result, tuple | list):
        elements = [in_own_memory(element, copied) for element in result]
        kind: Any = type(result)
        return kind._make(elements) if hasattr(kind, "_make") else kind(elements)
    return result
