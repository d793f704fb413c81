"""Effects and recovered fractions of every unit of some sites, summed over chunks of images."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from vaelens.effects.along import UnseenSums, direction_groups, unseen_variables
from vaelens.effects.best import best
from vaelens.effects.factor_predictions import FactorPredictions
from vaelens.effects.natural_range import NaturalRange
from vaelens.effects.options import SweepOptions
from vaelens.effects.outcomes import add_rows, cells, changes, products, sizes
from vaelens.effects.record import Array, Interval, Variables, record, typical_unit, unit_coords, with_interval
from vaelens.effects.schemas import PATCHING_EFFECTS
from vaelens.lens import CODE, IMAGE, CachedRun, Lens, SitePatch, regions
from vaelens.progress import Advance
from vaelens.statistics import BootstrapMean, ratio_interval


class _SiteSums:
    """The running sums of one site's units.

    Attributes:
        units: the region of each unit.
        places: the coordinates of each.
        outcome: what their effects are measured by.
        targets: what runs are made for: the outcome, and the image where a reader predicts from it.
    """

    def __init__(self, lens: Lens, site: str, outcome: str | None, unit: Any, seed: int, factors: int):
        self.unseen: UnseenSums | None = None
        if site in lens.directions:
            self.units, names = direction_groups(lens.directions[site])
            self.places: dict[str, list[Any]] = {"index": list(range(len(names))), "direction": names}
            self.unseen = UnseenSums(lens, site, self.units, seed)
        else:
            self.units, self.places = regions(lens.sites[site], unit)
        self.outcome = outcome or (CODE if lens.sites[site].part == "encoder" else IMAGE)
        self.targets = (self.outcome, IMAGE) if factors and self.outcome == CODE else (self.outcome,)
        count = len(self.units)
        self.effect = BootstrapMean((count,), seed=seed)
        self.shared = BootstrapMean((count,), seed=seed)  # <f_u − f_base, f_source − f_base>
        self.whole = BootstrapMean((), seed=seed)  # ‖f_source − f_base‖²
        self.outside = BootstrapMean((count,), seed=seed)
        self.factors = BootstrapMean((count, factors), seed=seed)

    def recovered(self) -> tuple[Array, Interval]:
        """Computes the fraction that each unit recovers, and its interval."""
        with np.errstate(invalid="ignore", divide="ignore"):  # no difference between source and base: NaN
            return self.shared.mean / self.whole.mean, ratio_interval(self.shared, self.whole)

    def best(self) -> Array:
        """Marks the units that may recover the largest fraction among those of their site."""
        with np.errstate(invalid="ignore", divide="ignore"):
            recovered, resampled = (
                self.shared.mean / self.whole.mean,
                self.shared.replicates / self.whole.replicates[:, None],
            )
        return best(recovered, resampled, self.shared.count)


class UnitScores:
    """Effects and recovered fractions of every unit of some sites, summed over chunks of images.

    With a reader also what each unit changes of the factors that are predicted from the image. A site whose outcome is
    the code is then run once more, as far as the image.

    Args:
        lens: the lens.
        sites: whose units are patched, in order.
        outcome: what effects are measured by; None for the code at encoder sites and the image elsewhere.
        options: of the sweep.
        unit: what counts as one unit.
        natural: the range of each unit's values over the base images.
    """

    def __init__(
        self,
        lens: Lens,
        sites: Sequence[str],
        outcome: str | None,
        options: SweepOptions,
        unit: Any,
        natural: NaturalRange,
    ):
        self._lens, self._options, self._natural = lens, options, natural
        self._predictions: FactorPredictions | None = options.predictions
        factors = 0 if self._predictions is None else len(self._predictions.factors)
        self._sums = {site: _SiteSums(lens, site, outcome, unit, options.seed, factors) for site in sites}
        self.runs_per_image = sum(len(sums.units) * len(sums.targets) for sums in self._sums.values())
        self._has_sources = False

    def targets(self, sites: Collection[str]) -> set[str]:
        """Collects what some sites are measured by, whose values a base run must have."""
        return {target for site in sites for target in self._sums[site].targets}

    @property
    def units(self) -> dict[str, int]:
        """How many units each site has."""
        return {site: len(sums.units) for site, sums in self._sums.items()}

    @property
    def outcomes(self) -> Mapping[str, str]:
        """What each site's effects are measured by."""
        return {site: sums.outcome for site, sums in self._sums.items()}

    def add(
        self, base: CachedRun, source_run: CachedRun | None, sources: Mapping[str, Tensor], advance: Advance
    ) -> dict[str, Tensor]:
        """Adds one chunk of images at some sites, and returns their effects, (c, units) by site, on the device.

        Args:
            base: the base images' run, which can be run again from these sites.
            source_run: the source images' run, or None.
            sources: by site the activation that its units take their values from, (c, units, *positions).
            advance: told how many images were run, or need not, each once for each unit.
        """
        self._natural.cover(sources, base)
        observation = self._lens.observation
        targets = {self._sums[site].outcome for site in sources}
        starts = {target: cells(base.value(target)) for target in targets}  # (c, cells)
        totals = {target: cells(source_run.value(target)) - starts[target] for target in targets if source_run}
        squares = {target: products(total, total) for target, total in totals.items()}
        self._has_sources = source_run is not None
        predicted = None if self._predictions is None else self._predictions.probabilities(base.image)
        effects: dict[str, Tensor] = {}
        for site, source in sources.items():
            sums = self._sums[site]
            start = starts[sums.outcome]
            effect, shared = (start.new_zeros(len(base.images), len(sums.units)) for _ in range(2))
            factors = start.new_zeros(len(base.images), *sums.factors.shape)
            rows_run = 0
            for target in sums.targets:
                for counterfactuals in base.interchange(SitePatch(site, source, sums.units), target):
                    # The outcome: how far it moves, and how far towards the source's.
                    if target == sums.outcome:
                        change = changes(counterfactuals, target, start)  # (m, cells)
                        moved = sizes(change, observation) if target == IMAGE else change.norm(dim=1)
                        add_rows(effect, counterfactuals, moved)
                        if totals:
                            total = totals[target].index_select(0, counterfactuals.images)
                            add_rows(shared, counterfactuals, products(change, total))
                    # What a reader predicts.
                    if target == IMAGE and self._predictions is not None and predicted is not None:
                        after = self._predictions.probabilities(counterfactuals.values[IMAGE])
                        before = predicted.index_select(0, counterfactuals.images)
                        add_rows(factors, counterfactuals, self._predictions.distances(after, before))
                    rows_run += len(counterfactuals.images)
                    advance(len(counterfactuals.images))
            effects[site] = effect
            sums.effect.update(effect)
            if totals:
                sums.whole.update(squares[sums.outcome])
            sums.shared.update(shared)
            sums.factors.update(factors)
            if sums.unseen is not None:
                sums.unseen.add(source - base.activation(site))
            sums.outside.update(self._natural.share_outside(site, source, sums.units))
            advance(effect.numel() * len(sums.targets) - rows_run)
        return effects

    def dataset(self, more: Variables | None = None, **attributes: Any) -> xr.Dataset:
        """Builds the Dataset of all units' effects, with further variables, and how they were computed."""
        sites = list(self._sums.values())
        counts = list(self.units.values())
        variables: Variables = {}
        estimates = {"effect": _joined([(sums.effect.mean, sums.effect.interval()) for sums in sites])}
        if self._has_sources:
            estimates["recovered"] = _joined([sums.recovered() for sums in sites])
            variables["recovered_best"] = ("unit",), np.concatenate([sums.best() for sums in sites])
        for name, (mean, interval) in estimates.items():
            variables |= with_interval(name, ("unit",), mean, interval)
            variables[f"{name}_chance"] = ("unit",), typical_unit(mean, counts)
        outside = _joined([(sums.outside.mean, sums.outside.interval()) for sums in sites])
        variables |= with_interval("outside_range", ("unit",), *outside)
        along = [sums.unseen for sums in sites if sums.unseen is not None]
        if len(along) == len(sites):
            variables |= unseen_variables(along)
        coords: dict[str, Any] = dict(unit_coords(list(self._sums), counts))
        # Sites of different numbers of axes have some coordinates each: 0 where a site lacks one.
        for name in dict.fromkeys(name for sums in sites for name in sums.places):
            nothing = [[0] * len(sums.units) for sums in sites]
            filled = [sums.places.get(name, zeros) for sums, zeros in zip(sites, nothing, strict=True)]
            coords[name] = "unit", np.concatenate(filled)
        if self._predictions is not None:
            factors = _joined([(sums.factors.mean, sums.factors.interval()) for sums in sites])
            variables |= with_interval("factor_effect", ("unit", "factor"), *factors)
            coords["factor"] = list(self._predictions.factors)
        attributes["outcomes"] = [
            f"{site}: {self._lens.observation.worded(target)}" for site, target in self.outcomes.items()
        ]
        attributes |= self._options.attributes()
        return record(self._lens, PATCHING_EFFECTS, variables | (more or {}), coords, **attributes)


def _joined(estimates: Sequence[tuple[Array, Interval]]) -> tuple[Array, Interval]:
    """Joins the estimates of all sites, one after the other, with their intervals."""
    means, intervals = zip(*estimates, strict=True)
    low, high = (np.concatenate([interval[end] for interval in intervals]) for end in range(2))
    return np.concatenate(means), (low, high)
