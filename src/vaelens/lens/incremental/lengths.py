"""The length of a tensor in a user's code, `x.view(len(x), -1)`, which torch.fx does not follow by itself."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import fx, nn

_LIBRARY = ("torch.", "builtins")


@contextmanager
def traced_lengths(model: nn.Module) -> Iterator[None]:
    """Has `len` of a stand-in for a tensor stand for `.size(0)`, in the files that the model's classes are from.

    Python itself takes nothing but an int from `__len__`, so the name `len` of these files is set for a while. In
    other threads it does what it always does.
    """
    names = {cls.__module__ for module in model.modules() for cls in type(module).__mro__}
    files = [vars(sys.modules[name]) for name in names if name in sys.modules and not name.startswith(_LIBRARY)]
    changed = [file for file in files if "len" not in file]
    for file in changed:
        file["len"] = _length
    try:
        yield
    finally:
        for file in changed:
            file.pop("len", None)


def _length(values: Any) -> Any:
    return values.size(0) if isinstance(values, fx.Proxy) else len(values)
