"""Estimates, which are numbers with their 95 % bootstrap interval over pairs of images."""

import numpy as np

from vaelens.statistics import percentile_interval, poisson_weights


class Estimate(float):
    """A number with an interval.

    Attributes:
        low: the lower end of the 95 % interval over pairs.
        high: its upper end.

    Example:
        >>> carried = Estimate(0.93, 0.91, 0.96)
        >>> carried, carried > 0.9, carried.low
        (0.93 (0.91 to 0.96), True, 0.91)
    """

    low: float
    high: float

    def __new__(cls, value: float, low: float, high: float) -> "Estimate":
        """Makes the number and keeps its interval beside it."""
        estimate = super().__new__(cls, value)
        estimate.low, estimate.high = float(low), float(high)
        return estimate

    def __repr__(self) -> str:
        return f"{float(self):.4g} ({self.low:.4g} to {self.high:.4g})"

    def __reduce__(self) -> tuple[type["Estimate"], tuple[float, float, float]]:
        return type(self), (float(self), self.low, self.high)


class PairResamples:
    """Bootstrap resamples of pairs, shared by everything that is measured on them.

    Args:
        totals: what all units carry of each pair, (n,).
        seed: of the resamples.
    """

    def __init__(self, totals: np.ndarray, seed: int) -> None:
        self._totals = totals
        self._weights = poisson_weights(len(totals), seed=seed).astype(np.float64)  # (resamples, n)

    def replicates(self, carried: np.ndarray) -> np.ndarray:
        """Computes the fraction carried in each resample, (resamples, sets), from that of each pair, (sets, n)."""
        with np.errstate(invalid="ignore"):  # a resample without a pair that changes
            return self._weights @ carried.T / (self._weights @ self._totals)[:, None]

    def interval(self, replicates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Computes the 95 % interval of replicates, (resamples, …)."""
        return percentile_interval(replicates, images=len(self._totals))

    def fraction(self, carried: np.ndarray) -> Estimate:
        """Estimates the fraction that a set carries, from what it carries of each pair, (n,)."""
        low, high = self.interval(self.replicates(carried[None])[:, 0])
        return Estimate(carried.sum() / self._totals.sum(), float(low), float(high))

    def least_loss(self, carried: np.ndarray, without: np.ndarray) -> Estimate:
        """Estimates the least fraction that a set loses with one of its units.

        Args:
            carried: what the set carries of each pair, (n,).
            without: what it carries without each of its units, (units, n).
        """
        total = self._totals.sum()
        losses = (carried.sum() - without.sum(axis=1)) / total
        least = int(losses.argmin())  # the interval is that of this unit: the least of each resample would lie below it
        replicates = self.replicates(carried[None]) - self.replicates(without[least : least + 1])
        low, high = self.interval(replicates[:, 0])
        return Estimate(losses[least], float(low), float(high))
