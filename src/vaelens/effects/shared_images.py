"""How much less pairs tell where they share images, as those of a label that few images carry do."""

import numpy as np
from scipy.special import stdtrit
from torch import Tensor

from vaelens.data.pair_draw import PairDraw
from vaelens.effects.record import Array

_TAIL = 0.025  # of a 95 % interval


class SharedImages:
    """How much wider an interval of a weighted mean over pairs is than one over independent pairs.

    With r_p what pair p adds to the mean, less what an average pair does, pairs that share an image vary together, so
    that the variance of the mean is not Σ_p r_p² but

        Σ_i (Σ_{p with image i} r_p)² − Σ_p r_p²

    over all images i: of clusters in two ways (Cameron, Gelbach, Miller, Robust inference with multiway clustering,
    2011). The ratio of the two is the design effect.

    Args:
        draw: the pairs.
        sizes: of how many values there is a mean.
    """

    def __init__(self, draw: PairDraw, sizes: int):
        _, which = np.unique(np.concatenate([draw.first, draw.second]), axis=0, return_inverse=True)
        self._ends = which.reshape(2, len(draw))
        images = int(which.max()) + 1
        self._seen = 0
        self._pairs, self._weights = np.zeros(images), np.zeros(images)  # with each image
        self._values = np.zeros((images, sizes))
        self._squares = np.zeros((3, sizes))  # Σ w²·(1, v, v²)
        self._totals = np.zeros((2, sizes))  # Σ w·(1, v)

    def add(self, weights: Tensor, values: Tensor) -> None:
        """Adds the next pairs' weights (n, 1) and values (n, sizes)."""
        weight, value = weights.cpu().numpy(), values.cpu().numpy()
        for ends in self._ends[:, self._seen : self._seen + len(value)]:
            np.add.at(self._pairs, ends, 1)
            np.add.at(self._weights, ends, weight[:, 0])
            np.add.at(self._values, ends, weight * value)
        self._seen += len(value)
        self._squares += np.stack([(weight**2 * value**power).sum(axis=0) for power in range(3)])
        self._totals += np.stack([(weight * value**power).sum(axis=0) for power in range(2)])

    @property
    def independent(self) -> float:
        """How many independent pairs there are at most, which is all pairs over the most that share one image."""
        return self._seen / self._pairs.max() if self._seen else 0.0

    @property
    def design_effect(self) -> Array:
        """The variance of the mean over that of as many independent pairs, 1 or more, (sizes,)."""
        with np.errstate(invalid="ignore", divide="ignore"):  # no pair, or no difference between any two
            mean = self._totals[1] / self._totals[0]
            alone = self._squares[2] - 2 * mean * self._squares[1] + mean**2 * self._squares[0]
            by_image = ((self._values - mean * self._weights[:, None]) ** 2).sum(axis=0) - alone
            return np.where(alone > 0, np.maximum(by_image / alone, 1), 1.0)


def widening(*groups: SharedImages) -> Array:
    """Computes by how much to widen a bootstrap interval over pairs of some groups, (sizes,).

    The root of the largest design effect, and Student's quantile for so few independent pairs over the normal one; NaN
    where fewer than two are independent.
    """
    independent = min(group.independent for group in groups)
    design = np.max([group.design_effect for group in groups], axis=0)
    if independent < 2:
        return np.full_like(design, np.nan)
    few = np.sqrt(independent / (independent - 1)) * stdtrit(independent - 1, _TAIL) / stdtrit(np.inf, _TAIL)
    return np.sqrt(design) * few
