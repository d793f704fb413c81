"""Level 2's sweep, over latents or positions, with everything that is measured beside the effects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vaelens.effects.codes import Codes, position_coords
from vaelens.effects.information import likelihood_of, removal_cost
from vaelens.effects.latent_scores import score_variables, stacked
from vaelens.effects.options import SweepOptions
from vaelens.effects.outputs import OUTPUTS, Outputs
from vaelens.effects.record import Array, Interval, Variables, with_interval
from vaelens.effects.reference_distance import reference_distance
from vaelens.effects.replacements import POSITION, Replacements
from vaelens.effects.specificity_at_once import specificity_at_once
from vaelens.effects.stopping import Stopping, random_order
from vaelens.effects.support import support
from vaelens.effects.sweep import Sweep, SweepPlan, sweep
from vaelens.lens import Batch, Lens
from vaelens.statistics import BootstrapMean

_RECODED, _RECODED_SHARE = 8, 16  # images that are encoded again: so many, and of the others one in so many
_REMOVAL_ALL = 64  # of more images removal is measured on every second one


@dataclass(frozen=True, eq=False)
class LatentSweep:
    """What a sweep over latents or positions measured.

    Attributes:
        codes: of the images used, in the order of the images given.
        plan: the interventions.
        swept: their sums.
        at_once: the specificity of all units at once, over images.
        distance: the mean distance of two reconstructions, and its replicates.
        stopping: what stopped it, if anything could.
        options: of the sweep.
        over: the outputs of the specificity.
        recoded: how many images were encoded again.
        support: of each latent; None for positions.
        removal: the cost of each latent's removal; None for positions, and of columns in units of their own where the
            model's likelihood is not known.
    """

    codes: Codes
    plan: Replacements
    swept: Sweep
    at_once: BootstrapMean
    distance: tuple[float, Array]
    stopping: Stopping | None
    options: SweepOptions
    over: str
    recoded: int
    support: list[BootstrapMean] | None
    removal: BootstrapMean | None

    @property
    def cycle(self) -> tuple[Array, Interval] | None:
        """How far re-encoded latents are from the values set, in the posteriors' standard deviations."""
        if self.plan.cells is None or not self.recoded:
            return None
        unit = self.codes.activity.resolution[: self.plan.units, None]
        unit = np.where(unit > 0, unit, np.nan)
        mean, (low, high) = stacked(self.swept.cycle)
        return mean / unit, (low / unit, high / unit)

    def variables(self, active: Array, axes: Sequence[str]) -> Variables:
        """Returns the variables of the result, which are effects and scores and what a reader predicts.

        Args:
            active: which units are.
            axes: the names of an observation's axes.
        """
        images, unit = len(self.codes.z), (self.plan.over,)
        variables = score_variables(self.swept, self.plan, self.at_once, self.distance, active, images, axes)
        if self.stopping is not None:
            low, high = self.stopping.interval
            variables |= {"ces_low": (unit, low), "ces_high": (unit, high)}
        if self.options.predictions is not None:
            variables |= with_interval("factor_effect", (*unit, "factor"), *stacked(self.swept.outputs))
        return variables

    def coords(self) -> dict[str, Any]:
        """Returns the coordinates of units, values and factors."""
        unit, predictions = self.plan.over, self.options.predictions
        names = np.arange(self.plan.units) if self.codes.directions is None else list(self.codes.directions)
        coords = {unit: names, "value": self.plan.labels, **position_coords(self.codes, unit)}
        return coords if predictions is None else {**coords, "factor": list(predictions.factors)}

    def attributes(self) -> dict[str, Any]:
        """Returns the attributes of a result that say how the numbers were computed."""
        how: dict[str, Any] = {
            "images": len(self.codes.z),
            "specificity_over": self.over,
            "reference_distance": self.distance[0],
            "positions": self.codes.positions.asked,
            "cycle_images": self.recoded,
            **self.options.attributes(),
        }
        if self.removal is not None:
            how["removal_images"] = self.removal.count
        if self.stopping is not None:
            how |= self.stopping.attributes()
        return how if self.codes.codebook is None else how | self.codes.codebook.attributes(self.options.seed)


def latent_sweep(
    lens: Lens,
    images: Batch,
    codes: Codes,
    plan: Replacements,
    calibrated: Replacements | None,
    over: str,
    options: SweepOptions,
) -> LatentSweep:
    """Runs a mode's interventions on all images, or until every CES is known within the tolerance.

    Args:
        lens: the lens.
        images: as the lens takes them.
        codes: of the images.
        plan: the mode's interventions.
        calibrated: those of the calibrated mode on the same units, or None.
        over: the outputs of the specificity.
        options: of the sweep.
    """
    seed, z = options.seed, codes.z
    outputs: Outputs = OUTPUTS[over](lens, codes, options)
    stopping = None
    if options.tolerance is not None:
        stopping = Stopping(len(z), plan.units, lens.observation, options.tolerance, seed)
    order = random_order(len(z), seed)
    recoded = np.zeros(len(z), dtype=bool)
    recoded[order[:_RECODED]] = recoded[order[::_RECODED_SHARE]] = True

    step = 1 if len(z) <= _REMOVAL_ALL or lens.engine.coupled else 2  # rows that belong together stay so
    decoded = len(z) * plan.units * (len(plan.labels) + (0 if calibrated is None else len(calibrated.labels)))
    with options.reporting(decoded, "latent effects") as report:
        swept = sweep(lens, SweepPlan(codes.batch, plan, calibrated, outputs, recoded, seed, stopping), report.advance)
        used = torch.arange(len(z)) if stopping is None else stopping.used
        removal = within = None
        if plan.over != POSITION:
            chosen = used.sort().values[::step]
            # Squared errors of columns in units of their own have no sum that is a likelihood.
            if not (lens.observation.weights and likelihood_of(lens).is_guessed):
                removal = removal_cost(lens, images, codes, z[used].mean(dim=0), chosen, seed)
            within = support(codes, plan, used, seed)
        distance = reference_distance(lens, codes.batch if stopping is None else codes.batch[used], seed)
        recoded_used = used[torch.from_numpy(recoded[used.numpy()])]
        at_once = specificity_at_once(lens, codes, plan, outputs, recoded_used, seed)
    # Resamples weigh images in the order of the sweep; what is not compared with them is of the order given.
    used_codes = codes if stopping is None else codes.take(used.sort().values)
    if stopping is not None:
        stopping.warn(f"CES of {plan.over} " + "{}")
    return LatentSweep(
        used_codes, plan, swept, at_once, distance, stopping, options, over, len(recoded_used), within, removal
    )
