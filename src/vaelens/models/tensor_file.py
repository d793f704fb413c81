"""A file of tensors in the format safetensors, written with a checksum and looked at before it is read."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vaelens.errors import VaelensError

_LONGEST_HEADER = 16 * 2**20  # bytes; that of a model of ten thousand tensors is one of them
_LARGEST_HOLES = 64  # times what a file takes on disk, that it may seem to hold
_SMALL = 64 * 2**20  # bytes that are not worth the question
_FACTS = "vaelens"  # the key in the header
_CHECKSUM = "sha256"
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WHOLE = (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Writes the tensors, once for each of several names that share one.

    Args:
        path: the file.
        tensors: what is written, by name.
        metadata: what belongs to it, as JSON holds it.

    Raises:
        OSError: if the file cannot be written.
        VaelensError: if a tensor has no values, or is of a type that nothing computes with.
    """
    _check_types(path, tensors)
    separate = apart(tensors)
    facts = json.dumps({**metadata, _CHECKSUM: checksum(separate, metadata)}, sort_keys=True)
    try:
        # under one key, since safetensors writes several in an order that differs from time to time
        safetensors.torch.save_file(separate, path, metadata={_FACTS: facts})
    except safetensors.SafetensorError as error:  # with the system's reason in its text
        reason = str(error).rpartition("I/O error: ")[2]
        raise OSError(reason.partition(" (os error")[0]) from error


def read_tensors(path: Path, cure: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads the tensors onto the CPU, with the metadata that `write_tensors` took.

    Args:
        path: the file.
        cure: what to do where it is damaged, for the error.

    Raises:
        VaelensError: if it is damaged, or its numbers are of a type that nothing computes with.
    """
    tensors: dict[str, Tensor] = {}
    try:
        check_size(path)
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = dict(json.loads((file.metadata() or {}).get(_FACTS, "{}")))
            # cloned: the file may be replaced, and what is read from it must not be tied to it
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except VaelensError:
        raise
    except Exception as error:  # of a damaged header, safetensors raises almost anything
        raise VaelensError(f"{str(path)!r} is damaged ({_one_line(error)}); {cure}") from error
    _check_types(path, tensors)
    written = metadata.pop(_CHECKSUM, None)  # a file of others has none
    if written is not None and written != checksum(tensors, metadata):
        raise VaelensError(f"{str(path)!r} is damaged (its numbers are not those that were written); {cure}")
    return tensors, metadata


def checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Returns the SHA-256 of names, types, shapes and every bit of the tensors, and of metadata, in any order.

    Example:
        >>> a, b = torch.zeros(2), torch.ones(2)
        >>> checksum({"a": a, "b": b}) == checksum({"b": b, "a": a}), checksum({"a": a}) == checksum({"a": -a})
        (True, False)
    """
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors contiguous and no two in the same memory, as safetensors asks for."""
    separate: dict[str, Tensor] = {}
    written: set[int] = set()
    for name, tensor in tensors.items():
        contiguous = tensor.contiguous()
        memory = contiguous.untyped_storage().data_ptr()
        separate[name] = contiguous.clone() if memory in written else contiguous
        written.add(memory)
    return separate


def _check_types(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.is_meta:
            raise VaelensError(f"{name} is on the meta device, without values; there is nothing to write")
        if tensor.dtype not in _FLOATS + _WHOLE:
            raise VaelensError(
                f"{path.name!r} holds {name} as {tensor.dtype}, which PyTorch stores but does not compute with; "
                "convert it to torch.float32 and save it again"
            )


def check_size(path: Path) -> None:
    """Refuses a file that would take far more memory than it takes on disk.

    Raises:
        VaelensError: if its header is too long, or it is mostly holes.
    """
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > _LONGEST_HEADER:
        raise VaelensError(
            f"{str(path)!r} is damaged: its header would take {header:,} bytes, more than the "
            f"{_LONGEST_HEADER:,} that are read"
        )
    size, on_disk = path.stat().st_size, 512 * getattr(path.stat(), "st_blocks", path.stat().st_size)
    if size > max(_SMALL, _LARGEST_HOLES * on_disk):
        raise VaelensError(
            f"{str(path)!r} is damaged: it would unpack {on_disk:,} bytes to {size:,}, and at most {_LARGEST_HOLES} "
            "times as many are read"
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
