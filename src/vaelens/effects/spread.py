"""How much every unit varies over images, in one pass; what is kept is three numbers for each unit and position."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.record import Array
from vaelens.effects.worlds import World


class Spread:
    """Every unit's standard deviation over images, summed over positions, in one pass."""

    def __init__(self) -> None:
        self._images = 0
        self._sums: dict[str, Tensor] = {}
        self._squares: dict[str, Tensor] = {}
        self._origin: dict[str, Tensor] = {}

    def add(self, seen: World, times: int = 1) -> None:
        """Images that count so many times."""
        self._images += times * len(seen.images)
        for site, activation in seen.activations.items():
            values = by_unit(activation)  # (c, units, positions)
            if site not in self._origin:  # sums of differences to the first image lose no digits
                self._origin[site] = values[0].clone()
                self._sums[site] = torch.zeros_like(values[0])
                self._squares[site] = torch.zeros_like(values[0])
            values = values - self._origin[site]
            self._sums[site] += times * values.sum(dim=0)
            self._squares[site] += times * values.square().sum(dim=0)

    def of(self, sites: Sequence[str]) -> Array:
        """s of every unit of some sites, one after the other."""
        parts = []
        for site in sites:
            mean = self._sums[site] / self._images
            variance = (self._squares[site] / self._images - mean.square()).clamp(min=0)
            parts.append(variance.sum(dim=1).sqrt().cpu().numpy())
        return np.concatenate(parts)


def by_unit(activation: Tensor) -> Tensor:
    """An activation with its positions in one axis, in double precision, (c, units, positions)."""
    return activation.double().reshape(*activation.shape[:2], -1)  # (c, units, positions)
