"""Whether what a part of a model makes of an image hangs on the other images of its batch."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from vaelens.lens.execution import undisturbed
from vaelens.lens.kept import first


def alone_as_together(
    model: nn.Module, function: Callable[[Tensor], Any], images: Tensor, together: Tensor, tolerance: float
) -> bool:
    """Whether each image gives by itself what it gave among the others.

    Args:
        model: the model.
        function: the part; runs modules of the model.
        images: its input, of two rows or more.
        together: its first result on all of them.
        tolerance: how far the two may differ, times the largest value.
    """
    for row, expected in enumerate(together):
        try:
            with undisturbed(model):
                found = first(function(images[row : row + 1].clone()))
        except Exception:  # a model may count on more than one
            return False
        if found.shape != expected[None].shape:
            return False
        if float((found[0] - expected).abs().max()) > tolerance * float(expected.abs().max()):
            return False
    return True
