"""Detects Python code that reads values of a part's input, such as a branch, where a row may decide for its batch.

What an operation computes from a value derived from the input is derived from it too, and is known by its memory.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# How values leave PyTorch. What it reads itself, as to check the labels of `one_hot`, is no reading of the part's code.
_TO_NUMBERS = ("item", "__bool__", "__int__", "__float__", "__complex__", "__index__", "__contains__", "is_nonzero")
_READS = frozenset([*_TO_NUMBERS, "tolist", "numpy", "__array__", "equal", "allclose"])


def reads_values(function: Callable[[Tensor], Any], example: Tensor) -> bool:
    """Runs a part on an example and tells whether Python reads a value that depends on it.

    A read is a branch or a loop on one (`if z.max() > 3`), `item()`, `tolist()`, `numpy()`, a conversion to a number.
    """
    derived = _Derived(example)
    with ExitStack() as stack:
        stack.enter_context(_Reads(derived))
        stack.enter_context(_Operations(derived))
        function(example)
    return derived.read


class _Derived:
    """The memory of what is computed from an example, and whether a value of it was read.

    Args:
        example: the tensor that all is computed from.
    """

    def __init__(self, example: Tensor):
        self.read = False
        self._storages: dict[int, Any] = {}  # held, so that no other tensor gets their addresses
        self.add([example])

    def add(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            if tensor.layout == torch.strided:
                storage = tensor.untyped_storage()
                self._storages[storage._cdata] = storage

    def has_any(self, values: Any) -> bool:
        return any(
            tensor.layout == torch.strided and tensor.untyped_storage()._cdata in self._storages
            for tensor in _tensors(values)
        )


class _Operations(TorchDispatchMode):
    """Follows every operation on the memory of what is derived."""

    def __init__(self, derived: _Derived):
        super().__init__()
        self._derived = derived

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        depends = self._derived.has_any((args, kwargs))
        result = func(*args, **kwargs)
        if depends:
            self._derived.add(_tensors(result))
            if func._schema.is_mutable:
                self._derived.add(_tensors((args, kwargs)))
        return result


class _Reads(TorchFunctionMode):
    """Notices values that leave PyTorch as numbers, lists and arrays."""

    def __init__(self, derived: _Derived):
        super().__init__()
        self._derived = derived

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", None) in _READS and self._derived.has_any(args):
            self._derived.read = True
        return func(*args, **(kwargs or {}))


def _tensors(values: Any) -> Iterable[Tensor]:
    return (value for value in tree_leaves(values) if isinstance(value, Tensor))
