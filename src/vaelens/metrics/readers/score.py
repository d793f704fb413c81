"""How well a factor is read off images that the reader was not trained on, beside what guessing would give."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaelens.data.factors import Factor

TRUST = 0.5  # the part of the way from guessing to perfect that a reader must go


@dataclass(frozen=True)
class FactorScore:
    """How well one factor is read off held-out images.

    With ŷ the value that is read as most probable, over the n held-out images whose label y is known,

        accuracy = P(ŷ = y),   chance = max over v of P(y = v),   skill = (accuracy − chance) / (1 − chance),

    and, where values have an order, `near`, `near_chance` and `near_skill` alike of |ŷ − y| ≤ 1, the shorter way round
    for a circular factor.

    Attributes:
        name: the factor's name.
        kind: ordinal, circular or categorical.
        size: its number of values.
        images: n.
        accuracy: in [0, 1]; NaN where n is 0.
        chance: the accuracy of the best constant guess.
        near: the part read at most one step off; None for a categorical factor.
        near_chance: that of the best constant guess.
        error: the mean of |ŷ − y| in steps; None for a categorical factor.
    """

    name: str
    kind: str
    size: int
    images: int
    accuracy: float
    chance: float
    near: float | None = None
    near_chance: float | None = None
    error: float | None = None

    @property
    def skill(self) -> float:
        """The accuracy rescaled to 0 for guessing and 1 for always right, NaN where a guess is always right too."""
        return _skill(self.accuracy, self.chance)

    @property
    def near_skill(self) -> float | None:
        """The skill at one step off, or None for a categorical factor."""
        return None if self.near is None or self.near_chance is None else _skill(self.near, self.near_chance)

    @property
    def trusted(self) -> bool:
        """Whether the skill is at least one half, exactly or, where values have an order, at one step off.

        The threshold is decided here. One step off will do because neighbours of many values look alike; a factor of
        so few values that a guess is within one step of all has no skill of that kind, and must be read exactly.
        """
        return self.skill >= TRUST or (self.near_skill is not None and self.near_skill >= TRUST)  # false for NaN


def score(factor: Factor, labels: NDArray[np.int64], read: NDArray[np.int64]) -> FactorScore:
    """Compares what was read with the labels.

    Args:
        factor: which.
        labels: (n,), −1 where missing.
        read: the most probable values, (n,).

    Example:
        >>> result = score(Factor("angle", 4, "circular"), np.array([0, 0, 3, 1, -1]), np.array([0, 3, 3, 3, 0]))
        >>> result.images, result.accuracy, result.chance, result.near, result.near_chance, result.error
        (4, 0.5, 0.5, 0.75, 1.0, 0.75)
        >>> result.skill, result.near_skill, result.trusted
        (0.0, nan, False)
    """
    labelled = labels >= 0
    labels, read = labels[labelled], read[labelled]
    if not len(labels):
        return FactorScore(factor.name, factor.kind, factor.size, 0, math.nan, math.nan)
    counts = np.bincount(labels, minlength=factor.size)
    exact = float((labels == read).mean()), float(counts.max() / len(labels))
    if factor.kind == "categorical":
        return FactorScore(factor.name, factor.kind, factor.size, len(labels), *exact)
    values = np.arange(factor.size)
    apart = np.abs(values[:, None] - values)  # (size, size)
    if factor.kind == "circular":
        apart = np.minimum(apart, factor.size - apart)
    steps = apart[labels, read]
    near = float((steps <= 1).mean()), float(((apart <= 1) @ counts).max() / len(labels))
    return FactorScore(factor.name, factor.kind, factor.size, len(labels), *exact, *near, float(steps.mean()))


def _skill(accuracy: float, chance: float) -> float:
    return (accuracy - chance) / (1 - chance) if chance < 1 else math.nan
