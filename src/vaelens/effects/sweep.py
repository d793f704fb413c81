"""The sweep of a mode's interventions over units, values and images, from which level 2's numbers are made.

A unit is a latent, or a position of a quantised latent. Units go in groups whose pictures' bootstrap replicates fit in
memory together; images go in the lens's chunks. Where a quantised latent takes the same codes after an intervention as
before it, nothing is decoded.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.modes import Replacements, Rows
from vaelens.effects.outcomes import cells, numbers
from vaelens.effects.reading import FACTORS, Reading
from vaelens.effects.record import RESAMPLES, Array
from vaelens.effects.stopping import Stopping
from vaelens.lens import Lens
from vaelens.progress import Advance
from vaelens.statistics import BootstrapMean

_PICTURE_RESAMPLES = 200  # each replicate is a whole picture: fewer than of a number
_PICTURE_BYTES = 128 * 2**20


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a mode's interventions did to each unit.

    Attributes:
        effect: ‖D(z) − D(z̃_iv)‖₂ over images, one accumulator of shape (values,) for each unit.
        beside: the same under the plan beside; empty without one.
        pictures: mean absolute change of each pixel over images and values, (units, C, H, W).
        entropy: H(p_i) in nats over the outputs, (units,); NaN for a unit without effect.
        entropy_replicates: its bootstrap replicates, (resamples, units).
        outputs: the number of outputs.
        factors: total-variation distance of what is read, over images, one accumulator of shape (factors,) for each
            unit; empty without a reading.
    """

    effect: list[BootstrapMean]
    beside: list[BootstrapMean]
    pictures: Array
    entropy: Array
    entropy_replicates: Array
    outputs: int
    factors: list[BootstrapMean]


class _Tally:
    """The running sums of one unit."""

    def __init__(self, values: int, beside: int, pixels: int, outputs: int, over: str, seed: int):
        self.effect = BootstrapMean((values,), RESAMPLES, seed)
        self.beside = BootstrapMean((beside,), RESAMPLES, seed)
        self.pixels = BootstrapMean((pixels,), _PICTURE_RESAMPLES if over == "pixels" else 0, seed)
        resamples = RESAMPLES if over == FACTORS else _PICTURE_RESAMPLES
        self.outputs = self.pixels if over == "pixels" else BootstrapMean((outputs,), resamples, seed)


def sweep(
    lens: Lens,
    codes: Tensor,
    plan: Replacements,
    over: str,
    seed: int,
    advance: Advance,
    beside: Replacements | None = None,
    until: Stopping | None = None,
    reading: Reading | None = None,
) -> Sweep:
    """Run every unit through every value of a plan, on every code, or until that is enough.

    Args:
        lens: the lens.
        codes: (n, d, *positions).
        plan: the interventions.
        over: "pixels", "latents" or "factors": the outputs whose entropy is measured.
        seed: of the bootstrap weights.
        advance: told of each unit of a chunk how many images it decoded, or need not.
        beside: another plan for the same units, of which only the effects are wanted.
        until: gives the order of the images, and says after which of them to stop; None for all as they come.
        reading: reads the factors, where they are the outputs.
    """
    shape = lens.image_shape
    pixels, values = int(np.prod(shape)), len(plan.labels)
    outputs = pixels if over == "pixels" else codes[0].numel() if reading is None else len(reading.factors)
    together = max(1, _PICTURE_BYTES // (4 * outputs * _PICTURE_RESAMPLES))
    effect, besides, pictures, entropy, replicates, factors = [], [], [], [], [], []
    at_once = lens.engine.rows_uncached
    every = chunks(len(codes), at_once) if until is None else until.chunks(at_once)
    for start in range(0, plan.units, together):
        group = range(start, min(start + together, plan.units))
        tallies = {
            unit: _Tally(values, 0 if beside is None else len(beside.labels), pixels, outputs, over, seed)
            for unit in group
        }
        first_row = 0
        for taken, rows in enumerate(every, 1):
            chunk = _Chunk(lens, codes[rows], rows, first_row)
            first_row += len(chunk.images)
            sizes = _tally(chunk, plan, beside, tallies, over, advance, reading)
            if until is None or start:
                continue
            # The first group decides for all: what the others do to these images is drawn now, and again in their turn.
            others = [chunk.distances(plan, unit) for unit in range(group.stop, plan.units)]
            until.update(numbers(torch.stack([size.mean(dim=1) for size in sizes + others], dim=1)))
            if until.reached:
                every = every[:taken]
                break
        for tally in tallies.values():
            effect.append(tally.effect)
            besides += [] if beside is None else [tally.beside]
            pictures.append(tally.pixels.mean.reshape(shape))
            entropy.append(entropies(tally.outputs.mean))
            replicates.append(np.concatenate([entropies(some) for some in tally.outputs.replicates_in_blocks()]))
            factors += [] if reading is None else [tally.outputs]
    return Sweep(effect, besides, np.stack(pictures), np.stack(entropy), np.stack(replicates, axis=1), outputs, factors)


def effect_sizes(lens: Lens, codes: Tensor, plan: Replacements, seed: int, advance: Advance) -> list[BootstrapMean]:
    """Only the effects of a sweep: one accumulator of shape (values,) for each unit."""
    effect = [BootstrapMean((len(plan.labels),), RESAMPLES, seed) for _ in range(plan.units)]
    for rows in chunks(len(codes), lens.engine.rows_uncached):
        chunk = _Chunk(lens, codes[rows], rows, rows.start)
        for unit, total in enumerate(effect):
            total.update(chunk.distances(plan, unit))
            advance(len(chunk.images) * len(plan.labels))
    return effect


def mean_over_values(effect: list[BootstrapMean]) -> tuple[Array, Array]:
    """CES by latent, (d,), and its replicates, (resamples, d)."""
    replicates = np.stack([one.replicates.mean(axis=1) for one in effect], axis=1)
    return np.array([one.mean.mean() for one in effect]), replicates


def chunks(images: int, rows: int) -> list[slice]:
    """Consecutive slices of at most `rows` images."""
    return [slice(start, min(start + rows, images)) for start in range(0, images, rows)]


def entropies(change: Array) -> Array:
    """H in nats of the distribution proportional to the last axis; NaN where nothing changes."""
    p = torch.from_numpy(change)
    return np.asarray(torch.special.entr(p / p.sum(dim=-1, keepdim=True)).sum(dim=-1))


class _Chunk:
    """Some images, decoded from their codes, and decoded again from codes that a plan changes.

    Attributes:
        images: D(z), (c, C, H, W).

    Args:
        lens: the lens.
        codes: (c, d, *positions).
        rows: which of all images they are.
        first_row: where in the order of the sweep they begin.
    """

    def __init__(self, lens: Lens, codes: Tensor, rows: Rows, first_row: int):
        self._engine, self._rows, self._first_row = lens.engine, rows, first_row
        self.images = self._engine.decode(codes, first_row)
        self._indices = self._engine.quantise(codes).indices if lens.quantised else None

    def encoded(self, images: Tensor) -> Tensor:
        """The codes of the chunk's images, changed or not."""
        return self._engine.encode(images, self._first_row)

    def changed(self, plan: Replacements, unit: int) -> Iterator[Tensor]:
        """The images D(z̃), one batch for each value of the plan."""
        # Of few images several values: as much at once as of many.
        for values in chunks(len(plan.labels), max(1, self._engine.rows_uncached // len(self.images))):
            codes = [plan.changed(self._rows, unit, k) for k in range(values.start, values.stop)]
            yield from self._engine.decode_variants(codes, self._first_row, self.images, self._indices)

    def distances(self, plan: Replacements, unit: int) -> Tensor:
        """‖D(z) − D(z̃)‖₂ for each value of the plan, (c, values)."""
        return torch.stack([cells(image - self.images).norm(dim=1) for image in self.changed(plan, unit)], dim=1)


def _tally(
    chunk: _Chunk,
    plan: Replacements,
    beside: Replacements | None,
    tallies: dict[int, _Tally],
    over: str,
    advance: Advance,
    reading: Reading | None,
) -> list[Tensor]:
    """Take a chunk into the sums, and return ‖D(z) − D(z̃)‖₂ of each unit, (c, values)."""
    sizes = []
    base = chunk.images
    recoded = chunk.encoded(base) if over == "latents" else None
    read = None if reading is None else reading.probabilities(base)
    for unit, tally in tallies.items():
        distances, pixels, outputs = [], torch.zeros_like(base), 0.0
        for image in chunk.changed(plan, unit):
            change = image - base
            distances.append(cells(change).norm(dim=1))
            pixels += change.abs_()
            if recoded is not None:
                outputs = outputs + (chunk.encoded(image) - recoded).abs()
            if reading is not None and read is not None:
                outputs = outputs + reading.distances(reading.probabilities(image), read)
        sizes.append(torch.stack(distances, dim=1))
        tally.effect.update(sizes[-1])
        tally.pixels.update(pixels.flatten(1).div_(len(distances)))
        if isinstance(outputs, Tensor):
            tally.outputs.update(outputs.flatten(1) / len(distances))
        if beside is not None:
            tally.beside.update(chunk.distances(beside, unit))
        advance(len(base) * (len(plan.labels) + (0 if beside is None else len(beside.labels))))
    return sizes
