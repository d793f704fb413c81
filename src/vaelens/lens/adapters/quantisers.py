"""The codes of a quantiser of vector-quantize-pytorch and its own rule, where `codebook=` is the module itself.

A quantiser of several levels has a code for each choice of one code a level, numbered with the first level's slowest.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.adapters.lineage import lineage
from vaelens.lens.quantisation import Quantisation, Rule

PACKAGE = "vector_quantize_pytorch"
_MOST = 2**16  # codes of all levels together, each of which an effect may be asked for
_PROBES = 32  # embeddings on which codes and rule are compared


def quantisation_of(codebook: Any, rule: Rule | None) -> Quantisation:
    """Returns the codebook that a user names, with its rule.

    Args:
        codebook: codes (K, d), an nn.Embedding, a function that gives codes, or a quantiser of vector-quantize-pytorch.
        rule: which code an embedding takes; the quantiser's own, or the nearest, where None.

    Raises:
        VaelensError: another module, or a quantiser whose codes can't be told from its indices.
    """
    if not isinstance(codebook, nn.Module) or isinstance(codebook, nn.Embedding):
        return Quantisation(codebook, rule)
    if not lineage(codebook, PACKAGE):
        raise VaelensError(
            f"codebook is a {type(codebook).__name__}; expected the codes (K, d), an nn.Embedding, or a quantiser of "
            "vector-quantize-pytorch"
        )
    levels = _Levels(codebook)
    # What is learnt without gradients; tables of others were never learnt.
    learnt = [buffer for name, buffer in codebook.named_buffers() if name.endswith("_codebook.embed")]
    return Quantisation(levels.codes, rule or levels.indices, learnt)


class _Levels:
    """A quantiser of one or more levels, as one codebook.

    Raises:
        VaelensError: more codes than can be listed, or outputs that are no codes of the indices beside them.
    """

    def __init__(self, quantiser: Any):
        self._quantiser = quantiser
        # Axes of positions, which one that takes pictures or volumes expects after its channels.
        self._axes = 2 if getattr(quantiser, "accept_image_fmap", False) else 1
        self._axes = 3 if getattr(quantiser, "accept_3d_fmap", False) else self._axes
        self._channels_first = (
            self._axes > 1
            or bool(getattr(quantiser, "channel_first", False))
            or not getattr(quantiser, "channel_last", True)
        )
        name, instead = type(quantiser).__name__, "give them, codebook=codes of shape (K, d), and quantise="
        try:
            books = getattr(quantiser, "codebooks", None)  # of each level
            self._residual = books is not None
            self._sizes = [int(quantiser.codebook_size)] if books is None else [len(book) for book in books]
            total = math.prod(self._sizes)
            same = total > _MOST or self._agree()
        except Exception as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise VaelensError(f"the codes of this {name} can't be listed ({why}); {instead}") from error
        if total > _MOST:
            size, levels = self._sizes[0], len(self._sizes)
            even = self._sizes == [size] * levels
            product = f"{size}^{levels}" if even else " · ".join(map(str, self._sizes))
            raise VaelensError(
                f"this {name} has {product} = {total:,} codes, of which {_MOST:,} can be listed; of "
                f"those in use {instead}"
            )
        if not same:
            raise VaelensError(
                f"this {name} gives something else than the codes of its indices, as one does that was not trained "
                f"yet; {instead}"
            )

    def _agree(self) -> bool:
        """Tells whether embeddings become the codes of the indices that they are given."""
        codes = self.codes()
        probes = torch.randn(_PROBES, codes.shape[1], generator=torch.Generator().manual_seed(0)).to(codes)
        # A copy, as one that was not trained yet makes codes of the first embeddings that it sees.
        outputs, taken = self._quantised(probes, copy.deepcopy(self._quantiser))
        return torch.allclose(codes[self._numbers(taken)], outputs, rtol=1e-4, atol=1e-4)

    def codes(self) -> Tensor:
        """Returns every code, (K, d)."""
        device = next(chain(self._quantiser.parameters(), self._quantiser.buffers())).device
        numbers = torch.arange(math.prod(self._sizes), device=device)
        levels, rest = [], numbers
        for size in reversed(self._sizes):
            levels.insert(0, rest % size)
            rest = rest // size
        with _evaluated(self._quantiser):
            return self._read(torch.stack(levels, dim=1) if self._residual else numbers)

    def _read(self, indices: Tensor) -> Tensor:
        """Looks up the codes (m, d) of indices (m,), or (m, levels) of a residual quantiser."""
        quantiser = self._quantiser
        if "VectorQuantize" in lineage(quantiser, PACKAGE):
            # Its own `get_output_from_indices` projects what it has laid out with the channels first by then.
            values = quantiser.get_codes_from_indices(indices[None])[0]
            return quantiser.project_out(values.T if self._channels_first else values)
        read = getattr(quantiser, "get_output_from_indices", None) or quantiser.indices_to_codes
        values = read(indices[None])[0]
        return values.reshape(len(values), -1).T if self._channels_first else values.reshape(len(indices), -1)

    def indices(self, embeddings: Tensor) -> Tensor:
        """Returns the index of the code that each position of embeddings (n, d, *positions) takes, (n, *positions)."""
        rows = embeddings.movedim(1, -1)
        _, taken = self._quantised(rows.reshape(-1, rows.shape[-1]), self._quantiser)
        return self._numbers(taken).reshape(rows.shape[:-1])

    def _quantised(self, rows: Tensor, quantiser: Any) -> tuple[Tensor, Tensor]:
        """Quantises embeddings (m, d) to outputs (m, d), with the index of their code at each level, (m, levels)."""
        laid_out = rows.T if self._channels_first else rows
        with _evaluated(quantiser):
            outputs, indices = quantiser(laid_out.reshape(1, *laid_out.shape, *[1] * (self._axes - 1)))[:2]
        outputs = outputs[0].reshape(len(laid_out), -1)
        return outputs.T if self._channels_first else outputs, indices[0].reshape(len(rows), -1)

    def _numbers(self, indices: Tensor) -> Tensor:
        """Computes the numbers (m,) of codes from their indices at each level, (m, levels)."""
        numbers = torch.zeros_like(indices[:, 0])
        for size, level in zip(self._sizes, indices.T, strict=True):
            numbers = numbers * size + level
        return numbers.long()


@contextmanager
def _evaluated(quantiser: nn.Module) -> Iterator[None]:
    """Has a quantiser choose codes inside a `with` and learn nothing from it."""
    modes = [(module, module.training) for module in quantiser.modules()]
    quantiser.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
