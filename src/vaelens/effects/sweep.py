"""The sweep of a mode's interventions over units, values and images, from which level 2's numbers are computed.

A unit is a latent, or a position of a quantised latent. Units go in groups whose pictures' bootstrap replicates fit in
memory together; images go in the lens's chunks. Where a quantised latent takes the same codes after an intervention as
before it, nothing is decoded.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.chunks import chunks
from vaelens.effects.decoded_chunk import DecodedChunk
from vaelens.effects.entropy import entropies, row_specificities
from vaelens.effects.outcomes import numbers
from vaelens.effects.outputs import Outputs, PixelOutputs, rounding_in
from vaelens.effects.record import RESAMPLES, Array, Interval
from vaelens.effects.replacements import Replacements
from vaelens.effects.stopping import Stopping
from vaelens.lens import Batch, Lens
from vaelens.progress import Advance
from vaelens.statistics import BootstrapMean

_PICTURE_BYTES = 128 * 2**20


@dataclass(frozen=True, eq=False)
class SweepPlan:
    """What a sweep runs and measures.

    Attributes:
        codes: (n, d, *positions), in their context.
        interventions: of the mode.
        calibrated: others on the same units, of which only the effects are measured; None for none.
        outputs: what specificity counts.
        recoded: whether each image is encoded again after interventions, (n,), on the host.
        seed: of the bootstrap weights.
        stopping: gives the order of the images, and says after which of them to stop; None for all as they come.
    """

    codes: Batch
    interventions: Replacements
    calibrated: Replacements | None
    outputs: Outputs
    recoded: Array
    seed: int
    stopping: Stopping | None = None


class UnitSums:
    """The running sums of one unit, over images.

    Attributes:
        effect: ‖D(z) − D(z̃_iv)‖₂, (values,).
        calibrated: the same under the calibrated interventions.
        pixels: |Δ| of each pixel, mean over values, (pixels,).
        outputs: |Δ_o| of each output, mean over values, (outputs,).
        per_image: each image's normalised specificity where the image changes, and whether it does, (2,).
        cycle: how far the re-encoded value is from the one set, over the images that are encoded again, (values,).
    """

    def __init__(self, plan: SweepPlan, pixels: int):
        values, seed = len(plan.interventions.labels), plan.seed
        draws = 0 if plan.calibrated is None else len(plan.calibrated.labels)
        over_pixels = isinstance(plan.outputs, PixelOutputs)
        self.effect = BootstrapMean((values,), RESAMPLES, seed)
        self.calibrated = BootstrapMean((draws,), RESAMPLES, seed)
        self.pixels = BootstrapMean((pixels,), plan.outputs.resamples if over_pixels else 0, seed)
        counted = BootstrapMean((plan.outputs.count,), 0 if over_pixels else plan.outputs.resamples, seed)
        self.outputs = self.pixels if over_pixels else counted
        self.per_image = BootstrapMean((2,), RESAMPLES, seed)
        self.cycle = BootstrapMean((values,), RESAMPLES, seed)


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a mode's interventions did to each unit.

    Attributes:
        effect: an accumulator of shape (values,) for each unit; see `UnitSums`, also for the others.
        calibrated: one for each unit; empty without calibrated interventions.
        per_image: of shape (2,) for each unit.
        cycle: of shape (values,) for each unit.
        outputs: of shape (outputs,) for each unit, without replicates.
        pictures: mean absolute change of each pixel over images and values, (units, C, H, W).
        picture_ends: the ends of their intervals where observations are no images; NaN unless values are the outputs.
        entropy: H(p_i) in nats over the outputs, (units,); NaN for a unit without effect.
        entropy_replicates: its bootstrap replicates, (resamples, units).
    """

    effect: list[BootstrapMean]
    calibrated: list[BootstrapMean]
    per_image: list[BootstrapMean]
    cycle: list[BootstrapMean]
    outputs: list[BootstrapMean]
    pictures: Array
    picture_ends: Interval | None
    entropy: Array
    entropy_replicates: Array


def sweep(lens: Lens, plan: SweepPlan, advance: Advance) -> Sweep:
    """Runs every unit through every value of a mode, on every code, or until that is enough.

    Args:
        lens: the lens.
        plan: what is run and measured.
        advance: told of each unit of a chunk how many images it decoded, or need not.
    """
    interventions, stopping = plan.interventions, plan.stopping
    pixels = lens.observation.size
    units_at_once = max(1, _PICTURE_BYTES // (4 * plan.outputs.count * plan.outputs.resamples))
    rows_at_once = lens.engine.rows_uncached
    blocks = chunks(len(plan.codes), rows_at_once) if stopping is None else stopping.chunks(rows_at_once)
    done: list[UnitSums] = []
    entropy, replicates = [], []
    for first_unit in range(0, interventions.units, units_at_once):
        units = range(first_unit, min(first_unit + units_at_once, interventions.units))
        sums = {unit: UnitSums(plan, pixels) for unit in units}
        first_row = 0
        for used, rows in enumerate(blocks, 1):
            chunk = DecodedChunk(lens, plan.codes[rows], rows, first_row)
            first_row += len(chunk.images)
            sizes = _add_chunk(chunk, plan, sums, advance)
            if stopping is None or first_unit:
                continue
            # The first group decides for all: what the others do to these images is decoded now, and in their turn.
            later_sizes = [chunk.distances(interventions, unit) for unit in range(units.stop, interventions.units)]
            stopping.update(numbers(torch.stack([size.mean(dim=1) for size in sizes + later_sizes], dim=1)))
            if stopping.reached:
                blocks = blocks[:used]
                break
        for unit_sums in sums.values():
            entropy.append(entropies(unit_sums.outputs.mean, plan.outputs.weights))
            resampled = [entropies(means, plan.outputs.weights) for means in unit_sums.outputs.replicates_in_blocks()]
            replicates.append(np.concatenate(resampled))
            done.append(unit_sums)
    return Sweep(
        [sums.effect for sums in done],
        [] if plan.calibrated is None else [sums.calibrated for sums in done],
        [sums.per_image for sums in done],
        [sums.cycle for sums in done],
        [sums.outputs for sums in done],
        np.stack([sums.pixels.mean.reshape(lens.observation.shape) for sums in done]),
        None if lens.observation.is_image else _picture_ends(lens, plan, done),
        np.stack(entropy),
        np.stack(replicates, axis=1),
    )


def effect_sizes(lens: Lens, codes: Batch, plan: Replacements, seed: int, advance: Advance) -> list[BootstrapMean]:
    """Measures only the effects of a sweep, with one accumulator of shape (values,) for each unit."""
    effect = [BootstrapMean((len(plan.labels),), RESAMPLES, seed) for _ in range(plan.units)]
    for rows in chunks(len(codes), lens.engine.rows_uncached):
        chunk = DecodedChunk(lens, codes[rows], rows, rows.start)
        for unit, total in enumerate(effect):
            total.update(chunk.distances(plan, unit))
            advance(len(chunk.images) * len(plan.labels))
    return effect


def mean_over_values(effect: list[BootstrapMean]) -> tuple[Array, Array]:
    """Averages effects over values to CES by latent, (d,), and its replicates, (resamples, d)."""
    replicates = np.stack([total.replicates.mean(axis=1) for total in effect], axis=1)
    return np.array([total.mean.mean() for total in effect]), replicates


def _picture_ends(lens: Lens, plan: SweepPlan, done: list[UnitSums]) -> Interval:
    """Computes the ends of the intervals of each value's mean change, (units, *shape)."""
    shape = (len(done), *lens.observation.shape)
    if not isinstance(plan.outputs, PixelOutputs):
        return np.full(shape, np.nan), np.full(shape, np.nan)
    low, high = zip(*(sums.pixels.interval() for sums in done), strict=True)
    return np.stack(low).reshape(shape), np.stack(high).reshape(shape)


def _add_chunk(chunk: DecodedChunk, plan: SweepPlan, sums: dict[int, UnitSums], advance: Advance) -> list[Tensor]:
    """Adds a chunk to the sums, and returns ‖D(z) − D(z̃)‖₂ of each unit, (c, values)."""
    base, interventions, outputs = chunk.images, plan.interventions, plan.outputs
    over_pixels = isinstance(outputs, PixelOutputs)
    start = base if over_pixels else outputs.start(chunk)
    on_host = chunk.rows if isinstance(chunk.rows, slice) else chunk.rows.numpy()
    local = torch.from_numpy(np.flatnonzero(plan.recoded[on_host])).to(base.device, non_blocking=True)
    values = len(interventions.labels)
    rounding = rounding_in(outputs, start)
    sizes = []
    for unit, unit_sums in sums.items():
        # The interventions of the mode: how far each moves the image, and where.
        distances, recoded = [], []
        pixels, elsewhere = torch.zeros_like(base), base.new_zeros(len(base), outputs.count)
        for image in chunk.changed(interventions, unit):
            change = image - base
            distances.append(chunk.sizes(change))
            pixels += change.abs_()
            if not over_pixels:
                elsewhere = elsewhere + outputs.change(chunk, image, start)
            if len(local) and interventions.cells is not None:
                recoded.append(chunk.picked(image, local))
        sizes.append(torch.stack(distances, dim=1))
        unit_sums.effect.update(sizes[-1])
        changed = pixels.flatten(1).div_(values)
        unit_sums.pixels.update(changed)
        if not over_pixels:
            changed = elsewhere / values
            unit_sums.outputs.update(changed)
        unit_sums.per_image.update(row_specificities(changed, outputs.weights, rounding))
        # What the encoder makes of the changed images.
        if recoded:
            unit_sums.cycle.update(_cycle_errors(chunk, interventions, unit, recoded, local))
        # The calibrated interventions.
        draws = 0
        if plan.calibrated is not None:
            draws = len(plan.calibrated.labels)
            unit_sums.calibrated.update(chunk.distances(plan.calibrated, unit))
        advance(len(base) * (values + draws))
    return sizes


def _cycle_errors(
    chunk: DecodedChunk, interventions: Replacements, unit: int, picked: list[Batch], local: Tensor
) -> Tensor:
    """Measures how far re-encoded latents are from the value set, the mean over positions, (k, values).

    Args:
        chunk: the chunk.
        interventions: what changed it.
        unit: which latent was set.
        picked: what the chunk picked of its changed images, a batch for each value.
        local: which of the chunk's images they are.
    """
    assert interventions.cells is not None, "only of latents is the value that is set encoded again"
    rows = local + chunk.rows.start if isinstance(chunk.rows, slice) else chunk.rows.to(local.device)[local]
    errors = []
    for k, codes in enumerate(chunk.codes_of_picked(picked)):
        wanted = interventions.cells(interventions.changed(rows, unit, k), rows, unit)
        errors.append((interventions.cells(codes, rows, unit) - wanted).abs().mean(dim=1))
    return torch.stack(errors, dim=1)
