"""The stopping of a sweep, which takes images in random order until all effects are known within a tolerance."""

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.record import LEVEL, Array, Interval
from vaelens.errors import VaelensError, VaelensWarning
from vaelens.observation import Observation
from vaelens.statistics import ConfidenceSequence

_STREAM = 2  # of the seed: the order is not drawn from the numbers that choose other images or positions
_LOOK = 64  # images between two looks
_INTERVAL = f"{LEVEL:.0%} confidence sequence, of all at once, at any number of images"


class Stopping:
    """Takes each image's effects and says when they are enough.

    One confidence sequence for each unit, of effects between 0 and the distance of a black from a white image (the
    farthest apart that two observations can be), at the level at which all of them hold together. They hold at every
    look, so that stopping does not bias them.

    Args:
        images: how many there are.
        units: how many latents or positions.
        observation: what effects are distances of; it has a range.
        tolerance: half of the longest interval that is short enough, in L2 of observations.
        seed: draws the order.
        together: how many units there are, those of other stoppings with them, that are to hold together.
    """

    def __init__(
        self,
        images: int,
        units: int,
        observation: Observation,
        tolerance: float,
        seed: int,
        together: int | None = None,
    ):
        self.tolerance, self.available = tolerance, images
        self._order = torch.from_numpy(random_order(images, seed))
        assert observation.farthest is not None, "a tolerance is refused where there is no range"
        self._observation, self._bound = observation, observation.farthest
        self._sequence = ConfidenceSequence((units,), (0.0, self._bound), 1 - (1 - LEVEL) / (together or units))

    def chunks(self, rows: int) -> list[Tensor]:
        """Splits all images, in the order in which they are taken, into chunks of at most `rows`."""
        return list(self._order.split(min(rows, _LOOK)))

    def update(self, effects: Array) -> None:
        """Adds the effects of the next images, (rows, units)."""
        if (most := float(np.nanmax(effects, initial=0.0))) > self._bound * (1 + 1e-6):
            what = self._observation
            raise VaelensError(
                f"an effect is {most:.6g} in {what.distance}, and {what.noun} in {what.span} are at most "
                f"{self._bound:.6g} apart: this model decodes to values outside {what.span}, for which no tolerance "
                "can be guaranteed; leave tolerance out"
            )
        self._sequence.update(effects)

    @property
    def order(self) -> Tensor:
        """All images in the order in which they are taken, (n,)."""
        return self._order

    @property
    def used(self) -> Tensor:
        """Which images have been taken, in their order, (n,)."""
        return self._order[: self._sequence.count]

    @property
    def interval(self) -> Interval:
        """The interval of each unit's mean effect, (units,) for each end."""
        return self._sequence.interval()

    @property
    def half_widths(self) -> Array:
        """Half of each unit's interval, (units,)."""
        low, high = self.interval
        return (high - low) / 2

    @property
    def reached(self) -> bool:
        """Whether every unit is known well enough."""
        return bool((self.half_widths <= self.tolerance).all())

    def warn(self, what: str, counted: str = "images", stacklevel: int = 4) -> None:
        """Warns if the images did not suffice, naming the worst unit in `what` in place of "{}"."""
        if self.reached:
            return
        widths = self.half_widths
        worst = int(np.argmax(widths))
        what = what.replace("{}", str(worst))
        warnings.warn(
            VaelensWarning(
                f"tolerance {self.tolerance:g} is not reached: all {self.available} {counted} leave the {what} known "
                f"to ±{widths[worst]:.3g} only; give more {counted}, or a larger tolerance"
            ),
            stacklevel=stacklevel,
        )

    def attributes(self) -> dict[str, Any]:
        """Returns the attributes of a result that say what was asked for and what came of it."""
        return {
            "images": self._sequence.count,
            "images_given": self.available,
            "tolerance": self.tolerance,
            # A record in netCDF holds no truth values.
            "tolerance_reached": int(self.reached),
            "ces_interval": _INTERVAL,
        }


class GroupStopping:
    """The stopping of several groups of units, each by itself, with intervals that hold for all of them together.

    Args:
        images: how many there are.
        units: how many units each group has.
        observation: what effects are distances of; it has a range.
        tolerance: as of `Stopping`.
        seed: draws the order, one for all groups.
    """

    rows = _LOOK

    def __init__(self, images: int, units: Mapping[str, int], observation: Observation, tolerance: float, seed: int):
        self._units, self._available, self._tolerance = units, images, tolerance
        together = sum(units.values())
        self._groups = {
            name: Stopping(images, count, observation, tolerance, seed, together=together)
            for name, count in units.items()
        }

    @property
    def order(self) -> Tensor:
        """All images in the order in which they are taken, (n,)."""
        return next(iter(self._groups.values())).order

    def going(self, names: Iterable[str]) -> list[str]:
        """Lists the groups of which more must be known."""
        return [name for name in names if not self._groups[name].reached]

    def update(self, name: str, effects: Array) -> None:
        """Adds the effects of the next images on a group's units, (rows, units)."""
        self._groups[name].update(effects)

    @property
    def interval(self) -> Interval:
        """The interval of each unit's mean effect, one group after the other, (all units,) for each end."""
        low, high = zip(*(group.interval for group in self._groups.values()), strict=True)
        return np.concatenate(low), np.concatenate(high)

    @property
    def used(self) -> Array:
        """How many images each unit took, (all units,)."""
        counts = [len(group.used) for group in self._groups.values()]
        return np.repeat(counts, list(self._units.values()))

    def attributes(self, measure: str, counted: str = "images") -> dict[str, Any]:
        """Returns the attributes of a result that say what was asked for and what came of it."""
        return {
            counted: int(self.used.max()),
            f"{counted}_given": self._available,
            "tolerance": self._tolerance,
            "tolerance_reached": int(not self.going(self._groups)),
            f"{measure}_interval": _INTERVAL,
        }

    def warn(self, what: str, counted: str = "images") -> None:
        """Warns if the images did not suffice, for the first group of which that is so.

        Args:
            what: the effect, with "{group}" and "{}" in place of the group's name and the unit's number.
            counted: what the images are called.
        """
        for name in self.going(self._groups)[:1]:
            self._groups[name].warn(what.replace("{group}", name), counted, stacklevel=5)


def random_order(images: int, seed: int) -> Array:
    """Draws an order of images, (n,), from another stream of the seed than other images or positions."""
    return np.random.default_rng((seed, _STREAM)).permutation(images)


def check_tolerance(tolerance: Any, observation: Observation) -> float | None:
    """Checks a tolerance and returns it as a float, None for none.

    Raises:
        VaelensError: if it is no positive number, or observations have no range, so that effects have no bound.
    """
    if tolerance is None:
        return None
    usual = isinstance(tolerance, int | float | np.integer | np.floating) and not isinstance(tolerance, bool)
    if not usual or not 0 < tolerance < math.inf:
        raise VaelensError(
            f"tolerance is {tolerance!r}; expected a positive number, how far in {observation.distance} an effect may "
            f"be from its estimate, or None for all {observation.noun}"
        )
    if observation.farthest is None:
        raise VaelensError(
            f"a tolerance needs effects with a bound, and these {observation.noun} have no range; give the lens an "
            "observation= with low and high, or leave tolerance out"
        )
    return float(tolerance)
