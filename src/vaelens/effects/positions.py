"""The positions of a spatial latent at which an intervention sets it, all of them, one an image, or a given one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.record import Array
from vaelens.errors import VaelensError

_STREAM = 1  # of the seed: positions are not drawn from the numbers that choose other images


@dataclass(frozen=True, eq=False)
class Positions:
    """Where a latent is set.

    Attributes:
        asked: "all", "one", or the position's indices; as attributes of a result hold it.
        at: for each axis of the positions the index in each image, (n,); None for all positions.
    """

    asked: str | list[int]
    at: tuple[Tensor, ...] | None = None

    def set(self, codes: Tensor, rows: slice | Tensor, latent: int, value: Tensor) -> Tensor:
        """Sets a latent there in a copy of the codes of the images `rows`.

        Args:
            codes: (rows, d, *positions).
            rows: which of all the images they are.
            latent: the latent's index.
            value: one number, or (rows, *positions) of which each image takes the one at its position.
        """
        changed = codes.clone()
        if self.at is None:
            changed[:, latent] = value
            return changed
        images, places = torch.arange(len(codes), device=codes.device), [index[rows] for index in self.at]
        changed[(images, latent, *places)] = value if value.ndim == 0 else value[(images, *places)]
        return changed

    def cells(self, codes: Tensor, rows: slice | Tensor, latent: int) -> Tensor:
        """Reads the values of a latent where it is set, (rows, cells), from codes of the images `rows`."""
        values = codes[:, latent].reshape(len(codes), *codes.shape[2:])
        if self.at is None:
            return values.reshape(len(codes), -1)
        images = torch.arange(len(codes), device=codes.device)
        return values[(images, *(index[rows] for index in self.at))][:, None]

    def take(self, images: Tensor) -> "Positions":
        """Takes some of the images only, by their indices."""
        return self if self.at is None else replace(self, at=tuple(index[images] for index in self.at))


def find_positions(asked: Any, codes: Tensor, seed: int) -> Positions:
    """Finds the positions that a user names.

    Args:
        asked: "all"; "one", a position for each image, drawn uniformly; or an index for each axis, (row, column).
        codes: (n, d, *positions).
        seed: draws the position of "one".

    Raises:
        VaelensError: anything else, or a position where there is none.
    """
    shape = tuple(codes.shape[2:])
    if isinstance(asked, str) and asked == "all":
        return Positions("all")
    if not shape:
        raise VaelensError(
            f"positions is {asked!r}, but this latent has no positions: its codes are of shape "
            f"{tuple(codes.shape[1:])}; leave positions out"
        )
    if isinstance(asked, str) and asked == "one":
        drawn = np.random.default_rng((seed, _STREAM)).integers(np.prod(shape), size=len(codes))
        return Positions("one", _indices(np.unravel_index(drawn, shape), codes))
    if not _is_position(asked, shape):
        raise VaelensError(
            f"positions is {asked!r}; expected 'all', 'one', or a position's indices, from {(0,) * len(shape)} to "
            f"{tuple(size - 1 for size in shape)}"
        )
    place = [int(index) for index in asked]
    return Positions(place, _indices([np.full(len(codes), index) for index in place], codes))


def _is_position(asked: Any, shape: tuple[int, ...]) -> bool:
    return (
        isinstance(asked, tuple | list)
        and len(asked) == len(shape)
        and all(isinstance(index, int | np.integer) and not isinstance(index, bool) for index in asked)
        and all(0 <= index < size for index, size in zip(asked, shape, strict=True))
    )


def _indices(arrays: Sequence[Array], codes: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.as_tensor(index, device=codes.device) for index in arrays)
