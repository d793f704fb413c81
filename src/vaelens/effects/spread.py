"""How much every unit varies over images, in one pass that keeps two numbers for each unit and position."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.record import Array
from vaelens.float64 import to_float64
from vaelens.lens import CachedRun


class Spread:
    """Every unit's standard deviation over images, summed over positions, in one pass."""

    def __init__(self) -> None:
        self._images = 0
        self._sums: dict[str, Tensor] = {}  # of as many bytes as the activation of one image
        self._squares: dict[str, Tensor] = {}  # by unit, summed over positions
        self._origin: dict[str, Tensor] = {}

    def add(self, run: CachedRun, times: int = 1) -> None:
        """Adds images, each counted `times` times."""
        self._images += times * len(run.images)
        for site, activation in run.activations.items():
            if site not in self._origin:  # sums of differences to the first image lose no digits
                self._origin[site] = activation[:1].clone()
                single = by_unit(activation[:1])[0]
                self._sums[site] = torch.zeros_like(single, dtype=torch.promote_types(activation.dtype, torch.float32))
                self._squares[site] = single.new_zeros(len(single))
            values = by_unit(activation) - by_unit(self._origin[site])  # (c, units, positions)
            self._sums[site] += times * values.sum(dim=0)
            self._squares[site] += times * values.square_().sum(dim=(0, 2))

    def of(self, sites: Sequence[str]) -> Array:
        """Computes s of every unit of some sites, one after the other."""
        parts = [np.zeros(0)]
        for site in sites:
            squares, mean = self._squares[site] / self._images, to_float64(self._sums[site]) / self._images
            parts.append((squares - mean.square().sum(dim=1)).clamp(min=0).sqrt().cpu().numpy())
        return np.concatenate(parts)


def by_unit(activation: Tensor) -> Tensor:
    """Flattens an activation's positions to one axis, in double precision, (c, units, positions)."""
    return to_float64(activation).reshape(*activation.shape[:2], -1)  # (c, units, positions)
