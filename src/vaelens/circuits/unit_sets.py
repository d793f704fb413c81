"""Sets of units over all sites of a model but its output, as rows of booleans and as indices by site."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from vaelens.lens import Lens, Region

Units = Mapping[str, tuple[int, ...]]  # by site, in ascending order
Mask = Bool[np.ndarray, " units"]
Masks = Bool[np.ndarray, "sets units"]


@dataclass(frozen=True)
class UnitTable:
    """All units that can belong to a circuit, numbered in the order of the data.

    Attributes:
        sizes: the number of units of each site, by name, without the output.
    """

    sizes: Mapping[str, int]

    @classmethod
    def of(cls, lens: Lens) -> "UnitTable":
        """Enumerates the units of a lens's sites."""
        return cls({name: site.units for name, site in lens.sites.items() if name != lens.sites.output})

    def __len__(self) -> int:
        return sum(self.sizes.values())

    @property
    def sites(self) -> tuple[str, ...]:
        """Lists the sites in the order of the data."""
        return tuple(self.sizes)

    def spans(self) -> Iterator[tuple[str, slice]]:
        """Yields each site with the numbers of its units."""
        start = 0
        for site, size in self.sizes.items():
            yield site, slice(start, start + size)
            start += size

    def span(self, site: str) -> slice:
        """Returns the numbers of a site's units."""
        return dict(self.spans())[site]

    def node(self, number: int) -> tuple[str, int]:
        """Returns the site and the index of a unit."""
        site, span = next((site, span) for site, span in self.spans() if number < span.stop)
        return site, number - span.start

    def nodes(self) -> list[tuple[str, int]]:
        """Lists all units as site and index."""
        return [(site, index) for site, size in self.sizes.items() for index in range(size)]

    def units(self, mask: Mask) -> dict[str, tuple[int, ...]]:
        """Returns a set as indices by site, an empty tuple where it has none."""
        return {site: tuple(np.flatnonzero(mask[span]).tolist()) for site, span in self.spans()}

    def mask(self, units: Mapping[str, Iterable[int]]) -> Mask:
        """Returns the set of some indices by site."""
        mask = np.zeros(len(self), dtype=bool)
        for site, span in self.spans():
            mask[[span.start + unit for unit in units.get(site, ())]] = True
        return mask

    def regions(self, masks: Masks, site: str) -> list[Region]:
        """Returns of each set the units at a site as a region."""
        return [Region(tuple(np.flatnonzero(row).tolist())) for row in masks[:, self.span(site)]]

    def counts(self, mask: Mask) -> dict[str, int]:
        """Counts a set's units at each site."""
        return {site: int(mask[span].sum()) for site, span in self.spans()}
