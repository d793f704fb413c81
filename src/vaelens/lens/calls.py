"""Calls of modules as a traced forward records them, and the axis of their output on which the units lie."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor  # pyright: ignore[reportMissingImports]
from torch.nn.utils.parametrize import is_parametrized

from vaelens.lens.row_order import RowOrder
from vaelens.lens.same_tensors import storage_of

LAST, SECOND = -1, 1

# What weights act on the last axis of; anything else with weights has its units behind the batch.
_ACTS_ON_LAST = (nn.Linear, nn.Bilinear, nn.Embedding, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a module in a traced forward, or of functions that follow it."""

    module: nn.Module
    number: int  # how often the module had been called before in this forward
    source: Tensor | None  # its first argument
    output: Tensor  # the activation: what it returned, or an element of that
    changed_later: bool  # an in-place operation wrote over the output after the call
    axis: int = SECOND  # where the units lie in the output: 1 or -1
    element: int | None = None  # which of several things returned the activation is; None where it is all
    leaf: bool = True  # False: other modules ran inside it
    functions: tuple[str, ...] = ()  # names of functions that the module's output went through to become this output
    used_once: bool = True  # whether nothing but one call was given the output
    batch: int = 0  # on which axis of the output the images lie
    in_place: bool = False  # whether it wrote over its argument, and returned that
    arranges: bool = False  # whether its last function keeps no units, and is a stage's only where it is the output
    moved: bool = False  # whether the output's axes were put in another order
    source_written: bool = False  # whether its argument is another call's output that was written over in between

    @property
    def activation(self) -> Tensor:
        """The output as (n, units, *positions)."""
        return units_second(self.output.movedim(self.batch, 0), self.axis)


@dataclass(frozen=True, eq=False)
class Stray:
    """A call of a module whose output is no activation."""

    module: nn.Module
    number: int
    what: str  # what it returned, in words


Shapes = dict[tuple[nn.Module, int], tuple[int, ...]]  # of what the n-th call of a module returned


@dataclass(frozen=True, eq=False)
class Trace:
    """The result of a traced forward, and its calls in the order in which they returned.

    Attributes:
        result: what the part returned.
        calls: those that returned an activation.
        strays: those that did not.
        counts: how often each module was called.
        shapes: of what every call returned.
        foreign: whether layers ran that are not the model's.
        origins: what functions copied, and the copy, by the memory of the copy.
        rows: what the rows of every call's activation are known by.
    """

    result: object
    calls: list[Call]
    strays: list[Stray]
    counts: dict[nn.Module, int]
    shapes: Shapes
    foreign: bool
    origins: Mapping[int, tuple[Tensor, Tensor]]
    rows: RowOrder


def units_second(output: Tensor, axis: int) -> Tensor:
    """Returns a view of an output with its units behind the batch, (n, units, *positions)."""
    return output.movedim(-1, 1) if axis == LAST else output


def activation_in(output: object) -> tuple[Tensor, int | None] | None:
    """Finds the tensor that a module returned first, and which element it is, or None where it is no activation."""
    element = 0 if isinstance(output, tuple | list) and output else None
    tensor = output if element is None else output[element]  # pyright: ignore[reportIndexIssue]
    if not isinstance(tensor, Tensor) or tensor.ndim < 2 or not tensor.is_floating_point():
        return None
    if is_functorch_wrapped_tensor(tensor):  # inside of vmap or jvp, where it is of one image, or has no memory
        return None
    return tensor, element


def batch_axis(shape: tuple[int, ...], images: int, other: tuple[int, ...] | None, others: int) -> int | None:
    """Finds the axis that follows the number of images, by the shapes for two numbers.

    None where not exactly one does.

    Example:
        >>> batch_axis((2, 3, 4), 3, (2, 5, 4), 5), batch_axis((3, 4), 3, (3, 4), 5)
        (1, None)
    """
    if other is None or len(other) != len(shape):
        return None
    sizes = list(zip(shape, other, strict=True))
    following = [axis for axis, size in enumerate(sizes) if size == (images, others)]
    same = [axis for axis, (size, other_size) in enumerate(sizes) if size == other_size]
    return following[0] if len(following) == 1 and len(same) == len(shape) - 1 else None


def is_layer(module: nn.Module) -> bool:
    """Tells whether a module has weights of its own between units."""
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):  # one scale a unit and position: no weights between units
        return False
    return is_parametrized(module) or any(parameter.ndim >= 2 for parameter in module.parameters(recurse=False))


def keeps_units(module: nn.Module, source: Tensor, output: Tensor, axis: int = SECOND) -> bool:
    """Tells whether a module after a layer leaves its units what they are, as a nonlinearity or an unflatten does."""
    if source.shape == output.shape:
        return True
    if isinstance(module, nn.Unflatten):
        return axis == SECOND or source.shape[-1] == output.shape[-1]
    return _is_unflattened(source, output)


def _is_unflattened(source: Tensor, output: Tensor) -> bool:
    """Tells whether one row of units (n, units) is viewed as (n, channels, *positions), as in a module of a user's."""
    if not (source.ndim == 2 < output.ndim and source.shape[:1] == output.shape[:1]):
        return False
    in_order = source.is_contiguous() and output.is_contiguous() and source.numel() == output.numel()
    return in_order and storage_of(source) == storage_of(output)


class Axes:
    """Finds the unit axis of each output of a forward, given in the order in which the modules return.

    A dense layer's units lie on the last axis, a convolution's on the second. What follows a layer and keeps its shape
    keeps its axis. A block of modules has the axis of the last module that returned a tensor of its shape.
    """

    def __init__(self) -> None:
        self._by_output: dict[int, tuple[Tensor, int]] = {}  # holds each tensor: its id would else be given again
        self._by_shape: dict[tuple[int, ...], int] = {}

    def of(self, module: nn.Module, source: Tensor | None, output: Tensor, element: int | None, leaf: bool) -> int:
        """Finds the axis of the next output's units, 1 or -1."""
        axis = self._axis(module, source, output, element, leaf)
        self._by_output[id(output)] = output, axis
        self._by_shape[tuple(output.shape)] = axis
        return axis

    def _axis(self, module: nn.Module, source: Tensor | None, output: Tensor, element: int | None, leaf: bool) -> int:
        if output.ndim == 2:
            return SECOND
        if isinstance(module, _ACTS_ON_LAST):
            return LAST
        if leaf and is_layer(module):
            return LAST if element is not None and output.ndim == 3 else SECOND
        source_axis = self._by_output.get(id(source)) if leaf and source is not None else None
        if source_axis is not None and keeps_units(module, source_axis[0], output, source_axis[1]):
            return source_axis[1]
        if isinstance(module, nn.LayerNorm | nn.RMSNorm) and len(module.normalized_shape) == 1:
            return LAST
        return self._by_shape.get(tuple(output.shape), SECOND)
