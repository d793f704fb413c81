"""The modes over positions of a quantised latent, each of which puts another code in the place of a position's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.codes import Codebook, Codes
from vaelens.effects.record import Array
from vaelens.effects.replacements import Replacements, Rows, draw_count, partners
from vaelens.errors import VaelensError

SWAPS = 4
_BLOCK = 1024  # images whose swaps are drawn at once


def swap_codes(codes: Codes, values: Any, seed: int) -> Replacements:
    """Replaces a position's code by another, drawn by its frequency among all codes of the images.

    P(c → c') = f(c') / (1 − f(c)) for c' ≠ c, f over all positions of all images.

    Raises:
        VaelensError: a latent that is not quantised, a position of its own, one code in use only.
    """
    count = draw_count(values, "swap", SWAPS)
    book = _codebook(codes, "swap")
    if codes.positions.asked != "all":
        raise VaelensError(
            f"mode 'swap' goes over the positions one by one, and positions is {codes.positions.asked!r}; leave it out"
        )
    if book.use.codes_used < 2:
        only = int(np.argmax(book.use.counts))
        raise VaelensError(
            f"all positions of these {len(codes.z)} images take code {only}, so none can be swapped for another in "
            "use: the codebook is dead on these images; train the model further, or use a mode over latents"
        )
    generator = np.random.default_rng(seed)
    indices = book.indices.reshape(len(codes.z), -1)  # (n, positions)
    drawn = [other_codes(indices, book.use.counts, generator) for _ in range(count)]
    return _over_positions(codes, np.arange(count), lambda rows, position, k: drawn[k][rows, position])


def posterior_codes(codes: Codes, values: Any, seed: int) -> Replacements:
    """Replaces a position's code by the one that another of the images has there, which may be the same."""
    donors = partners(codes, draw_count(values, "posterior", 1), seed)
    indices = _codebook(codes, "posterior").indices.reshape(len(codes.z), -1)  # (n, positions)
    return _over_positions(codes, np.arange(len(donors)), lambda rows, position, k: indices[donors[k][rows], position])


def other_codes(indices: Tensor, counts: Array, generator: np.random.Generator) -> Tensor:
    """Draws another code in the place of each one taken, by its frequency, (n, positions).

    All codes taken are laid out in order, equal ones side by side; one is drawn uniformly among those outside the
    block of the code itself.

    Args:
        indices: the codes taken, (n, positions).
        counts: how often each code of the codebook is.
        generator: draws.
    """
    ends = np.cumsum(counts)
    drawn = torch.empty_like(indices)
    for rows in torch.arange(len(indices)).split(_BLOCK):  # on the way a number takes eight bytes
        own = indices[rows].cpu().numpy()
        size = counts[own]
        place = generator.integers(0, ends[-1] - size)
        place = np.where(place >= ends[own] - size, place + size, place)
        drawn[rows] = torch.as_tensor(np.searchsorted(ends, place, side="right")).to(drawn)
    return drawn


def _over_positions(codes: Codes, labels: Array, new_codes: Callable[[Rows, int, int], Tensor]) -> Replacements:
    """Builds the replacements of positions' codes by others, given by an index for each image, (rows,)."""
    shape = tuple(codes.z.shape[2:])
    embeddings = codes.code_embeddings
    assert embeddings is not None, "a latent that is not quantised was refused"

    def changed(rows: Rows, position: int, k: int) -> Tensor:
        edited = codes.z[rows].clone()
        place = np.unravel_index(position, shape)
        edited[(slice(None), slice(None), *place)] = embeddings[new_codes(rows, position, k).long()]
        return edited

    return Replacements("position", int(np.prod(shape)), labels, changed)


def _codebook(codes: Codes, mode: str) -> Codebook:
    if codes.codebook is None:
        raise VaelensError(
            f"mode {mode!r} replaces codes of a codebook, and this latent is not quantised; use one of range, shift, "
            "posterior, prior, conditional"
        )
    return codes.codebook
