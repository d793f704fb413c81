"""Ways from one site to the next where only some units change, with nothing computed of all others.

Of the layer on a way only what the units before it do to those behind it is run. For that it has to be right behind the
one site, with nothing but functions of each number by itself between it and the next.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from vaelens.lens.incremental.downstream import reshapes
from vaelens.lens.incremental.layers import LINEAR, TRANSPOSED, Layer
from vaelens.lens.incremental.observation import Observed, is_by_shape
from vaelens.lens.incremental.rectified import is_relu
from vaelens.lens.incremental.rows import select_units
from vaelens.lens.incremental.steps import Step

_MODULES = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardtanh, nn.Hardswish,
    nn.Hardsigmoid, nn.Softplus, nn.Softsign, nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Identity,
)  # fmt: skip
_FUNCTIONS = frozenset(
    (
        *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardtanh", "hardswish"),
        *("hardsigmoid", "softplus", "softsign", "sigmoid", "logsigmoid", "tanh", "sin", "cos", "exp", "abs", "square"),
    )
)
_INTO_CHANNELS = ("view", "reshape", "unflatten")


@dataclass(frozen=True, eq=False)
class Way:
    """A linear layer right behind a site, and functions of each number by itself up to the next.

    Attributes:
        step: the layer's.
        layer: the layer.
        functions: in order.
        start: shape of the site's activation for one image, units first.
        end: likewise of the next one's.
    """

    step: Step
    layer: Layer
    functions: tuple[Step, ...]
    start: tuple[int, ...]
    end: tuple[int, ...]

    def narrowed(self, units: Sequence[int] | None, ends: Sequence[int] | None, only: Sequence[int] | None) -> Layer:
        """Returns the layer from some units to some of the next site's, without its bias. None stands for all.

        Args:
            units: those that it is given.
            ends: those that come out.
            only: those of the units that have an effect.
        """
        before, after = (1, 0) if self.layer.kind != TRANSPOSED else (0, 1)
        weight = self.layer.weight().detach()
        if units is None and only is not None:
            weight = torch.zeros_like(weight).index_copy_(before, *self._selected(weight, before, only, self.start))
        elif units is not None:
            weight = self._selected(weight, before, units, self.start)[1]
        if ends is not None:
            weight = self._selected(weight, after, ends, self.end)[1]
        return replace(self.layer, weight=lambda: weight, bias=lambda: None, _prepared=None)

    def values_of(self, value: Tensor, ends: Sequence[int] | None) -> Tensor:
        """Returns the part of the layer's value, (n, …), that belongs to some of the next site's units."""
        return value if ends is None else select_units(value, self._places(ends, self.end))

    def follow(self, value: Tensor) -> Tensor:
        """Takes a value of the narrowed layer, which is written over, to the next site, as (n, units, *positions)."""
        for step in self.functions:
            value = torch.relu_(value) if is_relu(step) else step({step.inputs[0]: value})
        return value.reshape(len(value), -1, *self.end[1:])

    def _selected(
        self, weight: Tensor, axis: int, units: Sequence[int], shape: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        """Finds where some units of a site lie on an axis of the weights, and the weights there."""
        places = self._places(units, shape).to(weight.device)
        return places, weight.index_select(axis, places)

    def _places(self, units: Sequence[int], shape: tuple[int, ...]) -> Tensor:
        """Finds where the layer has some units. A dense one has all cells of a site in one row."""
        numbers = torch.tensor(units, dtype=torch.int64)
        if self.layer.kind != LINEAR:
            return numbers
        cells = math.prod(shape[1:])
        return (numbers[:, None] * cells + torch.arange(cells)).flatten()


def find_way(known: Observed, layers: Mapping[Step, Layer], start: Step, end: Step) -> Way | None:
    """Finds the way between the steps of two sites. None where there is more on it than a layer and such functions."""
    functions: list[Step] = []
    step = end
    while step not in layers:
        if len(step.inputs) != 1 or step not in known.shapes or step.inputs[0] not in known.shapes:
            return None
        if _by_number(step):
            functions.insert(0, step)
        elif not _into_channels(known, step):
            return None
        step = step.inputs[0]
    layer = layers[step]
    if layer.data not in known.shapes or len(known.shapes[layer.data]) != layer.axes or not layer.updatable:
        return None
    if layer.data is not start and not reshapes(known, layer.data, start):
        return None
    if layer.kind != LINEAR and known.shapes[step] != known.shapes[end]:
        return None
    return Way(step, layer, tuple(functions), known.shapes[start], known.shapes[end])


def passes_by(known: Observed, start: Step, end: Step, target: Step) -> bool:
    """Tells whether a change at a step reaches a later one otherwise than through a step between them."""
    reached = {start}
    for step in known.program.steps:
        if step is not end and not is_by_shape(step) and any(argument in reached for argument in step.inputs):
            reached.add(step)
    return target in reached


def _by_number(step: Step) -> bool:
    return type(step.module) in _MODULES if step.module is not None else step.function in _FUNCTIONS


def _into_channels(known: Observed, step: Step) -> bool:
    """Tells whether a step lays out a row of numbers as channels of positions, in the order of memory."""
    named = step.function in _INTO_CHANNELS if step.module is None else type(step.module) is nn.Unflatten
    before, after = known.shapes.get(step.inputs[0]), known.shapes.get(step)
    return named and before is not None and after is not None and len(before) == 1 and math.prod(after) == before[0]
