"""What one code of a codebook does to images when another is put in its place, or it in the place of another.

Costs five decoder rows for each image that a code is tried on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.code_swaps import other_codes
from vaelens.effects.codes import Codebook
from vaelens.effects.decoded_chunk import DecodedChunk
from vaelens.effects.entropy import rounding_of
from vaelens.effects.outcomes import sizes
from vaelens.effects.record import RESAMPLES, Array
from vaelens.lens import Batch, Lens
from vaelens.statistics import BootstrapMean

_STREAM = 6  # of the seed
_ENERGY = 0.95  # of a change's squares, that lies within its reach


@dataclass(frozen=True, eq=False)
class CodeGrid:
    """Where on an observation the positions of a latent lie, each axis cut into one equal cell for each position.

    Attributes:
        positions: how many on each axis.
        sizes: of the observation's axes behind its channels.
    """

    positions: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def fits(self) -> bool:
        """Whether there is an axis of positions for each axis of the observation."""
        return len(self.positions) == len(self.sizes) > 0

    def span(self, position: int, around: int = 0) -> list[tuple[int, int]]:
        """Computes start and stop of a position's cell on each axis, widened by `around` cells on either side.

        They may lie outside the observation.
        """
        spans = []
        places = np.unravel_index(position, self.positions)
        for place, count, size in zip(places, self.positions, self.sizes, strict=True):
            cell = size / count
            start = int(np.floor((place - around) * cell))
            spans.append((start, start + int(np.ceil((2 * around + 1) * cell))))
        return spans

    def distances(self, positions: Array) -> Tensor:
        """Computes each value's distance from a position's cell, the largest over the axes, (n, *sizes)."""
        by_axis = []
        for axis, size in enumerate(self.sizes):
            spans = np.array([self.span(position)[axis] for position in positions.tolist()])
            values = np.arange(size)
            away = np.maximum(spans[:, :1] - values, values - (spans[:, 1:] - 1)).clip(min=0)  # (n, size)
            shape = [len(away), *[1] * len(self.sizes)]
            shape[1 + axis] = size
            by_axis.append(np.broadcast_to(away.reshape(shape), (len(away), *self.sizes)))
        return torch.as_tensor(np.max(by_axis, axis=0))

    def patches(self, images: Tensor, positions: Array) -> Array:
        """Cuts three cells on each axis about a position out of each image, (n, channels, *patch), NaN outside."""
        parts = []
        for image, position in zip(images, positions.tolist(), strict=True):
            spans = self.span(position, around=1)
            patch = np.full((len(image), *(stop - start for start, stop in spans)), np.nan, np.float32)
            inside = [(max(start, 0), min(stop, size)) for (start, stop), size in zip(spans, self.sizes, strict=True)]
            into = [slice(a - start, b - start) for (a, b), (start, _) in zip(inside, spans, strict=True)]
            patch[(slice(None), *into)] = image[(slice(None), *(slice(a, b) for a, b in inside))].cpu().numpy()
            parts.append(patch)
        return np.stack(parts)


class CodeSums:
    """What one code does, summed over images.

    Attributes:
        swapped: ‖Δ‖₂ where every position that takes the code gets another one.
        swapped_once: the same of one of these positions, and the reach of that change where there is one.
        placed: ‖Δ‖₂ where a position that takes another code gets this one.
        reach: of the changes by one position.
        map: |Δ| of each value where every position is swapped, the sum over images.
    """

    def __init__(self, seed: int):
        self.swapped, self.swapped_once, self.placed, self.reach = (
            BootstrapMean((), RESAMPLES, seed) for _ in range(4)
        )
        self.map: Tensor | None = None


class CodeChanges:
    """Tries codes on images.

    Args:
        lens: the lens.
        book: the codes and which of them the images take.
        embeddings: what is quantised to each code, (K, d).
        context: of the images, one line each, where the model takes one.
        grid: where positions lie.
        most: how many images a code is tried on.
        nearest: whether another code is the nearest in use; else one is drawn by its frequency.
        seed: draws images, positions and codes.
    """

    def __init__(
        self,
        lens: Lens,
        book: Codebook,
        embeddings: Tensor,
        context: Tensor | None,
        grid: CodeGrid,
        most: int,
        nearest: bool,
        seed: int,
    ):
        self._embeddings = embeddings
        self._lens, self._book, self._context, self._grid = lens, book, context, grid
        self._most, self._nearest, self._seed = most, nearest, seed
        self._flat = book.indices.reshape(len(book.indices), -1)
        self._used = torch.as_tensor(np.flatnonzero(book.use.counts))

    def of(self, code: int) -> CodeSums:
        """Measures what a code does to the images that it is tried on."""
        sums, generator = CodeSums(self._seed), np.random.default_rng((self._seed, _STREAM, code))
        takes = self._flat == code
        for rows in self._drawn(takes.any(dim=1), generator):
            indices, inside = self._flat[rows], takes[rows]
            once = _one_of_each(inside, generator)
            others = self._others(code, indices, generator)
            variants = [torch.where(inside, others, indices), _put(indices, once, others)]
            before, (everywhere, at_one) = self._decoded(rows, variants)
            change = everywhere - before
            sums.swapped.update(sizes(change, self._lens.observation))
            total = change.abs().sum(dim=0)
            sums.map = total if sums.map is None else sums.map + total
            change = at_one - before
            sums.swapped_once.update(sizes(change, self._lens.observation))
            if self._grid.fits:
                sums.reach.update(self._reaches(change, once, rounding_of(before)))
        for rows in self._drawn((~takes).any(dim=1), generator):
            indices = self._flat[rows]
            once = _one_of_each(~takes[rows], generator)
            before, (after,) = self._decoded(rows, [_put(indices, once, torch.full_like(indices, code))])
            sums.placed.update(sizes(after - before, self._lens.observation))
        return sums

    def nearest(self, codes: Sequence[int]) -> tuple[Array, Array]:
        """Finds the nearest other code in use for each code, and how far it is, in L2."""
        chosen = self._book.codes[torch.as_tensor(list(codes))].cpu().double()
        distances = torch.cdist(chosen, self._book.codes.cpu().double()[self._used])
        distances[torch.as_tensor(list(codes))[:, None] == self._used] = torch.inf
        least, which = distances.min(dim=1)
        return self._used[which].numpy(), least.numpy()

    def _drawn(self, eligible: Tensor, generator: np.random.Generator) -> list[Tensor]:
        """Draws eligible images, at most as many as a code is tried on, in chunks."""
        images = eligible.nonzero()[:, 0].numpy()
        if len(images) > self._most:
            images = np.sort(generator.choice(images, self._most, replace=False))
        return [] if not len(images) else list(torch.as_tensor(images).split(self._lens.engine.rows_uncached))

    def _others(self, code: int, indices: Tensor, generator: np.random.Generator) -> Tensor:
        """Chooses another code for each position, drawn by frequency or the one nearest to `code`, (n, positions)."""
        if self._nearest:
            return torch.full_like(indices, int(self.nearest([code])[0][0]))
        return other_codes(indices, self._book.use.counts, generator)

    def _decoded(self, rows: Tensor, variants: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Decodes the codes of some images, and variants of these codes."""
        chunk = DecodedChunk(self._lens, self._batch(rows, self._flat[rows]), rows, 0)
        return chunk.images, list(chunk.decoded(lambda k: self._batch(rows, variants[k]).values, len(variants)))

    def _batch(self, rows: Tensor, indices: Tensor) -> Batch:
        places = indices.reshape(len(indices), *self._book.indices.shape[1:]).long().to(self._embeddings.device)
        context = None if self._context is None else self._context[rows.to(self._context.device)]
        return Batch(self._embeddings[places].movedim(-1, 1), context)

    def _reaches(self, change: Tensor, once: Tensor, rounding: Tensor) -> Tensor:
        """Computes within what distance of a position's cell 95 % of the change lie, for images that change, (m,)."""
        energy = change.cpu().double().square().sum(dim=1)  # over channels, (n, *sizes)
        distances = self._grid.distances(once.numpy()).flatten(1)
        by_distance = torch.zeros(len(energy), max(self._grid.sizes) + 1, dtype=torch.float64)
        by_distance.scatter_add_(1, distances, energy.flatten(1))
        within = by_distance.cumsum(dim=1)
        changes = (change.flatten(1).abs().amax(dim=1) > rounding).cpu()
        short = within[changes] < _ENERGY * within[changes, -1:]
        return short.sum(dim=1).double()


def _one_of_each(eligible: Tensor, generator: np.random.Generator) -> Tensor:
    """Draws one of the eligible positions of each image uniformly, (n,)."""
    order = torch.as_tensor(generator.random(eligible.shape)).masked_fill(~eligible, -1.0)
    return order.argmax(dim=1)


def _put(indices: Tensor, once: Tensor, new: Tensor) -> Tensor:
    """Replaces each image's code at one position by a new one, in a copy."""
    changed, rows = indices.clone(), torch.arange(len(indices))
    changed[rows, once] = new[rows, once]
    return changed
