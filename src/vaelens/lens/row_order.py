"""The order of the rows of activations, which a model may change inside, as one that sorts series by length does.

Each row is known again by its size, which costs one pass over each activation of two small batches.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import is_fake

from vaelens.lens.isolation import random_states

CallKey = tuple[nn.Module, int]  # a module, and how often it had been called before
_CLOSE, _FAR = 1e-5, 1e-4  # of the largest size: the rows are computed beside others, so that rounding differs


class RowOrder:
    """What the rows of a part's input, and of the activations of its calls, are known by.

    Args:
        inputs: what the part is given, (images, …).
    """

    def __init__(self, inputs: Tensor):
        self.images, self._device = len(inputs), inputs.device
        self._inputs = _row_sizes(inputs, self.images)
        self._random = random_states(self._device) if self._inputs else None
        self._calls: dict[CallKey, dict[int, Tensor]] = {}

    def note(self, call: CallKey, activation: Tensor) -> None:
        """Notes the rows of what a call returned."""
        self._calls[call] = _row_sizes(activation, self.images)

    def moved(self, other: "RowOrder", order: Sequence[int], axes: Mapping[CallKey, int]) -> set[CallKey]:
        """Finds the calls whose activation holds the images in another order than the part was given them.

        None is found where the part drew since, so that a row is not its image's alone, or where the input's rows
        are not the same in both, as those of codes that are drawn are not.

        Args:
            other: of the same images and more, in another order.
            order: for each image its place among the other's.
            axes: by call, on which axis the images lie.
        """
        if not self._inputs or random_states(self._device) != self._random:
            return set()
        if not in_order(self._inputs[0], other._inputs[0], order):
            return set()
        pairs = {call: (self._calls[call].get(axis), other._calls[call].get(axis)) for call, axis in axes.items()}
        return {
            call
            for call, (here, there) in pairs.items()
            if here is not None and there is not None and in_another_order(here, there, order)
        }


def in_another_order(sizes: Tensor, other: Tensor, order: Sequence[int]) -> bool:
    """Tells whether rows lie in another order than the images: each is another's than its image's row.

    A row that is nobody's, as where rows depend on each other, tells nothing.

    Args:
        sizes: of the rows of some images, (rows,).
        other: of the rows of the same images and more, in another order.
        order: for each image its place among the others.

    Example:
        >>> rows = torch.tensor([1.0, 2])
        >>> in_another_order(rows, torch.tensor([2.0, 1, 3]), [1, 0])
        False
        >>> in_another_order(rows, torch.tensor([1.0, 2, 3]), [1, 0])
        True
    """
    distances, own = _distances(sizes, other, order)
    return bool((distances.amin(1) <= _CLOSE).all() and (own > _FAR).any())


def in_order(sizes: Tensor, other: Tensor, order: Sequence[int]) -> bool:
    """Tells whether each row is its image's row; the arguments are those of `in_another_order`."""
    return bool((_distances(sizes, other, order)[1] <= _CLOSE).all())


def _distances(sizes: Tensor, other: Tensor, order: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Computes how far each row is from each of the others, and from its image's, as shares of the largest size."""
    distances = (sizes[:, None] - other).abs() / other.max()
    return distances, distances[range(len(sizes)), list(order[: len(sizes)])]


def _row_sizes(activation: Tensor, rows: int) -> dict[int, Tensor]:
    """Computes the sizes along each axis that may be the images', (rows,) each. Without values there are none."""
    if is_fake(activation) or activation.is_meta or activation.layout != torch.strided:
        return {}
    with torch._C.DisableTorchFunction():  # whoever counts the uses of an activation is not to see these
        return {axis: _sizes(activation.detach(), axis) for axis, size in enumerate(activation.shape) if size == rows}


def _sizes(activation: Tensor, axis: int) -> Tensor:
    others = [other for other in range(activation.ndim) if other != axis]
    kind = torch.promote_types(activation.dtype, torch.float32)
    return torch.linalg.vector_norm(activation, 1, others, dtype=kind)
