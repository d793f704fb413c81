"""Datasets drawn from a structural causal model whose picture shows every variable; images are drawn when asked for."""

import copy
from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
import torch

from vaelens.arguments import check_seed, whole_number
from vaelens.data.arguments import generator
from vaelens.data.causal.structural_model import StructuralModel
from vaelens.data.dataset import FactorDataset
from vaelens.data.pairs import PairDraw, Pairs
from vaelens.shapes import Images


class CausalDataset(FactorDataset):
    """Individuals of a structural causal model, each with an image; `do` shows the same individuals in another world.

    The dataset holds `length` independent draws of the model's noise; `sample` takes some of them without
    replacement, so that they are independent draws of the model too. A level is a factor value. Any combination of
    levels can be drawn as an image, whether the model ever brings it about or not: `images` draws it, and `pairs`
    changes one factor and holds the others, which is an intervention on all variables at once.

    Args:
        model: The structural causal model.
        length: How many individuals.
        seed: Decides their noise.

    Attributes:
        model: The model, with its equations; `print(ds.model)`.
        interventions: The variables set by `do` and their levels.

    Raises:
        VaelensError: If the length is below 1 or the seed no whole number.
    """

    model: StructuralModel
    interventions: dict[str, int]

    def __init__(self, model: StructuralModel, length: Any = 100_000, seed: Any = 0) -> None:
        self._length = whole_number("length", length, low=1)
        self._seed = check_seed(seed)
        self.model, self.factors, self.interventions = model, model.factors, {}

    @abstractmethod
    def render(self, factors: np.ndarray) -> np.ndarray:
        """The images (n, C, H, W) of any levels int64 (n, K): uint8 in 0..255, bool, or floats in [0, 1]."""

    @property
    def options(self) -> dict[str, object]:
        """Length, seed, and the variables that `do` set."""
        return {"length": self._length, "seed": self._seed, "do": dict(self.interventions)}

    def do(self, **values: Any) -> "CausalDataset":
        """The world in which variables are set: their incoming edges are cut, their effects follow.

        The individuals are the same, with the same noise: row i of both worlds is one individual, and so is row i of
        `ds.sample(n, seed)` and `ds.do(...).sample(n, seed)`.

        Args:
            **values: Levels by the variables' names.

        Returns:
            A dataset of the same kind; its `factors.graph` lacks the edges that were cut.

        Raises:
            VaelensError: If nothing is set, a variable is unknown, or a level is none of its own.
        """
        world = copy.copy(self)
        for lazy in ("_levels", "_table"):  # of this world, not of that one
            vars(world).pop(lazy, None)
        world.model = self.model.do(**values)
        world.factors = world.model.factors
        world.interventions = self.interventions | {name: int(value) for name, value in values.items()}
        return world

    def __len__(self) -> int:
        return self._length

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """The images of individuals, drawn now."""
        return self.render(self.factor_values(indices))

    def factor_values(self, indices: np.ndarray) -> np.ndarray:
        """The levels of individuals."""
        return self._levels[indices].astype(np.int64)

    def images(self, f: Any, seed: object = 0) -> Images:
        """Images of any combination of levels, whether or not an individual has it.

        Args:
            f: Levels, whole numbers (n, K).
            seed: Decides nothing here: the levels fix the picture.

        Returns:
            Images, float32 (n, C, H, W) in [0, 1].

        Raises:
            VaelensError: If the shape or a level is wrong.
        """
        generator(seed)
        return self._as_images(self.render(self._checked_values(f)))

    def pairs(self, factor: object, n: object, seed: object = 0) -> Pairs:
        """Pairs of images that differ in one factor only: all variables are set, so nothing follows the change.

        The first image is that of an individual drawn uniformly, with replacement; in the second the factor has
        another level, drawn uniformly, and every other factor the same one. `ds.do` shows what would follow.

        Args:
            factor: The name of the factor that differs.
            n: How many pairs, at least 1.
            seed: A whole number; the same seed gives the same pairs.

        Returns:
            The pairs; all of them match.

        Raises:
            VaelensError: If there is no such factor, or n is below 1.
        """
        return super().pairs(factor, n, seed)

    def pair_draw(self, factor: object, n: object, seed: object = 0) -> PairDraw:
        """The pairs that `pairs` gives, drawn but not made.

        Raises:
            VaelensError: If there is no such factor, or n is below 1.
        """
        k = self.factors.index(factor)
        count = whole_number("n", n, low=1)
        rng = generator(seed)
        first = self._levels[rng.integers(len(self), size=count)]
        second, size = first.copy(), self.factors.sizes[k]
        second[:, k] = (rng.integers(1, size, size=count) + first[:, k]) % size
        matched = np.ones(count, dtype=bool)
        name = self.factors.names[k]
        return PairDraw(first, second, matched, name, lambda f: self._as_images(self.render(f)), torch.from_numpy)

    @cached_property
    def _levels(self) -> np.ndarray:
        levels = self.model.sample(self._length, self._seed)
        return levels.astype(np.min_scalar_type(max(self.factors.sizes)))
