"""A garden in the rain, a structural causal model of six variables with a fork, a chain and a collider."""

from collections.abc import Mapping
from functools import cache

import numpy as np

from vaelens.data.annotations import Count, Seed
from vaelens.data.causal.coverage import disc, pixel_centres, rectangle, stroke
from vaelens.data.causal.dataset import CausalDataset
from vaelens.data.causal.layer import Layer
from vaelens.data.causal.structural_model import StructuralModel
from vaelens.data.causal.variable import Variable
from vaelens.data.smaller import checked_side, smaller
from vaelens.observation import Observation

SIDE = 64
LEVELS = 16
UNIFORM = (1 / LEVELS,) * LEVELS
SPREAD = (0.1, 0.2, 0.4, 0.2, 0.1)  # of the noise -2 … 2
CLOUD, SUN, SKY, RAIN, POND, FLOWER = range(6)

MODEL = StructuralModel(
    (
        Variable("cloud", LEVELS, UNIFORM),
        Variable("sun", LEVELS, UNIFORM),
        Variable("sky", LEVELS, SPREAD, ("cloud",), lambda cloud: 15 - cloud, "15 - cloud"),
        Variable("rain", LEVELS, SPREAD, ("cloud",), lambda cloud: cloud, "cloud"),
        Variable("pond", LEVELS, SPREAD, ("rain",), lambda rain: 2 + 3 * rain // 4, "2 + floor(3 rain / 4)"),
        Variable(
            "flower", LEVELS, SPREAD, ("sun", "rain"), lambda sun, rain: (sun + rain) // 2, "floor((sun + rain) / 2)"
        ),
    )
)


class Garden(CausalDataset):
    """A cloud brings rain and darkens the sky, rain fills the pond, sun and rain raise a flower. (3, 64, 64)

    Six variables of 16 levels: cloud (its width) and sun (its height) are uniform; sky (brightness) = 15 -
    cloud, rain (length of its drops) = cloud, pond (water level) = 2 + floor(3 rain / 4) and flower (height) =
    floor((sun + rain) / 2), each plus an independent noise of -2 … 2 with probabilities 0.1, 0.2, 0.4, 0.2, 0.1,
    kept in 0 … 15.

    So there is a fork, sky <- cloud -> rain (independent given cloud); a chain, cloud -> rain -> pond (cloud and
    pond independent given rain); and a collider, sun -> flower <- rain (sun and rain independent, but not given
    flower). Each variable has its own place in the picture: no level hides another variable.

    Args:
        length: How many individuals.
        seed: Decides their noise.
        size: Side of the images in pixels, 64, or 32 or 16 as means of blocks of the full rendering's.
        do: Levels of variables that are set, by name, as the method `do` sets them.

    Raises:
        VaelensError: If an argument is out of range.

    Example:
        >>> garden = Garden(length=1000)
        >>> sorted(garden.factors.graph.edges)
        [('cloud', 'rain'), ('cloud', 'sky'), ('rain', 'flower'), ('rain', 'pond'), ('sun', 'flower')]
        >>> garden.model.probabilities("rain", cloud=1)[:4]  # the noise -2 would give -1, which is kept at 0
        array([0.3, 0.4, 0.2, 0.1])
    """

    name = "garden"
    observation = Observation.image((3, SIDE, SIDE))

    def __init__(
        self,
        length: Count = 100_000,
        seed: Seed = 0,
        size: Count = SIDE,
        do: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(MODEL, length, seed, do)
        self._side = checked_side(size)
        self.observation = Observation.image((3, self._side, self._side))

    @property
    def options(self) -> dict[str, object]:
        """Lists length, seed, the variables that `do` set, and the size where it is not the full one."""
        return super().options if self._side == SIDE else super().options | {"size": self._side}

    def render(self, factors: np.ndarray) -> np.ndarray:
        """Renders levels int64 (n, 6) as float32 (n, 3, size, size) in [0, 1]."""
        images = np.empty((len(factors), 3, SIDE, SIDE), dtype=np.float32)
        brightness = np.linspace(0.3, 1, LEVELS, dtype=np.float32)[factors[:, SKY]]
        images[:] = brightness[:, None, None, None] * np.array([0.50, 0.72, 0.95], dtype=np.float32)[:, None, None]
        for layer in _layers():
            layer.lay(images, factors)
        return smaller(images, self._side)


@cache
def _layers() -> tuple[Layer, ...]:
    x, y = pixel_centres(SIDE)
    levels = np.arange(LEVELS)
    clouds = [stroke(x, y, (22 - 5 - 0.7 * k, 56), (22 + 5 + 0.7 * k, 56), 4.5) for k in levels]
    suns = [disc(x, y, (56, 24 + 2.2 * k), 5) for k in levels]
    drops = [
        np.max([stroke(x, y, (column, 48), (column - 0.15 * k, 46.5 - 1.3 * k), 0.8) for column in range(7, 40, 6)], 0)
        for k in levels
    ]
    water = [rectangle(x, y, 4, 30, 4, 5 + 0.9 * k) for k in levels]
    basin = np.maximum(rectangle(x, y, 2, 4, 2, 22), rectangle(x, y, 30, 32, 2, 22))
    basin = np.maximum(basin, rectangle(x, y, 2, 32, 2, 4))
    heights = 10 + 1.6 * levels
    stems = [rectangle(x, y, 42.2, 43.8, 4, height) for height in heights]
    blossoms = [
        np.max([disc(x, y, (43 + 3 * np.cos(t), height + 3 * np.sin(t)), 2) for t in np.arange(5) * 0.4 * np.pi], 0)
        for height in heights
    ]
    hearts = [disc(x, y, (43, height), 1.8) for height in heights]
    return (
        Layer((), rectangle(x, y, 0, SIDE, 0, 6), (0.35, 0.50, 0.22)),
        Layer((SUN,), np.array(suns), (1.0, 0.85, 0.20)),
        Layer((RAIN,), np.array(drops), (0.85, 0.93, 1.0)),
        Layer((CLOUD,), np.array(clouds), (0.97, 0.97, 0.97)),
        Layer((), basin, (0.45, 0.30, 0.20)),
        Layer((POND,), np.array(water), (0.10, 0.75, 0.80)),
        Layer((FLOWER,), np.array(stems), (0.15, 0.45, 0.10)),
        Layer((FLOWER,), np.array(blossoms), (0.90, 0.25, 0.55)),
        Layer((FLOWER,), np.array(hearts), (1.0, 0.95, 0.40)),
    )
