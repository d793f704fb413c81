"""The weights of a model, one of which says on which device and in which type it computes, and their hash."""

import hashlib
import io
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from vaelens.errors import VaelensError


def weight_of(module: nn.Module) -> Tensor:
    """Finds a floating-point weight of a model that has values.

    Raises:
        VaelensError: there is none.
    """
    elsewhere = False
    for tensor in chain(module.parameters(), module.buffers()):
        elsewhere = elsewhere or tensor.is_meta
        if not tensor.is_meta and tensor.is_floating_point():
            return tensor
    if elsewhere:
        raise VaelensError(
            f"the weights of this {type(module).__name__} are on the meta device and have no values; load them "
            "before a lens looks at it"
        )
    raise VaelensError(
        f"{type(module).__name__} has no parameters (quantize_dynamic packs them away); a lens needs a model with "
        "weights that are tensors"
    )


def check_made(module: nn.Module) -> None:
    """Checks that a model has its weights, which a lazy layer has from its first run on.

    Raises:
        VaelensError: it has not.
    """
    lazy = [name for name, tensor in chain(module.named_parameters(), module.named_buffers()) if is_lazy(tensor)]
    if lazy:
        raise VaelensError(
            f"{lazy[0]} of this {type(module).__name__} is made when the model first runs, and it has not run yet; "
            "run it once on your data, or load its weights, before a lens looks at it"
        )


def weights_hash(module: nn.Module) -> str:
    """Computes the SHA-256 of the names and values of a model's state.

    Of weights that are elsewhere (on the meta device, as offloading leaves them) the shapes count.
    """
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        for part in _parts(value):
            digest.update(part)
    return digest.hexdigest()


def _parts(value: Any) -> list[bytes]:
    """Returns what counts of a value in a state, which may be of a layer's own kind, as of packed weights."""
    if isinstance(value, Tensor):
        return [_bytes(value.detach())]
    if isinstance(value, tuple | list):
        return [part for item in value for part in _parts(item)]
    if isinstance(value, dict):
        return [part for key, item in value.items() for part in (str(key).encode(), *_parts(item))]
    if isinstance(value, io.BytesIO):
        return [value.getvalue()]
    known = value is None or isinstance(value, bool | int | float | str | bytes | torch.dtype)
    return [repr(value if known else type(value)).encode()]


def _bytes(tensor: Tensor) -> bytes:
    if tensor.is_meta:
        return f"{tuple(tensor.shape)} {tensor.dtype}".encode()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    dense = tensor if tensor.layout == torch.strided else tensor.to_dense()
    return dense.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
