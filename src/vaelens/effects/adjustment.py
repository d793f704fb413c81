"""The effect of a label on data without a grid, less what images that share the label differ by.

Pairs that differ in one label there differ in the others too, and in all that no label says. Contributions that have
nothing to do with each other add up in squares; so squares are compared, at equal distance in the other labels.
"""

import numpy as np
import torch
from torch import Tensor

from vaelens.data.pair_draw import PairDraw
from vaelens.effects.controls import Controls
from vaelens.effects.pair_sizes import PairSizes
from vaelens.effects.record import Array, Interval
from vaelens.effects.shared_images import SharedImages, widening
from vaelens.statistics import BootstrapMean, percentile_interval

_FLAT = 1e-9  # of the mean square distance: a variance below it is rounding


class Adjustment:
    """Adjusted effects of one factor on the output and each latent.

    With e the size of a change and d the distance in the other labels, weighted least squares fit

        e² = floor + β·[the label differs] + γ·d

    to pairs and controls together. The adjusted effect is ±√|β|, with the sign of β, times the mean over the root mean
    square of e over pairs, which makes it comparable with their mean: it is E e where controls do not differ and pairs
    agree on all other labels. Resamples draw pairs and controls apart; weights of pairs are taken as given. Intervals
    are wider where pairs share images (`SharedImages`), as those of a label that few images carry do.

    Args:
        draw: the pairs.
        controls: of the factor, which say how much a pair counts.
        latents: how many there are.
        seed: of the bootstrap resamples.
    """

    def __init__(self, draw: PairDraw, controls: Controls, latents: int, seed: int):
        self._controls, self._sizes = controls, 1 + latents
        # Of pairs and of controls: weight · (1, d, d², e, e², d·e²), the last three for each size.
        shape, other_seed = (3 + 3 * self._sizes,), int(np.random.SeedSequence((seed, 1)).generate_state(1)[0])
        self._pairs, self._shared = BootstrapMean(shape, seed=seed), BootstrapMean(shape, seed=other_seed)
        self._images = SharedImages(draw, self._sizes), SharedImages(controls.draw, self._sizes)

    def add_pairs(self, distance: Tensor, sizes: PairSizes) -> None:
        """Adds pairs that differ in the label."""
        self._pairs.update(self._moments(distance, sizes, self._images[0]))

    def add_controls(self, distance: Tensor, sizes: PairSizes) -> None:
        """Adds control pairs."""
        self._shared.update(self._moments(distance, sizes, self._images[1]))

    def estimate(self) -> tuple[Array, Interval]:
        """Estimates the adjusted effects on the output and each latent, (1 + d,), with a 95 % interval.

        NaN where pairs and controls lie at one distance each, and not at the same, or where one image is in more than
        half of the pairs: nothing then says what the label does.
        """
        values = self._fit(self._pairs.mean[None], self._shared.mean[None])[0]
        replicates = self._fit(self._pairs.replicates, self._shared.replicates)
        wider = widening(*self._images)
        return np.where(np.isnan(wider), np.nan, values), percentile_interval(values + wider * (replicates - values))

    def _moments(self, distance: Tensor, sizes: PairSizes, images: SharedImages) -> Tensor:
        size = sizes.columns
        d = distance.to(size)[:, None]
        weight = self._controls.weights(d[:, 0])[:, None]
        images.add(weight, size**2)
        return torch.cat([weight, weight * d, weight * d**2, *(weight * s for s in (size, size**2, d * size**2))], 1)

    def _fit(self, pairs: Array, controls: Array) -> Array:
        """Computes the adjusted effects from both groups' means, (resamples, 1 + d)."""
        pair, control = _Group(pairs, self._pairs.count), _Group(controls, self._shared.count)
        variance = (pair.variance + control.variance)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample without pairs, or without any size: NaN
            slope = (pair.covariance + control.covariance) / variance
            apart = pair.distance - control.distance
            flat = variance <= _FLAT * (pair.weight * pair.distance**2 + control.weight * control.distance**2)
            slope = np.where(flat, np.where(np.abs(apart) <= _FLAT, 0.0, np.nan), slope)
            label = pair.square - control.square - slope * apart
            shape = np.where(pair.square > 0, pair.size / np.sqrt(pair.square), control.size / np.sqrt(control.square))
            return np.where(label == 0, 0.0, np.sign(label) * np.sqrt(np.abs(label)) * shape)


class _Group:
    """The weighted moments of one group in each resample, the total weight, (r, 1), among them.

    Beside it are the means of the distance, (r, 1), and of sizes and their squares, (r, 1 + d), and the sums of
    products about the means, of the distance with itself, (r,), and with squared sizes, (r, 1 + d).
    """

    def __init__(self, means: Array, count: int):
        sums = count * means
        sizes = (sums.shape[1] - 3) // 3
        self.weight = sums[:, :1]
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample without pairs: NaN
            self.distance = sums[:, 1:2] / self.weight
            self.size, self.square = (sums[:, 3 + k * sizes :][:, :sizes] / self.weight for k in range(2))
        self.variance = sums[:, 2] - (self.weight * self.distance**2)[:, 0]
        self.covariance = sums[:, 3 + 2 * sizes :] - self.weight * self.distance * self.square
