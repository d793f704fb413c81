"""What each of several changes of the input does to every unit, the image and the codes, summed over pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.factor_predictions import FactorPredictions
from vaelens.effects.medians import Median
from vaelens.effects.outcomes import posterior_logvar, run_cached
from vaelens.effects.posterior_changes import posterior_divergence, posterior_shift
from vaelens.effects.record import Array, Variables, typical_unit, with_interval
from vaelens.effects.spread import Spread, by_unit
from vaelens.float64 import to_float64
from vaelens.lens import LATENT, CachedRun, Lens
from vaelens.statistics import BootstrapMean

_Estimate = tuple[Array, Array, Array]  # mean or median, and the ends of its interval


@dataclass(frozen=True, eq=False)
class ChunkRun:
    """A run of some images, and the log-variances of their posteriors, where the encoder returns any."""

    run: CachedRun
    logvar: Tensor | None


@dataclass(eq=False)
class _Sums:
    """The running sums of one change, by what they are of."""

    means: dict[str, BootstrapMean]
    medians: dict[str, Median] = field(default_factory=dict)

    @property
    def pairs(self) -> int:
        return self.means["unit"].count

    def estimates(self) -> dict[str, _Estimate]:
        of_means = {name: (total.mean, *total.interval()) for name, total in self.means.items() if total.count}
        return of_means | {name: (m.median, *m.interval()) for name, m in self.medians.items() if m.count}


class ChangeSums:
    """The effects of several changes of the input, of which images come a chunk at a time.

    Args:
        lens: the lens.
        seed: of the bootstrap resamples.
        predictions: of the factors that a reader predicts, or None.
    """

    def __init__(self, lens: Lens, seed: int, predictions: FactorPredictions | None = None):
        self._lens, self._seed, self._predictions = lens, seed, predictions
        self._sites = list(lens.sites)
        self._of_latent = np.repeat([site == LATENT for site in self._sites], [s.units for s in lens.sites.values()])
        self._spread = Spread()
        self._has_variance = True  # until the encoder is seen to give none
        self._open: dict[int, _Sums] = {}
        self._closed: dict[int, dict[str, _Estimate]] = {}

    def before(self, images: Tensor, first_row: int, times: int) -> ChunkRun:
        """Run images before any change, in as many pairs as there are changes of them."""
        chunk = self._run(images, first_row)
        self._spread.add(chunk.run, times)
        return chunk

    def add(self, change: int, before: ChunkRun, images: Tensor, first_row: int) -> Tensor:
        """Take in the same images after a change, and return its effect on the output of each, (c,), on the device."""
        after = self._run(images, first_row)
        self._spread.add(after.run)
        sums = self._open.setdefault(change, self._empty_sums())

        # Every unit and the image.
        differences = [
            by_unit(after.run.activation(site) - before.run.activation(site)).norm(dim=2) for site in self._sites
        ]
        sums.means["unit"].update(torch.cat(differences, dim=1))  # (c, units)
        sizes = to_float64(after.run.image - before.run.image).flatten(1).norm(dim=1)
        sums.means["output"].update(sizes)

        # The posterior, or the codes of a codebook.
        if before.logvar is not None and after.logvar is not None:
            moments = (before.run.code, before.logvar, after.run.code, after.logvar)
            sums.means["shift"].update(posterior_shift(*moments))
            sums.medians["divergence"].update(posterior_divergence(*moments))
        if self._lens.quantised:
            quantise = self._lens.engine.quantise
            differ = quantise(before.run.code).indices != quantise(after.run.code).indices
            sums.means["codes"].update(to_float64(differ).reshape(len(differ), -1).mean(dim=1))

        # What a reader predicts.
        if self._predictions is not None:
            unchanged, changed = (self._predictions.probabilities(chunk.run.image) for chunk in (before, after))
            sums.means["read"].update(self._predictions.distances(changed, unchanged))
        return sizes

    def pairs(self, change: int) -> int:
        """How many pairs of a change have been added."""
        return self._open[change].pairs

    def close(self, change: int) -> None:
        """Take no more pairs of a change, and drop its resamples."""
        self._closed[change] = self._open.pop(change).estimates()

    def variables(self, axis: str) -> Variables:
        """The variables of the result, over the changes in order."""
        rows = [self._closed[change] for change in sorted(self._closed)]
        scale = self._spread.of(self._sites)
        safe = np.where(scale > 0, scale, 1.0)  # a unit that never changes has effect 0, whatever its scale
        units = {site: self._lens.sites[site].units for site in self._sites}
        other_counts = [count for site, count in units.items() if site != LATENT]
        variables: Variables = {}
        mean, low, high = _stacked(rows, "unit")  # (changes, units) each
        for name, dim, at, counts in (
            ("latent_effect", "latent", self._of_latent, [units[LATENT]]),
            ("unit_effect", "unit", ~self._of_latent, other_counts),
        ):
            effect, *ends = ((values / safe)[:, at] for values in (mean, low, high))
            variables |= with_interval(name, (axis, dim), effect, (ends[0], ends[1]))
            variables[f"{name}_chance"] = (axis, dim), typical_unit(effect, counts)
        for name, key, dims in (
            ("latent_shift", "shift", ("latent",)),
            ("latent_divergence", "divergence", ("latent",)),
            ("output_effect", "output", ()),
            ("codes_changed", "codes", ()),
            ("factor_read", "read", ("read_factor",)),
        ):
            if key in rows[0]:
                mean, low, high = _stacked(rows, key)
                variables |= with_interval(name, (axis, *dims), mean, (low, high))
        return variables

    def _run(self, images: Tensor, first_row: int) -> ChunkRun:
        run = run_cached(self._lens, images, first_row, self._sites)
        logvar = posterior_logvar(self._lens, run) if self._has_variance else None
        self._has_variance = logvar is not None
        return ChunkRun(run, logvar)

    def _empty_sums(self) -> _Sums:
        latents = (self._lens.latents,)
        shapes: dict[str, tuple[int, ...]] = {"unit": (len(self._of_latent),), "output": (), "shift": latents}
        shapes |= {"codes": ()} if self._lens.quantised else {}
        shapes |= {} if self._predictions is None else {"read": (len(self._predictions.factors),)}
        means = {name: BootstrapMean(shape, seed=self._seed) for name, shape in shapes.items()}
        return _Sums(means, {"divergence": Median(latents)})


def _stacked(rows: Sequence[dict[str, _Estimate]], key: str) -> tuple[Array, Array, Array]:
    """One estimate of all changes with the ends of its interval, (changes, …) each."""
    mean, low, high = (np.stack([row[key][end] for row in rows]) for end in range(3))
    return mean, low, high
