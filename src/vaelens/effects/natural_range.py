"""The natural range of every unit: between the least and the largest value that it takes on some images."""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from vaelens.effects.outcomes import run_cached
from vaelens.lens import CachedRun, Lens, Region, in_chunks


class NaturalRange:
    """The range of every unit of some sites over images and positions.

    Costs one run of all images; two numbers stay in memory for each unit.

    Args:
        lens: the lens.
        images: (n, C, H, W).
        sites: whose units.
    """

    def __init__(self, lens: Lens, images: Tensor, sites: Collection[str]):
        self._low: dict[str, Tensor] = {}
        self._high: dict[str, Tensor] = {}

        def run_of(rows: slice) -> CachedRun:
            return run_cached(lens, images[rows], rows.start, sites)

        for _, run in in_chunks(len(images), lens.engine.rows_for(sites), run_of):
            for site in sites:
                by_unit = run.activation(site).transpose(0, 1).flatten(1)
                low, high = by_unit.amin(dim=1), by_unit.amax(dim=1)
                self._low[site] = torch.minimum(low, self._low.get(site, low))
                self._high[site] = torch.maximum(high, self._high.get(site, high))

    def share_outside(self, site: str, activation: Tensor, groups: Sequence[Region]) -> Tensor:
        """The share of each group's values in an activation, (c, units, *positions), that lie outside, (c, groups)."""
        shape = (1, -1, *[1] * (activation.ndim - 2))
        low, high = (ends[site].to(activation).view(shape) for ends in (self._low, self._high))
        outside = ((activation < low) | (activation > high)).to(torch.float32)
        if all(len(group.units) == 1 and group.positions is None for group in groups):
            by_unit = outside.flatten(2).mean(dim=2) if outside.ndim > 2 else outside
            return by_unit[:, [group.units[0] for group in groups]]
        return torch.stack([group.take(outside).flatten(1).mean(dim=1) for group in groups], dim=1)
