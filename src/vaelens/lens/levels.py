"""Levels of a hierarchical decoder, each a Gaussian draw about a mean that it computes, seen as a module's call.

A level is z = mean + sd·ε with ε ~ N(0, I), however it is written: `mean + sd * torch.randn_like(mean)`,
`torch.normal(mean, sd)`, `Normal(mean, sd).rsample()`. Whatever is drawn in another way is no level.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vaelens.lens.function_calls import function_name

_DRAWS = frozenset(["randn", "randn_like", "normal"])
_ZEROS = frozenset(["zeros", "zeros_like", "new_zeros"])
# What is made of ε by these, with anything beside it, is still a draw about zero.
_TIMES = "mul rmul imul multiply div truediv itruediv neg matmul rmatmul bmm mv"
_PLUS = "add radd iadd sub rsub isub addcmul"
_ARRANGE = """view reshape view_as reshape_as expand expand_as unsqueeze squeeze flatten unflatten permute transpose
movedim to type type_as float double half bfloat16 contiguous clone detach getitem select narrow chunk split unbind"""
_SCALES, _SUMS, _LAYOUTS = (frozenset(names.split()) for names in (_TIMES, _PLUS, _ARRANGE))


class Level(nn.Module):
    """Hands a level's value through, so that hooks reach it."""

    def forward(self, value: Tensor) -> Tensor:
        """Returns the value itself."""
        return value


class Levelled:
    """A part whose levels, once they are found, are each handed through a module.

    Attributes:
        levels: the modules, in the order in which the levels are drawn.

    Args:
        part: the part.
    """

    def __init__(self, part: Callable[..., Any]):
        self._part, self._finding = part, False
        self.levels: list[Level] = []

    @contextmanager
    def finding(self) -> Iterator[None]:
        """Lets the run inside a `with` find the levels."""
        self.levels, self._finding = [], True
        try:
            yield
        finally:
            self._finding = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the part."""
        if not self.levels and not self._finding:
            return self._part(*args, **kwargs)
        with _LevelWatcher(self._through):
            return self._part(*args, **kwargs)

    def _through(self, number: int, value: Tensor) -> Tensor:
        if self._finding:
            self.levels.append(Level())
        return self.levels[number](value) if number < len(self.levels) else value


class _Known:
    """Tensors of which something is known, each for as long as nothing is written over it."""

    def __init__(self):
        # by id; the tensors are held, so that ids stay theirs
        self._versions: dict[int, tuple[Tensor, int | None]] = {}

    def add(self, *tensors: Tensor) -> None:
        """Adds tensors, which stay known until something is written over them."""
        self._versions.update((id(tensor), (tensor, _version(tensor))) for tensor in tensors)

    def discard(self, tensor: Tensor) -> None:
        """Removes a tensor."""
        self._versions.pop(id(tensor), None)

    def __contains__(self, tensor: Tensor) -> bool:
        noted = self._versions.get(id(tensor))
        return noted is not None and noted[1] == _version(tensor)


def _version(tensor: Tensor) -> int | None:
    """Counts how often a tensor was written over, or returns None for one made in a model's own inference mode."""
    return None if tensor.is_inference() else tensor._version


class _LevelWatcher(TorchFunctionMode):
    """Follows Gaussian noise from where it is drawn to where a mean is added to it.

    Args:
        reached: takes the level's number and value, and returns what flows on in its place.
    """

    def __init__(self, reached: Callable[[int, Tensor], Tensor]):
        super().__init__()
        self._reached, self._number = reached, 0
        self._noise, self._zeros = _Known(), _Known()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        tensors = [value for value in (*args, *(kwargs or {}).values()) if isinstance(value, Tensor)]
        noisy = [value in self._noise for value in tensors]  # before it may be written over
        of_zeros = bool(tensors) and tensors[0] in self._zeros
        result = func(*args, **(kwargs or {}))
        name = function_name(func)
        if isinstance(result, tuple | list) and name in _LAYOUTS and any(noisy):
            self._noise.add(*result)
        if not isinstance(result, Tensor):
            return result
        if any(result is value for value in tensors):  # written over, as in inference mode no version tells
            self._noise.discard(result)
            self._zeros.discard(result)
        if name in _DRAWS:
            mean = args[0] if args else (kwargs or {}).get("mean")
            if func is torch.normal and isinstance(mean, Tensor) and not of_zeros:
                return self._at_level(result, tensors)
            self._noise.add(result)
            return result
        if name in _ZEROS or (name in _LAYOUTS and of_zeros):
            self._zeros.add(result)
        if not any(noisy):
            return result
        if name in _SUMS and not all(noisy):
            return self._at_level(result, tensors)
        if name in _SCALES or name in _SUMS or name in _LAYOUTS:
            self._noise.add(result)
        return result

    def _at_level(self, value: Tensor, given: Sequence[Tensor]) -> Tensor:
        number, self._number = self._number, self._number + 1
        replaced = self._reached(number, value)
        if replaced is value or not any(value is source for source in given):
            return replaced
        return value.copy_(replaced)  # what an in-place function returns may never be looked at
