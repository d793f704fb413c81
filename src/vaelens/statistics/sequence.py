"""Confidence sequences, intervals for a mean that hold at all times at once, so that work may stop when it likes.

Keeps five numbers a cell, whatever the number of images; a look costs some 500 logarithms a cell.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaelens.errors import VaelensError

_BETS = 2.0 ** -np.arange(14)  # c_j
_WEIGHTS = 1 / (np.arange(1, 15) * np.arange(2, 16)) * 15 / 14  # of the bets, adding to one: large ones count most
_HALVINGS = 40
_ROUNDING = 1e-6  # how far beyond the bounds a value may be, as a share of their distance


class ConfidenceSequence:
    """Means over images of bounded values, with intervals that hold at every number of images at once.

    With probability `level`, the mean is inside every interval that is ever looked at, however many looks there are and
    whatever makes one stop: exactly, for any distribution within the bounds and any number of images, if images are
    drawn independently (or each has the same mean given those before it). The level is that of each cell alone; for m
    of them to hold together, ask for a level of 1 − (1 − level)/m.

    For values scaled to [0, 1] and a mean m in question, a gambler who stakes a fixed share c of what could be lost
    on the mean being smaller has Π(1 + c (m − x_i)/(1 − m)) after n images, a martingale if m is the mean. The capital
    K_n(m) is spread over c = 1, 1/2, …, 2⁻¹³ with weights near 1/((j + 1)(j + 2)), and m is ruled out once it has
    grown by a factor 2/(1 − level) (Ville's inequality); the same, mirrored, from below. Not the products themselves
    are kept, but count, mean, variance and extremes, from which

        log(1 + u) ≥ u + u² (log(1 − u₀) + u₀)/u₀²   for all u ≥ −u₀,  u₀ the largest loss seen,

    bounds the capital from below. The interval is the intersection of those after each update.

    Args:
        shape: shape of one image's values; `()` for one number an image.
        bounds: the smallest and the largest value that there can be.
        level: probability that the mean is in all intervals, in (0, 1).

    Raises:
        VaelensError: bounds that are not finite and ascending, or a level that is no probability.

    References:
        Estimating means of bounded random variables by betting (Waudby-Smith, Ramdas, 2024).
        Exponential inequalities for martingales with applications (Fan, Grama, Liu, 2015).

    Example:
        >>> values = np.random.default_rng(0).normal(3.0, 1.0, size=5000).clip(0, 64)
        >>> sequence = ConfidenceSequence((), bounds=(0, 64))
        >>> for batch in values.reshape(-1, 100):
        ...     sequence.update(batch)
        ...     low, high = sequence.interval()
        ...     if (high - low) / 2 < 0.2:
        ...         break
        >>> sequence.count, bool(low < 3.0 < high)
        (1000, True)
    """

    def __init__(self, shape: tuple[int, ...], bounds: tuple[float, float] = (0.0, 1.0), level: float = 0.95):
        low, high = bounds
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise VaelensError(
                f"bounds are {bounds}; expected the smallest and the largest value, finite, in this order"
            )
        if not 0 < level < 1:
            raise VaelensError(f"level is {level}; expected a probability between 0 and 1, such as 0.95")
        self.shape, self.bounds, self.level = shape, (float(low), float(high)), level
        self.count = 0
        # All by cell, in units of the bounds' distance, from the lower one.
        nothing = np.zeros(int(np.prod(shape)))
        self._mean, self._squares = nothing, nothing  # Σ(x − mean)²
        self._least, self._most = nothing + 1, nothing
        self._low, self._high = nothing, nothing + 1

    def update(self, values: ArrayLike) -> None:
        """Adds the values of n images and looks at the interval after the last of them.

        Args:
            values: `(n, *shape)`, one row for each image, within the bounds; n may be 0. A cell that is given NaN once
                is NaN from then on.

        Raises:
            VaelensError: if the shape is not `(n, *shape)`, or a value is beyond the bounds.
        """
        values = np.asarray(values, dtype=np.float64)
        if values.ndim != len(self.shape) + 1 or values.shape[1:] != self.shape:
            expected = ", ".join(["n", *map(str, self.shape)])
            raise VaelensError(f"values have shape {values.shape}; expected ({expected}): one row for each image")
        if len(values) == 0:
            return
        low, high = self.bounds
        scaled = (values - low) / (high - low)
        beyond = (scaled < -_ROUNDING) | (scaled > 1 + _ROUNDING)
        if beyond.any():
            raise VaelensError(
                f"values reach {float(values[beyond].flat[0]):.6g}; expected all of them within the bounds "
                f"{low:.6g} and {high:.6g}, on which the guarantee rests; give bounds that no value can leave"
            )
        scaled = scaled.clip(0, 1).reshape(len(values), -1)  # (n, cells)
        n, self.count = len(values), self.count + len(values)
        mean = scaled.mean(axis=0)
        step = mean - self._mean
        self._mean = self._mean + step * n / self.count
        self._squares = self._squares + ((scaled - mean) ** 2).sum(axis=0) + step**2 * n * (self.count - n) / self.count
        self._least, self._most = (
            np.minimum(self._least, scaled.min(axis=0)),
            np.maximum(self._most, scaled.max(axis=0)),
        )
        self._high = np.minimum(self._high, self._end(self._mean, self._most))
        self._low = np.maximum(self._low, 1 - self._end(1 - self._mean, 1 - self._least))

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean over the images so far, `(*shape)`, NaN before the first."""
        return self._in_units(self._mean) if self.count else np.full(self.shape, np.nan)

    def interval(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the interval so far.

        Returns:
            Lower and upper end, each `(*shape)`; the bounds before the first image. It never grows. A lower end above
            the upper one says that the mean has changed on the way, or that this is one of the rare misses.
        """
        return self._in_units(self._low), self._in_units(self._high)

    def _in_units(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scales back to the units of the values, `(*shape)`."""
        low, high = self.bounds
        return (low + (high - low) * scaled).reshape(self.shape)

    def _end(self, mean: NDArray[np.float64], most: NDArray[np.float64]) -> NDArray[np.float64]:
        """Finds the smallest m above the mean that is ruled out, to within rounding, or 1 where none is."""
        needed = np.log(2 / (1 - self.level))
        # All that is ruled out stays so for larger m: whatever m the halving ends on is a valid end.
        inside, outside = mean, np.ones_like(mean)
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            out = self._log_capital(middle, mean, most) >= needed
            inside, outside = np.where(out, inside, middle), np.where(out, middle, outside)
        return np.where(np.isnan(mean), np.nan, outside)

    def _log_capital(
        self, m: NDArray[np.float64], mean: NDArray[np.float64], most: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Computes a lower bound of log K_n(m) against means of m or more, (cells,)."""
        with np.errstate(divide="ignore", invalid="ignore"):  # a stake that is lost leaves log 0; NaN stays NaN
            m, mean, most = m[..., None], mean[..., None], most[..., None]
            stake = _BETS / (1 - m)  # (cells, bets)
            loss = (stake * (most - m)).clip(1e-4, 1)  # u₀; a larger one is valid too, and has no 0/0
            curve = (np.log1p(-loss) + loss) / loss**2
            squares = self._squares[..., None] + self.count * (m - mean) ** 2
            logs = self.count * stake * (m - mean) + curve * stake**2 * squares + np.log(_WEIGHTS)
            largest = logs.max(axis=-1, keepdims=True)
            capital = largest[..., 0] + np.log(np.exp(logs - largest).sum(axis=-1))
        return np.where(np.isnan(capital), -np.inf, capital)
