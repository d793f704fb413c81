"""The effects of random pairs, and without a grid effects less controls', which stand beside the effects of factors.

Random pairs cost no run; controls cost two runs and a decoder pass for each pair, other pairs a decoder pass more.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vaelens.data.pair_draw import PairDraw
from vaelens.effects.adjustment import Adjustment
from vaelens.effects.chunks import chunks
from vaelens.effects.controls import Controls
from vaelens.effects.dataset_rows import dataset_rows
from vaelens.effects.label_regression import LabelRegression
from vaelens.effects.outcomes import run_cached
from vaelens.effects.pair_sizes import PairSizes, Reconstructed
from vaelens.effects.random_pairs import RandomPairs
from vaelens.effects.record import Array, Interval, Variables, with_interval
from vaelens.lens import Batch, CachedRun, Lens
from vaelens.progress import Advance


class FactorLevels:
    """The levels beside the effects of some factors.

    Args:
        lens: the lens.
        draws: the pairs of each factor.
        controls: of each factor, None where it has none; empty on a grid.
        regression: of the code on the labels, where there are controls.
        seed: of the bootstrap resamples.
    """

    def __init__(
        self,
        lens: Lens,
        draws: Sequence[PairDraw],
        controls: Sequence[Controls | None],
        regression: LabelRegression | None,
        seed: int,
    ):
        self._lens, self._draws, self._controls, self._regression = lens, draws, controls, regression
        self._random = RandomPairs(lens.latents, lens.observation, seed)
        self._adjusted = [
            None if each is None else Adjustment(draw, each, lens.latents, seed)
            for draw, each in zip(draws, controls, strict=False)  # on a grid there are none
        ]
        self._shifts = True  # latents move in posterior standard deviations

    @property
    def runs(self) -> int:
        """How many images there are to learn from, and control pairs to run."""
        learned = 0 if self._regression is None else self._regression.images
        return learned + sum(len(controls.draw) for controls in self._controls if controls is not None)

    def prepare(self, advance: Advance) -> None:
        """Fits the regression of the code on the labels, where there is one."""
        if self._regression is not None:
            self._regression.learn(advance)

    def observe(self, change: int, first_row: int, before: CachedRun, after: CachedRun, sizes: PairSizes) -> None:
        """Adds pairs of a factor that were run."""
        draw, rows = self._draws[change], slice(first_row, first_row + len(sizes.output))
        self._shifts = sizes.shifts is not None
        if change == 0:  # the first images of every factor's pairs are the same, but where labels are missing
            self._random.add(Reconstructed.of(before), draw.first[rows])
        adjustment = self._adjusted[change] if self._adjusted else None
        if adjustment is not None:
            runs = Reconstructed.of(before), Reconstructed.of(after)
            adjustment.add_pairs(
                torch.from_numpy(draw.distance[rows]), self._matched(draw, rows, *runs, before.context) or sizes
            )

    def finish(self, used: Array, advance: Advance) -> None:
        """Runs the control pairs of every factor, no more of them than pairs were used."""
        # On a grid there are none of either.
        for controls, adjustment, most in zip(self._controls, self._adjusted, used, strict=False):
            if controls is None or adjustment is None:
                continue
            draw, count = controls.draw, min(int(most), len(controls.draw))
            for rows in chunks(count, self._lens.engine.rows_for(())):
                block = draw[rows]
                first = dataset_rows(self._lens, block.x, block.context)
                before, after = (
                    Reconstructed.of(run_cached(self._lens, images, rows.start, ()))
                    for images in (first, first.with_values(block.x2))
                )
                matched = self._matched(draw, rows, before, after, first.context)
                sizes = matched or PairSizes.of(before, after, self._lens.observation)
                adjustment.add_controls(block.distance, sizes)
                advance(len(block.x))
            advance(len(draw) - count)

    def _matched(
        self, draw: PairDraw, rows: slice, before: Reconstructed, after: Reconstructed, context: Tensor | None
    ) -> PairSizes | None:
        """Measures pairs' sizes once the second image has the first's other labels. None where it has them already."""
        correction = None if self._regression is None else self._regression.correction(draw, rows)
        if correction is None:
            return None
        code = after.code + correction.to(after.code)
        images = self._lens.engine.decode(Batch(code, context), rows.start)
        return PairSizes.of(before, Reconstructed(images, code, after.logvar), self._lens.observation)

    def variables(self, latent_scale: Array) -> Variables:
        """Returns the variables of the result.

        Args:
            latent_scale: what a latent's moves are divided by where there are no posterior standard deviations, (d,).
        """
        score = "latent_shift" if self._shifts else "latent_effect"
        scale = np.concatenate([[1.0], np.ones_like(latent_scale) if self._shifts else latent_scale])
        sizes = self._random.sizes
        variables = _output_and_latents(score, "random", (), sizes.mean / scale, _divided(sizes.interval(), scale))
        if not self._controls:
            return variables
        nothing = np.full(len(scale), np.nan)
        estimates = [(nothing, (nothing, nothing)) if each is None else each.estimate() for each in self._adjusted]
        values = np.stack([value for value, _ in estimates]) / scale
        low, high = (np.stack([interval[end] for _, interval in estimates]) for end in range(2))
        interval = _divided((low, high), scale)
        return variables | _output_and_latents(score, "adjusted", ("factor",), values, interval)


def _divided(interval: Interval, scale: Array) -> Interval:
    return interval[0] / scale, interval[1] / scale


def _output_and_latents(score: str, kind: str, dims: tuple[str, ...], values: Array, interval: Interval) -> Variables:
    """Splits numbers of the output and each latent, (…, 1 + d), into two variables."""
    low, high = interval
    output = with_interval(f"output_effect_{kind}", dims, values[..., 0], (low[..., 0], high[..., 0]))
    latents = values[..., 1:], (low[..., 1:], high[..., 1:])
    return output | with_interval(f"{score}_{kind}", (*dims, "latent"), *latents)
