"""Datasets sampled from a structural causal model whose picture, rendered on demand, shows every variable."""

import copy
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch

from vaelens.arguments import check_seed, whole_number
from vaelens.data.annotations import ArrayLike, Count, Name, Seed
from vaelens.data.arguments import generator
from vaelens.data.causal.structural_model import StructuralModel
from vaelens.data.dataset import FactorDataset
from vaelens.data.limits import MOST_INDIVIDUALS, check_images_at_once, checked_pairs
from vaelens.data.pair_draw import PairDraw
from vaelens.data.pairs import Pairs
from vaelens.errors import VaelensError
from vaelens.shapes import Observations


class CausalDataset(FactorDataset):
    """Individuals of a structural causal model, each with an image.

    The dataset holds `length` independent samples of the model's noise; `sample` takes some of them without
    replacement, so that they are independent samples of the model too. `do` shows the same individuals in another
    world. A level is a factor value. Any combination of levels can be rendered, whether the model ever brings it about
    or not: `images` renders it, and `pairs` changes one factor and holds the others, which is an intervention on all
    variables at once.

    Args:
        model: The structural causal model.
        length: How many individuals.
        seed: Decides their noise.
        do: Levels of variables that are set, by name, as the method `do` sets them.

    Attributes:
        model: The model, with its equations; `print(ds.model)`.
        interventions: The variables set by `do` and their levels.

    Raises:
        VaelensError: If the length is below 1 or above 10,000,000, the seed no whole number, or what is set no
            variable or no level of it.
    """

    model: StructuralModel
    interventions: dict[str, int]

    def __init__(
        self, model: StructuralModel, length: Count = 100_000, seed: Seed = 0, do: Mapping[str, int] | None = None
    ) -> None:
        self._length = _checked_length(length)
        self._seed = check_seed(seed)
        self.interventions = _checked_levels(do)
        self.model = model.do(**self.interventions) if self.interventions else model
        self.factors = self.model.factors

    @abstractmethod
    def render(self, factors: np.ndarray) -> np.ndarray:
        """Renders any levels int64 (n, K) as images (n, C, H, W), uint8, bool, or floats in [0, 1]."""

    @property
    def options(self) -> dict[str, object]:
        """Lists length, seed, and the variables that `do` set."""
        return {"length": self._length, "seed": self._seed, "do": dict(self.interventions)}

    def do(self, **values: Count) -> "CausalDataset":
        """Shows the world in which variables are set, their incoming edges cut.

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
        """Renders the images of individuals."""
        return self.render(self.factor_values(indices))

    def factor_values(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the levels of individuals."""
        return self._levels[indices].astype(np.int64)

    def images(self, f: ArrayLike, seed: Seed = 0) -> Observations:
        """Renders any combination of levels, whether or not an individual has it.

        Args:
            f: Levels, whole numbers (n, K).
            seed: Decides nothing here: the levels fix the picture.

        Returns:
            Observations, float32 (n, C, H, W) in [0, 1].

        Raises:
            VaelensError: If the shape or a level is wrong.
        """
        generator(seed)
        return self._render_checked(self._checked_values(f))

    def pairs(self, factor: Name, n: Count, seed: Seed = 0) -> Pairs:
        """Makes pairs of images that differ in one factor only, as all variables are set.

        The first image is that of an individual sampled uniformly, with replacement; in the second the factor has
        another level, uniformly chosen, and every other factor the same one. `ds.do` shows what would follow.

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

    def pair_draw(self, factor: Name, n: Count, seed: Seed = 0) -> PairDraw:
        """Chooses the pairs that `pairs` returns, without making them.

        Raises:
            VaelensError: If there is no such factor, or n is below 1.
        """
        k = self.factors.index(factor)
        count, rng = checked_pairs(n), generator(seed)
        first = self._levels[rng.integers(len(self), size=count)]
        second, size = first.copy(), self.factors.sizes[k]
        second[:, k] = (rng.integers(1, size, size=count) + first[:, k]) % size
        return self._rendered_draw(first, second, self.factors.names[k])

    def control_draw(self, factor: Name, n: Count, seed: Seed = 0) -> PairDraw:
        """Chooses the individuals of `pair_draw`, each paired with itself, since nothing else need differ.

        Raises:
            VaelensError: If there is no such factor, or n is out of range.
        """
        treated = self.pair_draw(factor, n, seed)
        return self._rendered_draw(treated.first, treated.first, treated.factor)

    def _rendered_draw(self, first: np.ndarray, second: np.ndarray, factor: str) -> PairDraw:
        return PairDraw(first, second, np.zeros(len(first), np.float32), factor, self._render_checked, torch.from_numpy)

    def _render_checked(self, factors: np.ndarray) -> Observations:
        check_images_at_once(self.name, len(factors), self.image_shape)
        return self._as_images(self.render(factors))

    @cached_property
    def _levels(self) -> np.ndarray:
        levels = self.model.sample(self._length, self._seed)
        return levels.astype(np.min_scalar_type(max(self.factors.sizes)))


def _checked_levels(do: Mapping[str, int] | None) -> dict[str, int]:
    if do is not None and not isinstance(do, Mapping):
        raise VaelensError(f'do is {do!r}; expected levels by the names of variables, such as {{"cloud": 3}}')
    return {name: whole_number(name, level, low=0) for name, level in (do or {}).items()}


def _checked_length(length: Count) -> int:
    count = whole_number("length", length, low=1)
    if count > MOST_INDIVIDUALS:
        raise VaelensError(f"length is {count}; expected at most {MOST_INDIVIDUALS:,} individuals")
    return count
