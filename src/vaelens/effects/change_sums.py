"""What each of several changes of the input does to every unit, the image and the codes, summed over pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from vaelens.effects.activity import RunningActivity
from vaelens.effects.best import best
from vaelens.effects.factor_predictions import FactorPredictions
from vaelens.effects.medians import Median
from vaelens.effects.outcomes import run_cached
from vaelens.effects.pair_sizes import PairSizes, Reconstructed
from vaelens.effects.posterior_changes import posterior_divergence
from vaelens.effects.record import Array, Variables, typical_unit, with_interval
from vaelens.effects.spread import Spread, by_unit
from vaelens.float64 import to_float64
from vaelens.lens import LATENT, Batch, CachedRun, Lens
from vaelens.statistics import BootstrapMean

_Estimate = tuple[Array, Array, Array]  # mean or median, and the ends of its interval


@dataclass(eq=False)
class _Sums:
    """The running sums of one change, by the name of what is summed."""

    means: dict[str, BootstrapMean]
    medians: dict[str, Median] = field(default_factory=dict)

    @property
    def pairs(self) -> int:
        return self.means["output"].count

    def estimates(self) -> dict[str, _Estimate]:
        of_means = {name: (total.mean, *total.interval()) for name, total in self.means.items() if total.count}
        return of_means | {name: (m.median, *m.interval()) for name, m in self.medians.items() if m.count}


@dataclass(frozen=True, eq=False)
class _Closed:
    """What is kept of a change that takes no more pairs, which is its estimates and the resamples of what is ranked."""

    pairs: int
    estimates: dict[str, _Estimate]
    replicates: dict[str, Array]


class ChangeSums:
    """The effects of several changes of the input, of which images come a chunk at a time.

    Args:
        lens: the lens.
        seed: of the bootstrap resamples.
        predictions: of the factors that a reader predicts, or None.
    """

    def __init__(self, lens: Lens, seed: int, predictions: FactorPredictions | None = None):
        self._lens, self._seed, self._predictions = lens, seed, predictions
        self._sites = [site for site in lens.sites if site != LATENT]
        self._spread, self._activity = Spread(), RunningActivity()
        self._open: dict[int, _Sums] = {}
        self._closed: dict[int, _Closed] = {}

    def before(self, images: Batch, first_row: int, times: int) -> CachedRun:
        """Runs images before any change, and counts each `times` times, once for every change of it."""
        return self._run(images, first_row, times)

    def add(self, change: int, before: CachedRun, images: Batch, first_row: int) -> tuple[CachedRun, PairSizes]:
        """Adds the same images after a change, and returns their run and how far they move, on the device."""
        after = self._run(images, first_row)
        sums = self._open.setdefault(change, self._empty_sums())
        sizes = PairSizes.of(Reconstructed.of(before), Reconstructed.of(after), self._lens.observation)

        # Every unit, the latents and the image.
        differences = [by_unit(after.activation(site) - before.activation(site)).norm(dim=2) for site in self._sites]
        none = sizes.moves[:, :0]  # of a model whose only site is the latent
        sums.means["unit"].update(torch.cat([none, *differences], dim=1))  # (c, units)
        sums.means["latent"].update(sizes.moves)
        sums.means["output"].update(sizes.output)

        # The posterior, or the codes of a codebook.
        if sizes.shifts is not None and before.logvar is not None and after.logvar is not None:
            sums.means["shift"].update(sizes.shifts)
            divergence = posterior_divergence(before.code, before.logvar, after.code, after.logvar)
            sums.medians["divergence"].update(divergence)
        if self._lens.quantised:
            quantise = self._lens.engine.quantise
            differ = quantise(before.code).indices != quantise(after.code).indices
            sums.means["codes"].update(to_float64(differ).reshape(len(differ), -1).mean(dim=1))

        # What a reader predicts.
        if self._predictions is not None:
            unchanged, changed = (self._predictions.probabilities(run.image) for run in (before, after))
            sums.means["read"].update(self._predictions.distances(changed, unchanged))
        return after, sizes

    def pairs(self, change: int) -> int:
        """Counts the pairs of a change that have been added."""
        return self._open[change].pairs

    def close(self, change: int) -> None:
        """Closes a change, which takes no more pairs, and drops its resamples but those of latents."""
        sums = self._open.pop(change)
        ranked = {name: sums.means[name].replicates for name in ("latent", "shift") if sums.means[name].count}
        self._closed[change] = _Closed(sums.pairs, sums.estimates(), ranked)

    @property
    def latent_scale(self) -> Array:
        """s_j of every latent, (d,), and 1 where it never changes."""
        return _safe(self._spread.of([LATENT]))

    def variables(self, axis: str) -> Variables:
        """Returns the variables of the result, over the changes in order."""
        rows = [self._closed[change] for change in sorted(self._closed)]
        units = [self._lens.sites[site].units for site in self._sites]
        latent = (axis, "latent")
        variables: Variables = {}
        for name, key, scale, counts in (
            ("latent_effect", "latent", self.latent_scale, [self._lens.latents]),
            ("unit_effect", "unit", _safe(self._spread.of(self._sites)), units),
        ):
            effect, low, high = (values / scale for values in _stacked(rows, key))  # (changes, units) each
            dims = axis, key
            variables |= with_interval(name, dims, effect, (low, high))
            variables[f"{name}_chance"] = dims, typical_unit(effect, counts)
        for name, key, dims in (
            ("latent_shift", "shift", ("latent",)),
            ("latent_divergence", "divergence", ("latent",)),
            ("output_effect", "output", ()),
            ("codes_changed", "codes", ()),
            ("factor_read", "read", ("read_factor",)),
        ):
            if key in rows[0].estimates:
                mean, low, high = _stacked(rows, key)
                variables |= with_interval(name, (axis, *dims), mean, (low, high))

        # Which latents may be those that a change moves most.
        active = self._activity.active(self._spread.of([LATENT]))
        variables["active"] = ("latent",), active
        for name, key, scale in (("latent_effect", "latent", self.latent_scale), ("latent_shift", "shift", 1.0)):
            if name in variables:
                marked = [
                    best(row.estimates[key][0] / scale, row.replicates[key] / scale, row.pairs, active) for row in rows
                ]
                variables[f"{name}_best"] = latent, np.stack(marked)
        return variables

    def _run(self, images: Batch, first_row: int, times: int = 1) -> CachedRun:
        run = run_cached(self._lens, images, first_row, list(self._lens.sites))
        self._spread.add(run, times)
        self._activity.add(run.code, run.logvar, times)
        return run

    def _empty_sums(self) -> _Sums:
        latents, units = (self._lens.latents,), sum(self._lens.sites[site].units for site in self._sites)
        shapes: dict[str, tuple[int, ...]] = {"unit": (units,), "latent": latents, "output": (), "shift": latents}
        shapes |= {"codes": ()} if self._lens.quantised else {}
        shapes |= {} if self._predictions is None else {"read": (len(self._predictions.factors),)}
        means = {name: BootstrapMean(shape, seed=self._seed) for name, shape in shapes.items()}
        return _Sums(means, {"divergence": Median(latents)})


def _safe(scale: Array) -> Array:
    """Replaces scales of 0 by 1, so that a unit that never changes has effect 0."""
    return np.where(scale > 0, scale, 1.0)


def _stacked(rows: Sequence[_Closed], key: str) -> tuple[Array, Array, Array]:
    """Stacks one estimate of all changes, with the ends of its interval, (changes, …) each."""
    mean, low, high = (np.stack([row.estimates[key][end] for row in rows]) for end in range(3))
    return mean, low, high
