"""Whether a part's Python code reads values of its input, as a branch does: a row may then decide for all of a batch.

Every operation on something computed from the input gives something computed from it; told by the memory it lies in.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_READS = frozenset([torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default])
_WHOLE_READS = frozenset([Tensor.tolist, Tensor.numpy, Tensor.__array__])  # of which no operation is told


def reads_values(function: Callable[[Tensor], Any], example: Tensor) -> bool:
    """Run a part on an example and see whether Python reads a value that depends on it.

    That is a branch or a loop on one (`if z.max() > 3`), `item()`, `tolist()`, `numpy()`, a conversion to a number.
    """
    derived = _Derived(example)
    with ExitStack() as stack:
        stack.enter_context(_WholeReads(derived))
        stack.enter_context(_ScalarReads(derived))
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


class _ScalarReads(TorchDispatchMode):
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
            self._derived.read |= func in _READS
            self._derived.add(_tensors(result))
            if func._schema.is_mutable:
                self._derived.add(_tensors((args, kwargs)))
        return result


class _WholeReads(TorchFunctionMode):
    """Sees tensors leave PyTorch as lists and arrays."""

    def __init__(self, derived: _Derived):
        super().__init__()
        self._derived = derived

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _WHOLE_READS and self._derived.has_any(args):
            self._derived.read = True
        return func(*args, **(kwargs or {}))


def _tensors(values: Any) -> Iterable[Tensor]:
    return (value for value in tree_leaves(values) if isinstance(value, Tensor))
