"""The devices that this machine can compute on, by name."""

import torch

from vaelens.errors import VaelensError
from vaelens.models.annotations import DeviceName


def check_default_device() -> None:
    """Refuses a default device other than the CPU, on which everything is drawn here.

    Raises:
        VaelensError: `torch.set_default_device` was called with another.
    """
    default = torch.get_default_device()
    if default.type != "cpu":
        raise VaelensError(
            f"torch.set_default_device is {str(default)!r}, and what is drawn here is drawn on the CPU: call "
            'torch.set_default_device("cpu"), and put the model itself where it shall run, model.to('
            f'"{default.type}")'
        )


def find_device(device: DeviceName) -> torch.device:
    """Finds the device of that name, where "auto" is an accelerator if there is one.

    Args:
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        VaelensError: if this machine has no such device, or makes new tensors elsewhere than on the CPU.
    """
    check_default_device()
    available = ["cpu"]
    if torch.cuda.is_available():
        available += ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        available.append("mps")
    if device == "auto":
        return torch.device(available[1] if len(available) > 1 else "cpu")
    if str(device) not in available:
        raise VaelensError(f"device {str(device)!r} was asked for; this machine has {', '.join(available)}")
    return torch.device(str(device))
