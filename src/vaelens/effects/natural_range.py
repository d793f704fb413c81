"""The natural range of every unit, from the least to the largest value that it takes on some images."""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from vaelens.effects.outcomes import run_cached
from vaelens.lens import BatchLike, CachedRun, Lens, Region, in_chunks


class NaturalRange:
    """The range of every unit of some sites over images and positions.

    Two numbers stay in memory for each unit.

    Args:
        lens: the lens.
        images: as the lens takes them, in their context.
    """

    def __init__(self, lens: Lens, images: BatchLike):
        self._lens, self._images = lens, images
        self._low: dict[str, Tensor] = {}
        self._high: dict[str, Tensor] = {}

    def cover(self, sites: Collection[str], run: CachedRun | None = None) -> None:
        """Learns the range at some sites, where it is not known yet.

        Args:
            sites: whose units.
            run: a run of images that cached these sites; all images are run once where it is not of all.
        """
        missing = [site for site in sites if site not in self._low]
        if not missing:
            return
        if run is not None and len(run.images) == len(self._images):
            self._add({site: run.activation(site) for site in missing})
            return

        def activations(rows: slice) -> dict[str, Tensor]:
            part = run_cached(self._lens, self._images[rows], rows.start, missing)
            return {site: part.activation(site) for site in missing}

        for _, by_site in in_chunks(len(self._images), self._lens.engine.rows_for(missing), activations):
            self._add(by_site)

    def _add(self, by_site: Mapping[str, Tensor]) -> None:
        for site, activation in by_site.items():
            by_unit = activation.transpose(0, 1).flatten(1)
            low, high = by_unit.amin(dim=1), by_unit.amax(dim=1)
            self._low[site] = torch.minimum(low, self._low.get(site, low))
            self._high[site] = torch.maximum(high, self._high.get(site, high))

    def share_outside(self, site: str, activation: Tensor, groups: Sequence[Region]) -> Tensor:
        """Computes the share of each group's values that lie outside the range, (c, groups).

        The values are those of an activation, (c, units, *positions).
        """
        shape = (1, -1, *[1] * (activation.ndim - 2))
        low, high = (ends[site].to(activation).view(shape) for ends in (self._low, self._high))
        outside = ((activation < low) | (activation > high)).to(torch.float32)
        if [group.units for group in groups] == [(unit,) for unit in range(outside.shape[1])]:
            return outside.flatten(2).mean(dim=2) if outside.ndim > 2 else outside
        return torch.stack([group.take(outside).flatten(1).mean(dim=1) for group in groups], dim=1)
