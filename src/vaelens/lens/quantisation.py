"""Quantisation, which maps each position of a latent to a code of its codebook.

The nearest code is found in float64 and in blocks of one size. The rounding of the sum of products in a distance
depends on how many rows it is computed for, so that a position between two codes would else go to one or the other
depending on how the images were cut into chunks.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaelens.errors import VaelensError
from vaelens.float64 import to_float64
from vaelens.models.quantiser import Quantised

Rule = Callable[[Tensor], Any]

_BLOCK = 256  # positions whose distances are taken at once; bounds the memory to 256 distances a code


class Quantisation:
    """A codebook of K codes of d dimensions, and the map of each position's embedding to one of them.

    Args:
        codebook: (K, d), an nn.Embedding, or a function that gives it; read anew each time, so that it is the model's.
        rule: embeddings (n, d, *positions) to the index of the code that each position takes, (n, *positions). The
            nearest in the Euclidean sense by default.
        learnt: of codes that are computed, the tensors which were learnt for them.

    Raises:
        VaelensError: a codebook that is no (K, d) tensor of finite numbers.

    Example:
        >>> line = Quantisation(torch.tensor([[-1.0], [2.0]]))
        >>> found = line(torch.tensor([[[0.4, 0.6]]]))
        >>> found.indices.tolist(), found.embedding.tolist()
        ([[0, 1]], [[[-1.0, 2.0]]])
    """

    def __init__(self, codebook: Any, rule: Rule | None = None, learnt: Sequence[Tensor] = ()):
        if isinstance(codebook, nn.Embedding):
            table = codebook
            self._read: Callable[[], Any] = lambda: table.weight
        else:
            self._read = codebook if callable(codebook) else lambda: codebook
        self._rule, self.learnt = rule, tuple(learnt)
        codes = self._read()
        if not isinstance(codes, Tensor) or codes.ndim != 2 or not codes.is_floating_point() or 0 in codes.shape:
            what = f"type {type(codes).__name__}"
            if isinstance(codes, Tensor):
                what = f"shape {tuple(codes.shape)} and {str(codes.dtype).removeprefix('torch.')}"
            raise VaelensError(
                f"the codebook is of {what}; expected a tensor of floats (codes, d), or a function that gives one"
            )
        if not torch.isfinite(codes).all():
            raise VaelensError("the codebook contains NaN or infinite values; give the codes of a trained model")

    @property
    def codebook(self) -> Tensor:
        """The codes, (K, d)."""
        return self._read().detach()

    def embedding(self, indices: Tensor) -> Tensor:
        """Looks up the codes of these indices, (n, d, *positions) for (n, *positions)."""
        # Left in the order in which rows are looked up, as the models do it: the decoder then runs the same kernels.
        return self.codebook[indices.to(self.codebook.device)].movedim(-1, 1)

    def __call__(self, embeddings: Tensor) -> Quantised:
        """Maps embeddings (n, d, *positions) to the codes that they take.

        Raises:
            VaelensError: embeddings of another width than the codes; a rule that gives no index of a code for each
                position.
        """
        codes, width = self.codebook.shape
        if embeddings.shape[1] != width:
            raise VaelensError(
                f"the latent has {embeddings.shape[1]} dimensions and the codebook's codes have {width}; give the "
                "codebook that this latent is quantised with"
            )
        if self._rule is None:
            rows = embeddings.movedim(1, -1)  # (n, *positions, d)
            indices = nearest(rows.reshape(-1, width), self.codebook.to(embeddings)).reshape(rows.shape[:-1])
        else:
            indices = _checked(self._rule(embeddings.clone()), embeddings, codes)
        return Quantised(self.embedding(indices).to(embeddings), indices)


def nearest(points: Tensor, codebook: Tensor) -> Tensor:
    """Finds the index of the code nearest to each point, the lower one of two that are equally near.

    Args:
        points: (m, d).
        codebook: (K, d).

    Returns:
        (m,) of int64. A point gives the same index whatever the others are.
    """
    codes = to_float64(codebook)
    squares = codes.square().sum(dim=1)
    indices = []
    for block in points.split(_BLOCK):
        filled = functional.pad(to_float64(block), (0, 0, 0, _BLOCK - len(block)))
        # ‖z − e‖² without ‖z‖², which is the same for every code
        indices.append(torch.addmm(squares, filled, codes.T, alpha=-2).argmin(dim=1)[: len(block)])
    return torch.cat(indices).to(points.device)


def rows_that_differ(values: Tensor, expected: Tensor) -> Tensor:
    """Finds the indices of the rows in which two tensors are not the same, (m,).

    How many there are is known only once a GPU has caught up. What is then done with them needs no waiting.
    """
    return (values != expected).reshape(len(values), -1).any(dim=1).nonzero()[:, 0]


def _checked(indices: Any, embeddings: Tensor, codes: int) -> Tensor:
    expected = (len(embeddings), *embeddings.shape[2:])
    if not isinstance(indices, Tensor) or tuple(indices.shape) != expected or indices.is_floating_point():
        what = (
            f"{indices.dtype} of shape {tuple(indices.shape)}"
            if isinstance(indices, Tensor)
            else f"a {type(indices).__name__}"
        )
        raise VaelensError(f"quantise gave {what}; expected the index of a code at each position, integers {expected}")
    indices = indices.long()
    if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < codes:
        raise VaelensError(
            f"quantise gave indices {int(indices.min())} to {int(indices.max())}; the codebook's are 0 to {codes - 1}"
        )
    return indices
