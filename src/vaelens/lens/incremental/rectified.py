"""ReLUs written over what they are given, as a new tensor for each would cost as much as the layer before it."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaelens.lens.incremental.layers import layer_of
from vaelens.lens.incremental.steps import Step

_RELUS = (functional.relu, torch.relu, torch.ops.aten.relu.default)


def rectified(steps: Collection[Step], wanted: Collection[Step] = ()) -> frozenset[Step]:
    """Finds the ReLUs that alone read a layer's value, which is always a new tensor.

    Args:
        steps: those that run.
        wanted: steps whose values are wanted besides.
    """
    return frozenset(step for step in steps if _of_a_layer(step, steps, wanted))


def is_relu(step: Step) -> bool:
    """Tells whether a step is a ReLU."""
    return type(step.module) is nn.ReLU or step.call in _RELUS


def rectify(step: Step, values: Mapping[Step, Any]) -> Tensor:
    """Computes the value of such a ReLU, in the place of what it is given."""
    return torch.relu_(values[step.inputs[0]])


def _of_a_layer(step: Step, steps: Collection[Step], wanted: Collection[Step]) -> bool:
    if not is_relu(step):
        return False
    argument = step.inputs[0]
    return (
        argument in steps
        and argument not in wanted
        and layer_of(argument) is not None
        and sum(argument in other.inputs for other in steps) == 1
    )
