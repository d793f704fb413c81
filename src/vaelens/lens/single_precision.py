"""Products of single precision in single precision, where PyTorch would round their factors to fewer bits.

A GPU's convolutions, and its matrix products where `torch.set_float32_matmul_precision` allows it, round each factor to
TF32, of 10 bits. Small effects drown in the resulting errors of 1e-3.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_WHOLE = ("none", "ieee")


@contextmanager
def single_precision() -> Iterator[None]:
    """Multiplies float32 values in float32 inside a `with`, after which what was allowed before is allowed again.

    Example:
        >>> torch.set_float32_matmul_precision("high")
        >>> with single_precision():
        ...     torch.get_float32_matmul_precision()
        'highest'
        >>> torch.get_float32_matmul_precision()
        'high'
        >>> torch.set_float32_matmul_precision("highest")
    """
    operations = _operations()
    each = [operation.fp32_precision for operation in operations]
    convolutions, products = _convolutions_are_lowered(), _precision_of_products()
    if convolutions:
        torch.backends.cudnn.allow_tf32 = False
    if products != "highest":
        torch.set_float32_matmul_precision("highest")
    for operation in operations:
        if operation.fp32_precision not in _WHOLE:
            operation.fp32_precision = "ieee"
    try:
        yield
    finally:
        if convolutions:
            torch.backends.cudnn.allow_tf32 = True
        if products != "highest":
            torch.set_float32_matmul_precision(products)
        for operation, before in zip(operations, each, strict=True):
            if operation.fp32_precision != before:
                operation.fp32_precision = before


def _operations() -> list[Any]:
    """Lists the kinds of operation whose precision PyTorch 2.9 and later set one by one, besides the older settings."""
    backends: Any = torch.backends
    if not hasattr(backends.cudnn, "conv"):
        return []
    cudnn, cpu = backends.cudnn, backends.mkldnn
    return [cudnn.conv, cudnn.rnn, backends.cuda.matmul, cpu.conv, cpu.rnn, cpu.matmul]


def _convolutions_are_lowered() -> bool:
    try:
        return torch.backends.cudnn.allow_tf32
    except RuntimeError:  # set one by one, which the older setting can't tell
        return False


def _precision_of_products() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # set one by one
        return "highest"
