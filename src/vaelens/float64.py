"""Double precision where a device has it, and on the host where it has not."""

from torch import Tensor

WITHOUT = {"mps"}  # types of device whose tensors cannot be of double precision


def to_float64(values: Tensor) -> Tensor:
    """Returns the values in double precision, on their device if that is possible."""
    return (values.cpu() if values.device.type in WITHOUT else values).double()
