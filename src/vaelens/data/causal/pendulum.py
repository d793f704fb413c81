"""A pendulum, a light and the shadow that it casts, a structural causal model of four variables."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from vaelens.data.annotations import Count, Number, Seed
from vaelens.data.causal.coverage import disc, pixel_centres, rectangle, stroke
from vaelens.data.causal.dataset import CausalDataset
from vaelens.data.causal.layer import Layer
from vaelens.data.causal.structural_model import StructuralModel
from vaelens.data.causal.variable import Variable
from vaelens.data.smaller import checked_side, smaller
from vaelens.errors import VaelensError
from vaelens.observation import Observation

SIDE = 64
UNIT = 16  # pixels: the picture is 4 rods wide, with the pivot in the middle
LEVELS = 20
PIVOT_HEIGHT = 1.5  # above the ground, in lengths of the rod
GROUND = 7.0  # rows from the bottom
MIDDLE, PIVOT = SIDE / 2, GROUND + UNIT * PIVOT_HEIGHT
LIGHT_DISTANCE = 1.55  # of the light's disc from the pivot; it stands for a light far away in that direction

ANGLES = np.linspace(-40, 40, LEVELS)  # degrees
LENGTHS = np.linspace(0, 1.3, LEVELS)  # rods
POSITIONS = np.linspace(-1.3, 1.3, LEVELS)  # rods, from below the pivot

SKY, GRASS, ROD, BOB, LIGHT, SHADOW = (
    (0.62, 0.80, 0.95),
    (0.55, 0.72, 0.42),
    (0.25, 0.22, 0.28),
    (0.75, 0.15, 0.20),
    (1.0, 0.90, 0.25),
    (0.08, 0.08, 0.10),
)


def shadow_ends(pendulum: Any, light: Any) -> tuple[Any, Any]:
    """Computes where the shadows of the pivot and of the bob fall, in rods from the point below the pivot.

    With the pivot at height h = 1.5, the pendulum's angle a and the light's b (both to the right, from the vertical),
    parallel rays carry a point (x, y) to x - y tan b on the ground: the pivot (0, h) to -h tan b, and the bob
    (sin a, h - cos a) to sin a - (h - cos a) tan b.

    Args:
        pendulum: Angles in degrees.
        light: Angles in degrees, in -90 … 90 exclusive.

    Example:
        >>> pivot, bob = shadow_ends(0, 45)
        >>> round(float(pivot), 6), round(float(bob), 6)
        (-1.5, -0.5)
    """
    a, slope = np.radians(pendulum), np.tan(np.radians(light))
    return -PIVOT_HEIGHT * slope, np.sin(a) - (PIVOT_HEIGHT - np.cos(a)) * slope


def shadow_length(pendulum: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Computes the level nearest to the shadow's length |sin(a + b)| / cos b, from the levels of the angles."""
    pivot, bob = shadow_ends(ANGLES[pendulum], ANGLES[light])
    return _nearest(np.abs(pivot - bob), LENGTHS)


def shadow_position(pendulum: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Computes the level nearest to the middle between the shadow's ends, from the levels of the angles."""
    pivot, bob = shadow_ends(ANGLES[pendulum], ANGLES[light])
    return _nearest((pivot + bob) / 2, POSITIONS)


class Pendulum(CausalDataset):
    """A pendulum under a light, whose angles cause the length and the position of the shadow, (3, 64, 64).

    The variables are those of CausalVAE's pendulum; picture and equations are our own. Each has 20 levels:
    pendulum_angle a and light_angle b, linspace(-40, 40) degrees to the right of the vertical, are uniform;
    shadow_length, linspace(0, 1.3), is the level nearest to |sin(a + b)| / cos b, and shadow_position,
    linspace(-1.3, 1.3), the one nearest to (sin a - (2 h - cos a) tan b) / 2, both in lengths of the rod, h = 1.5
    (see `shadow_ends`). To each of these two levels an independent noise of -1, 0 or 1 is added.

    The picture shows the shadow where its own two levels say: under `do`, in `images` and in `pairs` it need not be
    where the angles would have put it.

    Args:
        noise: The probability of -1, and of 1, in 0 … 0.5.
        length: How many individuals.
        seed: Decides their angles and noise.
        size: Side of the images in pixels, 64, or 32 or 16 as means of blocks of the full rendering's.
        do: Levels of variables that are set, by name, as the method `do` sets them.

    Raises:
        VaelensError: If an argument is out of range.

    References:
        Yang, Liu, Chen, Shen, Hao, Wang. CausalVAE: Disentangled Representation Learning via Neural Structural
        Causal Models. 2021.

    Example:
        >>> ds = Pendulum(length=1000)
        >>> ds
        <pendulum: 1,000 images of 3×64×64, Factors(pendulum_angle: 20 ordinal, light_angle: 20 ordinal,
        shadow_length: 20 ordinal, shadow_position: 20 ordinal,
        pendulum_angle -> shadow_length, light_angle -> shadow_length,
        pendulum_angle -> shadow_position, light_angle -> shadow_position)>
        >>> ds.do(shadow_length=5).factors.graph.in_degree("shadow_length")
        0
    """

    name = "pendulum"
    observation = Observation.image((3, SIDE, SIDE))

    def __init__(
        self,
        noise: Number = 0.1,
        length: Count = 100_000,
        seed: Seed = 0,
        size: Count = SIDE,
        do: Mapping[str, int] | None = None,
    ) -> None:
        if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise <= 0.5:
            raise VaelensError(f"noise is {noise!r}; expected a probability from 0 to 0.5")
        uniform = (1 / LEVELS,) * LEVELS
        spread = (noise, 1 - 2 * noise, noise)
        angles = ("pendulum_angle", "light_angle")
        degrees = tuple(ANGLES.tolist())
        super().__init__(
            StructuralModel(
                (
                    Variable("pendulum_angle", LEVELS, uniform, values=degrees),
                    Variable("light_angle", LEVELS, uniform, values=degrees),
                    Variable(
                        "shadow_length",
                        LEVELS,
                        spread,
                        angles,
                        shadow_length,
                        "level nearest to |sin(a + b)| / cos b",
                        tuple(LENGTHS.tolist()),
                    ),
                    Variable(
                        "shadow_position",
                        LEVELS,
                        spread,
                        angles,
                        shadow_position,
                        "level nearest to (sin a - (3 - cos a) tan b) / 2",
                        tuple(POSITIONS.tolist()),
                    ),
                )
            ),
            length,
            seed,
            do,
        )
        self._noise = float(noise)
        self._side = checked_side(size)
        self.observation = Observation.image((3, self._side, self._side))

    @property
    def options(self) -> dict[str, object]:
        """Lists noise, length, seed, the variables that `do` set, and the size where it is not the full one."""
        size = {} if self._side == SIDE else {"size": self._side}
        return {"noise": self._noise, **super().options, **size}

    def render(self, factors: np.ndarray) -> np.ndarray:
        """Renders levels int64 (n, 4) as float32 (n, 3, size, size) in [0, 1]."""
        images = np.empty((len(factors), 3, SIDE, SIDE), dtype=np.float32)
        images[:] = np.array(SKY, dtype=np.float32)[:, None, None]
        for layer in _layers():
            layer.lay(images, factors)
        return smaller(images, self._side)


def _nearest(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Finds the level nearest to each value, where levels are evenly spaced."""
    step = levels[1] - levels[0]
    return np.clip(np.rint((values - levels[0]) / step), 0, len(levels) - 1).astype(np.int64)


@cache
def _layers() -> tuple[Layer, ...]:
    x, y = pixel_centres(SIDE)
    pivot = (MIDDLE, PIVOT)
    bobs = [(MIDDLE + UNIT * np.sin(a), PIVOT - UNIT * np.cos(a)) for a in np.radians(ANGLES)]
    reach = UNIT * LIGHT_DISTANCE
    lights = [(MIDDLE + reach * np.sin(b), PIVOT + reach * np.cos(b)) for b in np.radians(ANGLES)]
    shadows = [
        [
            stroke(x, y, (MIDDLE + UNIT * (at - long / 2), 3.5), (MIDDLE + UNIT * (at + long / 2), 3.5), 1.6)
            for at in POSITIONS
        ]
        for long in LENGTHS
    ]
    rods = [np.maximum(stroke(x, y, pivot, bob, 0.9), disc(x, y, pivot, 1.8)) for bob in bobs]
    return (
        Layer((), rectangle(x, y, 0, SIDE, 0, GROUND), GRASS),
        Layer((2, 3), np.array(shadows), SHADOW),
        Layer((1,), np.array([disc(x, y, light, 4.5) for light in lights]), LIGHT),
        Layer((0,), np.array(rods), ROD),
        Layer((0,), np.array([disc(x, y, bob, 3.6) for bob in bobs]), BOB),
    )
