"""What to give a lens where a model's encode or decode returns its tensors inside of something else."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

_CODES = "mean", "mu", "loc", "z", "latent", "code"  # what a posterior's mean is often called
_IMAGES = "sample", "recon", "recon_x", "reconstruction", "x_recon", "x_hat", "images"


def way_out(result: Any, function: str, argument: str, rows: int) -> str:
    """Returns a clause that says how to take the tensor out of a result, such as a dictionary, or an empty one.

    Args:
        result: what a part returned.
        function: the name of the part, as the lens's argument.
        argument: what its argument is called.
        rows: how many it was given.

    Example:
        >>> import torch
        >>> way_out({"recon": torch.zeros(2, 3)}, "decode", "z", 2)
        "; give decode=lambda z: model.decode(z)['recon'], say"
    """
    tensors = {way: value for way, value in _inside(result).items() if _fits(value, rows)}
    if not tensors:
        return ""
    names = _IMAGES if function == "decode" else _CODES
    usual = [way for name in names for way in (f".{name}", f"[{name!r}]") if way in tensors]
    return f"; give {function}=lambda {argument}: model.{function}({argument}){[*usual, *tensors][0]}, say"


def _inside(result: Any) -> dict[str, Any]:
    """Lists what a result holds, by what to write behind it."""
    if isinstance(result, Tensor):
        return {}
    if isinstance(result, Mapping):
        return {f"[{key!r}]": value for key, value in result.items()}
    if isinstance(result, tuple | list):
        return {f"[{k}]": value for k, value in enumerate(result)}
    names = [field.name for field in fields(result)] if is_dataclass(result) else [*getattr(result, "__dict__", ())]
    return {f".{name}": getattr(result, name) for name in names if not name.startswith("_")}


def _fits(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.ndim >= 2 and len(value) == rows and value.is_floating_point()
