"""When a sweep knows enough: images in random order, until the effect of every unit is known within a tolerance."""

import math
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.record import LEVEL, Array, Interval
from vaelens.errors import VaelensError, VaelensWarning
from vaelens.statistics import ConfidenceSequence

_STREAM = 2  # of the seed: the order is not drawn from the numbers that choose other images or positions
_LOOK = 64  # images between two looks


class Stopping:
    """Takes each image's effects and says when they are enough.

    One confidence sequence for each unit, of effects between 0 and the distance of a black from a white image, at the
    level at which all of them hold together. They hold at every look, so that stopping does not bias them.

    Args:
        images: how many there are.
        units: how many latents or positions.
        pixels: values of an image.
        tolerance: half of the longest interval that is short enough, in pixel-L2.
        seed: draws the order.
    """

    def __init__(self, images: int, units: int, pixels: int, tolerance: float, seed: int):
        self.tolerance, self.given = tolerance, images
        self._order = torch.from_numpy(np.random.default_rng((seed, _STREAM)).permutation(images))
        self._bound = math.sqrt(pixels)
        self._sequence = ConfidenceSequence((units,), (0.0, self._bound), 1 - (1 - LEVEL) / units)

    def chunks(self, rows: int) -> list[Tensor]:
        """All images in the order in which they are taken, at most `rows` at a time."""
        return list(self._order.split(min(rows, _LOOK)))

    def update(self, effects: Array) -> None:
        """Take the effects of the next images, (rows, units)."""
        if (most := float(np.nanmax(effects, initial=0.0))) > self._bound * (1 + 1e-6):
            raise VaelensError(
                f"an effect is {most:.6g} in pixel-L2, and images in [0, 1] are at most {self._bound:.6g} apart: this "
                "model draws values outside [0, 1], for which no tolerance can be guaranteed; leave tolerance out"
            )
        self._sequence.update(effects)

    @property
    def used(self) -> Tensor:
        """Which images have been taken, in their order, (n,)."""
        return self._order[: self._sequence.count]

    @property
    def interval(self) -> Interval:
        """Of each unit's mean effect, (units,) each."""
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

    def warn(self, unit: str) -> None:
        """Say so if the images did not suffice."""
        if self.reached:
            return
        widths = self.half_widths
        worst = int(np.argmax(widths))
        warnings.warn(
            VaelensWarning(
                f"tolerance {self.tolerance:g} is not reached: all {self.given} images leave the CES of {unit} {worst} "
                f"known to ±{widths[worst]:.3g} only; give more images, or a larger tolerance"
            ),
            stacklevel=4,
        )

    @property
    def made(self) -> dict[str, Any]:
        """The attributes of a result: what was asked for, and what came of it."""
        return {
            "images": self._sequence.count,
            "images_given": self.given,
            "tolerance": self.tolerance,
            # A record in netCDF holds no truth values.
            "tolerance_reached": int(self.reached),
            "ces_interval": f"{LEVEL:.0%} confidence sequence, of all at once, at any number of images",
        }


def check_tolerance(tolerance: Any) -> float | None:
    """The tolerance as a float; None for none.

    Raises:
        VaelensError: if it is no positive number.
    """
    if tolerance is None:
        return None
    usual = isinstance(tolerance, int | float | np.integer | np.floating) and not isinstance(tolerance, bool)
    if not usual or not 0 < tolerance < math.inf:
        raise VaelensError(
            f"tolerance is {tolerance!r}; expected a positive number, how far in pixel-L2 a CES may be from its "
            "estimate, or None for all images"
        )
    return float(tolerance)
