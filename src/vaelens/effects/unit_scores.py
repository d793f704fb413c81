"""Effects and recovered fractions of every unit of some sites, summed over chunks of images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from vaelens.effects.record import Array, record, unit_coords, with_interval
from vaelens.effects.worlds import World, cells, changes, products
from vaelens.lens import Lens
from vaelens.lens.regions import regions
from vaelens.lens.replay import CODE, IMAGE
from vaelens.progress import Advance
from vaelens.statistics import BootstrapMean, ratio_interval


class UnitScores:
    """Effects and recovered fractions of every unit of some sites, summed over chunks of images."""

    def __init__(self, lens: Lens, sites: Sequence[str], outcome: str | None, seed: int, unit: Any):
        self._lens, self._sites = lens, tuple(sites)
        found = {site: regions(lens.sites[site], unit) for site in self._sites}
        self._regions = {site: each for site, (each, _) in found.items()}
        self._places = [places for _, places in found.values()]
        self._outcome = {
            site: outcome or (CODE if lens.sites[site].part == "encoder" else IMAGE) for site in self._sites
        }
        counts = {site: len(each) for site, each in self._regions.items()}
        self.units = sum(counts.values())
        self._effect = {site: BootstrapMean((count,), seed=seed) for site, count in counts.items()}
        self._shared = {site: BootstrapMean((count,), seed=seed) for site, count in counts.items()}
        self._whole = {kind: BootstrapMean((), seed=seed) for kind in set(self._outcome.values())}
        self._measured = False

    def outcomes(self, sites: Sequence[str]) -> set[str]:
        """The outcomes that some sites are measured by."""
        return {self._outcome[site] for site in sites}

    def add(self, here: World, there: World | None, given: Mapping[str, Tensor], advance: Advance) -> None:
        """Take in one chunk of images at some sites.

        Args:
            here: the base images' world, which can be run again from these sites.
            there: the source images' world, or None.
            given: by site the activation that its units take their values from.
            advance: told how many images were run, or need not, each once for each unit.
        """
        kinds = {self._outcome[site] for site in given}
        starts = {kind: cells(here.outcome(kind)) for kind in kinds}  # (c, cells)
        totals = {} if there is None else {kind: cells(there.outcome(kind)) - starts[kind] for kind in kinds}
        self._measured = there is not None
        for kind, total in totals.items():
            if next(site for site in self._sites if self._outcome[site] == kind) in given:  # each image once
                self._whole[kind].update(products(total, total))
        for site, source in given.items():
            kind, each = self._outcome[site], self._regions[site]
            effect, shared = np.zeros((2, len(here.images), len(each)))
            run = 0
            for some in here.again(site, each, source, kind):
                change = changes(some, starts[kind])  # (m, cells)
                at = some.rows.cpu().numpy(), some.groups.cpu().numpy()
                effect[at] = change.norm(dim=1).double().cpu().numpy()
                if totals:
                    shared[at] = products(change, totals[kind].index_select(0, some.rows))
                run += len(some.rows)
                advance(len(some.rows))
            self._effect[site].update(effect)
            self._shared[site].update(shared)
            advance(effect.size - run)

    def dataset(self, **made: Any) -> xr.Dataset:
        """The effects of all units, with how they were made."""
        intervals = [self._effect[site].interval() for site in self._sites]
        variables = with_interval(
            "effect",
            ("unit",),
            np.concatenate([self._effect[site].mean for site in self._sites]),
            (np.concatenate([low for low, _ in intervals]), np.concatenate([high for _, high in intervals])),
        )
        if self._measured:
            variables |= with_interval("recovered", ("unit",), *self._recovered())
        coords = unit_coords(self._sites, [len(self._regions[site]) for site in self._sites])
        for name in self._places[0]:
            coords[name] = "unit", np.concatenate([places[name] for places in self._places])
        outcomes = [f"{site}: {kind}" for site, kind in self._outcome.items()]
        return record(self._lens, variables, coords, outcomes=outcomes, **made)

    def _recovered(self) -> tuple[Array, tuple[Array, Array]]:
        means, lows, highs = [], [], []
        for site in self._sites:
            shared, whole = self._shared[site], self._whole[self._outcome[site]]
            with np.errstate(invalid="ignore", divide="ignore"):  # no difference between source and base: NaN
                means.append(shared.mean / whole.mean)
            low, high = ratio_interval(shared, whole)
            lows.append(low)
            highs.append(high)
        return np.concatenate(means), (np.concatenate(lows), np.concatenate(highs))
