"""The median over images of an array, with an interval, in bounded memory."""

import numpy as np
from scipy.stats import binom
from torch import Tensor

from vaelens.effects.record import LEVEL, Array, Interval

MOST = 4096  # values of which the median is taken: the first ones


class Median:
    """The median over the first 4,096 images of an array, cell by cell, with an interval.

    Images that come in random order are represented by the first of them. The interval lies between two of the ordered
    values, whose ranks a binomial distribution gives, and covers the median of any distribution in at least 95 %.

    Args:
        shape: of one image's values.

    Example:
        >>> import torch
        >>> middle = Median(())
        >>> middle.update(torch.arange(101.0))
        >>> float(middle.median), [float(end) for end in middle.interval()]
        (50.0, [40.0, 60.0])
    """

    def __init__(self, shape: tuple[int, ...]):
        self._shape, self._blocks, self.count = shape, [], 0

    def update(self, values: Tensor) -> None:
        """Adds the values of n images, (n, *shape)."""
        block = values[: MOST - self.count]
        if len(block):
            self._blocks.append(block)
            self.count += len(block)

    @property
    def median(self) -> Array:
        """The median, (*shape), NaN before the first image."""
        return np.asarray(np.median(self._values(), axis=0) if self.count else np.full(self._shape, np.nan))

    def interval(self) -> Interval:
        """Computes the ends of the 95 % interval, each (*shape), NaN for fewer than 6 images."""
        rank = int(binom.ppf((1 - LEVEL) / 2, self.count, 0.5)) if self.count else 0
        if rank < 1:
            return np.full(self._shape, np.nan), np.full(self._shape, np.nan)
        ordered = np.sort(self._values(), axis=0)
        return np.asarray(ordered[rank - 1]), np.asarray(ordered[-rank])

    def _values(self) -> Array:
        return np.concatenate([block.cpu().numpy() for block in self._blocks])
