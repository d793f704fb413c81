"""Effects and recovered fractions of every unit of some sites, summed over chunks of images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from vaelens.effects.outcomes import add_rows, cells, changes, products
from vaelens.effects.reading import Reading
from vaelens.effects.record import Array, random_unit, record, unit_coords, with_interval
from vaelens.lens import CODE, IMAGE, CachedRun, Lens, SitePatch, regions
from vaelens.progress import Advance
from vaelens.statistics import BootstrapMean, ratio_interval


class UnitScores:
    """Effects and recovered fractions of every unit of some sites, summed over chunks of images.

    With a reading also what each unit changes of the factors that are read off the image. A site whose outcome is the
    code is then run once more, as far as the image.
    """

    def __init__(
        self,
        lens: Lens,
        sites: Sequence[str],
        outcome: str | None,
        seed: int,
        unit: Any,
        reading: Reading | None = None,
    ):
        self._lens, self._sites, self._reading = lens, tuple(sites), reading
        found = {site: regions(lens.sites[site], unit) for site in self._sites}
        self._regions = {site: each for site, (each, _) in found.items()}
        self._places = [places for _, places in found.values()]
        self._outcome = {
            site: outcome or (CODE if lens.sites[site].part == "encoder" else IMAGE) for site in self._sites
        }
        counts = {site: len(each) for site, each in self._regions.items()}
        self._kinds = {
            site: (kind, IMAGE) if reading is not None and kind == CODE else (kind,)
            for site, kind in self._outcome.items()
        }
        self.runs = sum(count * len(self._kinds[site]) for site, count in counts.items())  # of each image
        self._effect = {site: BootstrapMean((count,), seed=seed) for site, count in counts.items()}
        self._shared = {site: BootstrapMean((count,), seed=seed) for site, count in counts.items()}
        self._whole = {site: BootstrapMean((), seed=seed) for site in self._sites}
        read = 0 if reading is None else len(reading.factors)
        self._factors = {site: BootstrapMean((count, read), seed=seed) for site, count in counts.items()}
        self._measured = False

    def outcomes(self, sites: Sequence[str]) -> set[str]:
        """The outcomes that some sites are measured by."""
        return {kind for site in sites for kind in self._kinds[site]}

    @property
    def units(self) -> dict[str, int]:
        """How many units each site has."""
        return {site: len(each) for site, each in self._regions.items()}

    @property
    def outcome(self) -> Mapping[str, str]:
        """What each site's effects are measured by."""
        return self._outcome

    def add(
        self, base: CachedRun, source_run: CachedRun | None, sources: Mapping[str, Tensor], advance: Advance
    ) -> dict[str, Tensor]:
        """Take in one chunk of images at some sites; gives their effects, (c, units) by site, where the model is.

        Args:
            base: the base images' run, which can be run again from these sites.
            source_run: the source images' run, or None.
            sources: by site the activation that its units take their values from.
            advance: told how many images were run, or need not, each once for each unit.
        """
        kinds = {self._outcome[site] for site in sources}
        starts = {kind: cells(base.value(kind)) for kind in kinds}  # (c, cells)
        totals = {} if source_run is None else {kind: cells(source_run.value(kind)) - starts[kind] for kind in kinds}
        self._measured = source_run is not None
        squares = {kind: products(total, total) for kind, total in totals.items()}
        found: dict[str, Tensor] = {}
        read = None if self._reading is None else self._reading.probabilities(base.image)
        for site, source in sources.items():
            kind, each = self._outcome[site], self._regions[site]
            effect, shared = (starts[kind].new_zeros(len(base.images), len(each)) for _ in range(2))
            factors = starts[kind].new_zeros(len(base.images), *self._factors[site].shape)
            run = 0
            for again in self._kinds[site]:
                for rows in base.interchange(SitePatch(site, source, each), again):
                    if again == kind:
                        change = changes(rows, kind, starts[kind])  # (m, cells)
                        add_rows(effect, rows, change.norm(dim=1))
                        if totals:
                            add_rows(shared, rows, products(change, totals[kind].index_select(0, rows.images)))
                    if again == IMAGE and self._reading is not None and read is not None:
                        other = self._reading.probabilities(rows.values[IMAGE])
                        add_rows(factors, rows, self._reading.distances(other, read.index_select(0, rows.images)))
                    run += len(rows.images)
                    advance(len(rows.images))
            found[site] = effect
            self._effect[site].update(effect)
            if totals:
                self._whole[site].update(squares[kind])
            self._shared[site].update(shared)
            self._factors[site].update(factors)
            advance(effect.numel() * len(self._kinds[site]) - run)
        return found

    def dataset(self, **made: Any) -> xr.Dataset:
        """The effects of all units, with how they were made."""
        counts = list(self.units.values())
        found = {"effect": _joined([self._effect[site] for site in self._sites])}
        found |= {"recovered": self._recovered()} if self._measured else {}
        variables: dict[str, Any] = {}
        for name, (mean, interval) in found.items():
            variables |= with_interval(name, ("unit",), mean, interval)
            variables[f"{name}_chance"] = ("unit",), random_unit(mean, counts)
        coords: dict[str, Any] = dict(unit_coords(self._sites, counts))
        for name in self._places[0]:
            coords[name] = "unit", np.concatenate([places[name] for places in self._places])
        if self._reading is not None:
            factors = _joined([self._factors[site] for site in self._sites])
            variables |= with_interval("factor_effect", ("unit", "factor"), *factors)
            coords["factor"] = list(self._reading.factors)
            made |= self._reading.made()
        outcomes = [f"{site}: {kind}" for site, kind in self._outcome.items()]
        return record(self._lens, variables, coords, outcomes=outcomes, **made)

    def _recovered(self) -> tuple[Array, tuple[Array, Array]]:
        means, lows, highs = [], [], []
        for site in self._sites:
            shared, whole = self._shared[site], self._whole[site]
            with np.errstate(invalid="ignore", divide="ignore"):  # no difference between source and base: NaN
                means.append(shared.mean / whole.mean)
            low, high = ratio_interval(shared, whole)
            lows.append(low)
            highs.append(high)
        return np.concatenate(means), (np.concatenate(lows), np.concatenate(highs))


def _joined(means: Sequence[BootstrapMean]) -> tuple[Array, tuple[Array, Array]]:
    """The means of all sites, one after the other, with their intervals."""
    intervals = [one.interval() for one in means]
    low, high = (np.concatenate([interval[end] for interval in intervals]) for end in range(2))
    return np.concatenate([one.mean for one in means]), (low, high)
