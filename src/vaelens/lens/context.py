"""The context that encoder and decoder are also given, such as a class label, a batch or a library size.

It is one row an observation, an array or a mapping of arrays by name. Inside it travels as one line of numbers a row,
so that whoever takes some rows takes their context; a part is given it in its own form.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelens.dense_arrays import dense_tensor, extremes
from vaelens.errors import VaelensError, unknown

ContextLike = Tensor | NDArray[Any] | Mapping[str, Any]  # rows (n, …), or several such by name
_ALONE = ""  # the name of a context that is one array


@dataclass(frozen=True)
class ContextField:
    """One array of a context.

    Attributes:
        name: of the array; "" where it is the only one and has none.
        shape: of one row.
        dtype: torch.int64, torch.bool, or None for floats, which are of the model's type.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype | None

    @property
    def columns(self) -> int:
        """How many numbers a row has."""
        return math.prod(self.shape)

    @property
    def what(self) -> str:
        """What it is called in a sentence."""
        return f"context {self.name!r}" if self.name else "the context"


@dataclass(frozen=True)
class ContextForm:
    """The form of a model's context, which is the names, shapes and types of its arrays.

    Attributes:
        fields: in the order of the line of numbers that a row is packed into.
    """

    fields: tuple[ContextField, ...]

    @classmethod
    def of(cls, context: Any) -> "ContextForm":
        """Finds the form of some rows of context.

        Raises:
            VaelensError: no array, or no mapping of arrays by name.
        """
        fields = []
        for name, rows in _arrays(context).items():
            tensor = _tensor(name, rows)
            kind = None if tensor.is_floating_point() else torch.bool if tensor.dtype == torch.bool else torch.int64
            fields.append(ContextField(name, tuple(tensor.shape[1:]), kind))
        return cls(tuple(fields))

    @property
    def described(self) -> str:
        """What is expected, in words."""
        kinds = {None: "floats", torch.int64: "whole numbers", torch.bool: "truth values"}
        each = [
            f"{field.name + ': ' if field.name else ''}{kinds[field.dtype]} of shape {_several(field)}"
            for field in self.fields
        ]
        return ", ".join(each)

    def packed(self, context: Any, rows: int, like: Tensor) -> Tensor:
        """Packs rows of context in one line each, (rows, k), on a tensor's device and of its type.

        Raises:
            VaelensError: none is given; other names, shapes or types than the model's; another number of rows; values
                that are no finite numbers, or whole ones that the model's type does not hold.
        """
        if context is None:
            raise VaelensError(f"this model takes a context besides; give context=, {self.described}")
        arrays = _arrays(context)
        names = [field.name for field in self.fields]
        for name in arrays:
            if name not in names:
                raise unknown("context", name or "an array without a name", [name or "one array" for name in names])
        return torch.cat([_packed(field, arrays, rows, like) for field in self.fields], dim=1)

    def unpacked(self, lines: Any) -> Any:
        """Unpacks the context as parts are given it, which is an array or a dictionary of arrays by name.

        Args:
            lines: (n, k); or what stands for such a tensor while a part is traced.
        """
        arrays: dict[str, Any] = {}
        start = 0
        for field in self.fields:
            columns = lines[:, start : start + field.columns]
            start += field.columns
            if field.dtype is torch.int64:
                columns = columns.round().to(torch.int64)
            elif field.dtype is torch.bool:
                columns = columns > 0.5
            arrays[field.name] = columns.reshape(-1, *field.shape)
        return arrays.get(_ALONE, arrays)


def in_context(
    function: Callable[..., Any], form: ContextForm, shape: Callable[[], Sequence[int]]
) -> Callable[[Any], Any]:
    """Wraps a part so that it takes each row and its context in one line.

    Args:
        function: the part, of rows (n, *shape) and their context.
        form: of the context.
        shape: gives the shape of one row, which is known when the part first runs.
    """

    def part(lines: Any) -> Any:
        size = math.prod(shape())
        return function(lines[:, :size].reshape(-1, *shape()), form.unpacked(lines[:, size:]))

    return part


def _packed(field: ContextField, arrays: Mapping[str, Any], rows: int, like: Tensor) -> Tensor:
    if field.name not in arrays:
        raise VaelensError(f"{field.what} is missing; give it too, {_several(field)}")
    tensor = _tensor(field.name, arrays[field.name])
    if len(tensor) != rows:
        raise VaelensError(f"{field.what} has {len(tensor)} rows for {rows} observations; give one row for each")
    if tuple(tensor.shape[1:]) != field.shape:
        raise VaelensError(f"{field.what} has shape {tuple(tensor.shape)}, expected {_several(field)}")
    if field.dtype is not None and tensor.is_floating_point():
        raise VaelensError(f"{field.what} has type {tensor.dtype}, expected whole numbers, as the example's are")
    line = tensor.reshape(rows, field.columns).to(like)
    if field.dtype is not None and not torch.equal(line.to(tensor.device, tensor.dtype), tensor.reshape(line.shape)):
        raise VaelensError(
            f"{field.what} has numbers too large for the model's type, {like.dtype}; number its values from 0"
        )
    if not math.isfinite(sum(extremes(line))):
        raise VaelensError(f"{field.what} contains NaN or infinite values; give finite numbers")
    return line


def _arrays(context: Any) -> dict[str, Any]:
    if isinstance(context, Mapping):
        if not context or not all(isinstance(name, str) and name for name in context):
            raise VaelensError(f"the context is a mapping of {list(context)}; expected names, one at least, to arrays")
        return dict(context)
    return {_ALONE: context}


def _tensor(name: str, rows: Any) -> Tensor:
    what = f"rows of context {name!r}" if name else "rows of context"
    tensor = dense_tensor(np.asarray(rows) if isinstance(rows, list | tuple) else rows, what, "(n, …)", "numbers")
    if tensor.ndim == 0 or tensor.is_complex():
        raise VaelensError(f"{what} have shape {tuple(tensor.shape)}; give one row for each observation")
    return tensor


def _several(field: ContextField) -> str:
    return f"({', '.join(['n', *map(str, field.shape)])}{',' if not field.shape else ''})"
