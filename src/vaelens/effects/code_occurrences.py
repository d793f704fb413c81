"""How often and at which positions the codes of a codebook occur, and where each is taken most typically.

Codes of images are found a chunk at a time; what stays in memory is their indices, and the exemplars of each code.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.code_use import code_use
from vaelens.effects.codes import Codebook
from vaelens.effects.record import Array
from vaelens.lens import Batch, Lens

NONE = -1  # in place of an exemplar that is not there


@dataclass(frozen=True, eq=False)
class Exemplars:
    """For each code the positions whose embedding is nearest to it, one of an image at most, the nearest first.

    Attributes:
        image: which image, (K, exemplars); −1 where there are fewer.
        position: which position of it, counted along the rows.
        distance: of the embedding before quantisation to the code, in L2; NaN where there are fewer.
    """

    image: Array
    position: Array
    distance: Array


def occurrences(lens: Lens, images: Batch, book: Tensor, exemplars: int) -> tuple[Codebook, Exemplars]:
    """Finds the code of every position of some images, and exemplars of each code.

    Args:
        lens: the lens, on a model with a quantised latent.
        images: as the lens takes them.
        book: the codes, (K, d).
        exemplars: how many of each code.
    """
    kept, chosen = _Nearest(len(book), exemplars), []
    for first_row, z in _encoded(lens, images):
        taken = lens.quantise(z)
        chosen.append(taken.indices.int().cpu())
        distance = (z - book[taken.indices.long()].movedim(-1, 1)).reshape(*z.shape[:2], -1).norm(dim=1)
        kept.add(first_row, taken.indices.reshape(len(z), -1).cpu().numpy(), distance.cpu().double().numpy())
    indices = torch.cat(chosen)
    return Codebook(book, indices, code_use(indices, len(book))), kept.exemplars()


def occurrence(indices: Tensor, code: int) -> Array:
    """Computes the share of images that have a code at each position, (positions,)."""
    return (indices.reshape(len(indices), -1) == code).double().mean(dim=0).numpy()


class _Nearest:
    """The nearest positions of each code, as chunks come."""

    def __init__(self, codes: int, most: int):
        self._codes, self._most = codes, most
        self._rows = np.zeros((0, 4))  # code, distance, image, position

    def add(self, first_row: int, indices: Array, distances: Array) -> None:
        """Adds a chunk, the code of each position and its embedding's distance from that code, (c, positions) each."""
        images, positions = np.divmod(np.arange(indices.size), indices.shape[1])
        rows = np.stack([indices.ravel(), distances.ravel(), images + first_row, positions], axis=1)
        order = np.lexsort((rows[:, 1], rows[:, 2], rows[:, 0]))
        rows = rows[order]
        first = np.append(True, (np.diff(rows[:, 0]) != 0) | (np.diff(rows[:, 2]) != 0))  # of each code and image
        rows = np.concatenate([self._rows, rows[first]])
        rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
        self._rows = rows[self._ranks(rows) < self._most]

    def exemplars(self) -> Exemplars:
        """Returns the exemplars of all codes."""
        shape = (self._codes, self._most)
        image, position, distance = np.full(shape, NONE), np.full(shape, NONE), np.full(shape, np.nan)
        at = self._rows[:, 0].astype(int), self._ranks(self._rows)
        distance[at], image[at], position[at] = self._rows[:, 1], self._rows[:, 2], self._rows[:, 3]
        return Exemplars(image, position, distance)

    @staticmethod
    def _ranks(rows: Array) -> Array:
        """Counts how many rows of the same code come before each."""
        starts = np.flatnonzero(np.append(True, np.diff(rows[:, 0]) != 0)[: len(rows)])
        return np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))


def _encoded(lens: Lens, images: Batch) -> Iterator[tuple[int, Tensor]]:
    """Yields the number of each chunk's first image, and the chunk's codes before quantisation."""
    if lens.engine.coupled:  # rows that belong together stay so
        yield 0, lens.encode(images)
        return
    for first_row, chunk in lens.engine.chunks(images):
        yield first_row, lens.encode(chunk)
