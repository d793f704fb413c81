"""Whether tensors are the same, by the memory that they lie in or by their values but for rounding."""

import torch
from torch import Tensor


def storage_of(tensor: Tensor) -> int:
    """Returns what tells the memory that a tensor lies in, of a stand-in too, which has no data; 0 of a sparse one."""
    return tensor.untyped_storage()._cdata if tensor.layout == torch.strided else 0


def same_but_rounding(values: Tensor, expected: Tensor, tolerance: float) -> bool:
    """Tells whether values differ by no more than a share of the largest, or 8 units in the last place.

    What is infinite or no number is so in both.

    Example:
        >>> expected = torch.tensor([1.0, 100.0])
        >>> same_but_rounding(expected + 1e-4, expected, 1e-5), same_but_rounding(expected + 1e-2, expected, 1e-5)
        (True, False)
    """
    if values.shape != expected.shape:
        return False
    if not expected.is_floating_point():
        return torch.equal(values.to(expected), expected)
    share = max(tolerance, 8 * torch.finfo(expected.dtype).eps)
    largest = float(expected.abs().nan_to_num(0, 0).max()) if expected.numel() else 0.0
    return torch.allclose(values.to(expected), expected, rtol=0, atol=share * largest, equal_nan=True)
