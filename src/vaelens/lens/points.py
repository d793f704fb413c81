"""Points: where a site's activation leaves the module tree, and how it is turned to (n, units, *positions) and back."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from vaelens.lens.calls import LAST, Call, units_second


@dataclass(frozen=True)
class Point:
    """Where a site's activation leaves the module tree: the n-th call of a module in one forward.

    Attributes:
        module: the module.
        number: how often it has been called before in the forward.
        changed_later: whether the model writes over the activation afterwards.
        axis: where the units lie in what the module gives, 1 or -1.
        element: which element of a tuple or list the activation is; None where the module gives it alone.
    """

    module: nn.Module
    number: int
    changed_later: bool
    axis: int = 1
    element: int | None = None


def point_of(call: Call) -> Point:
    """The point at which a call was traced."""
    return Point(call.module, call.number, call.changed_later, call.axis, call.element)


def presented(output: Any, point: Point) -> Tensor:
    """The activation in what a point's module returned, as (n, units, *positions): a view of it."""
    return units_second(output if point.element is None else output[point.element], point.axis)


def returned(activation: Tensor, output: Any, point: Point) -> Any:
    """What flows on in place of a module's `output`, of the same type and layout, with (n, units, *positions) in it."""
    if point.axis == LAST:
        activation = activation.movedim(1, -1)
        if presented(output, point).movedim(1, -1).is_contiguous():
            activation = activation.contiguous()  # kernels round by the layout in memory
    if point.element is None:
        return activation
    items = [activation if k == point.element else item for k, item in enumerate(output)]
    return type(output)._make(items) if hasattr(output, "_make") else type(output)(items)
