"""Hook points, at which a site's activation can be read or replaced as a tensor (n, units, *positions)."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from vaelens.lens.basis import Basis
from vaelens.lens.calls import LAST, Call, units_second


@dataclass(frozen=True)
class HookPoint:
    """Where a site's activation can be read or replaced, in what the n-th call of a module in one forward returns.

    Attributes:
        module: the module.
        number: how often it has been called before in the forward.
        changed_later: whether the model writes over the activation afterwards.
        axis: where the units lie in what the module returns, 1 or -1.
        element: which element of a tuple or list the activation is; None where the module returns it alone.
        batch: on which axis of what the module returns the images lie.
        functions: names of functions that follow the module's call and belong to its stage, in order: the activation
            is what the last of them returns.
        in_place: whether the module writes over its argument, and returns that.
        basis: in which the activation is presented; None for its own units.
    """

    module: nn.Module
    number: int
    changed_later: bool
    axis: int = 1
    element: int | None = None
    functions: tuple[str, ...] = ()
    batch: int = 0
    in_place: bool = False
    basis: Basis | None = None


def hook_point(call: Call) -> HookPoint:
    """Returns the hook point at which a call was traced."""
    return HookPoint(
        call.module,
        call.number,
        call.changed_later,
        call.axis,
        call.element,
        call.functions,
        call.batch,
        call.in_place and not call.functions,
    )


def counts_units(point: HookPoint) -> bool:
    """Tells whether a hook point returns the units themselves, on the axis behind the batch."""
    return point.axis != LAST and point.basis is None


def presented(output: Any, point: HookPoint) -> Tensor:
    """Returns the activation in a hook point's output, (n, units, *positions), as a view of it or as coordinates."""
    activation = _in_units(output, point)
    return activation if point.basis is None else point.basis.coordinates(activation).to(activation)


def returned(activation: Tensor, output: Any, point: HookPoint) -> Any:
    """Puts the activation into a hook point's `output`, and returns what flows on, of the same type and layout."""
    if point.basis is not None:  # what is orthogonal to all that changes stays as it is, to the bit
        present = _in_units(output, point)
        activation = present + point.basis.along(activation - point.basis.coordinates(present)).to(present)
    if point.axis == LAST:
        activation = activation.movedim(1, -1)
        if _in_units(output, point).movedim(1, -1).is_contiguous():
            activation = activation.contiguous()  # kernels round by the layout in memory
    activation = activation.movedim(0, point.batch)
    if _alone(point):
        return activation
    items = [activation if k == point.element else item for k, item in enumerate(output)]
    return type(output)._make(items) if hasattr(output, "_make") else type(output)(items)


def _in_units(output: Any, point: HookPoint) -> Tensor:
    """Returns a view of the activation in its own units, (n, units, *positions)."""
    activation = output if _alone(point) else output[point.element]
    return units_second(activation.movedim(point.batch, 0), point.axis)


def _alone(point: HookPoint) -> bool:
    """Tells whether the activation is all that is returned. Functions after a module are given nothing besides it."""
    return point.element is None or bool(point.functions)
