"""What every dataset is, images in [0, 1] with known factors, by index, by factor values, at random, or in pairs.

A dataset declares its name, factors, image shape and length, and returns images and factor values at indices; all else
is here. Factor values alone are kept in memory, once images are looked up by them. Seeds decide every random choice.
"""

import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaelens.arguments import check_seed, whole_number
from vaelens.data.annotations import ArrayLike, Context, Count, Name, Seed
from vaelens.data.arguments import generator, whole_numbers
from vaelens.data.content import HASHED_IMAGES, content_hash
from vaelens.data.factors import Factors
from vaelens.data.labels.grid import LabelGrid
from vaelens.data.labels.table import LabelTable
from vaelens.data.limits import check_images_at_once, checked_pairs
from vaelens.data.pair_draw import PairDraw, choose_in_parts
from vaelens.data.pairs import Pairs
from vaelens.errors import VaelensError
from vaelens.observation import Observation
from vaelens.shapes import FactorValues, Observations


class FactorDataset(ABC):
    """A dataset of images with known generative factors.

    Attributes:
        name: The dataset's name.
        factors: Its factors, in the order of the columns of its factor values.
        observation: What an observation is: shape, axes, range, names of features.
        missing: How many images lack a label, by the factor's name; a missing label is the factor value -1.
        raw_values: The numbers of factors that were cut into levels, by the factor's name, (N,), NaN where missing.
    """

    name: str
    factors: Factors
    observation: Observation
    missing: Mapping[str, int] = MappingProxyType({})
    raw_values: Mapping[str, np.ndarray] = MappingProxyType({})

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of one observation, of an image its channels, height and width."""
        return self.observation.shape

    @property
    def options(self) -> dict[str, object]:
        """Lists the options this dataset was made with, for provenance."""
        return {}

    @property
    def notes(self) -> list[str]:
        """Says what was taken and what was passed over, and why, a line each, as `print(ds)` shows."""
        return []

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Makes the images (n, C, H, W) at int64 indices (n,), uint8, bool, or floating point in [0, 1]."""

    @abstractmethod
    def factor_values(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the factor values (n, K), integers, at int64 indices (n,), -1 where a label is missing."""

    def locate(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Finds the indices (n,) of images with these valid factor values (n, K), -1 where there is none."""
        return self._table.find(values, rng)

    def draw_pairs(self, factor: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Chooses images, partners that differ in a factor, and how far they differ in the others, each (n,)."""
        if self.missing:
            labelled = self._table.known(factor)
            first = labelled[rng.integers(len(labelled), size=n)]
        else:
            first = rng.integers(len(self), size=n)
        return first, *self._table.partners(first, factor, rng)

    def draw_controls(
        self, first: np.ndarray, factor: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Chooses partners that share a factor's value, in place of any image that has none, and the distances."""
        return self._table.controls(first, factor, rng)

    @cached_property
    def _table(self) -> LabelTable | LabelGrid:
        values = self.factor_values(np.arange(len(self)))
        return LabelGrid.of(values, self.factors.sizes) or LabelTable(values, self.factors)

    def __getitem__(self, index: Count) -> tuple[Float[Tensor, "*shape"], Int[Tensor, " k"]]:
        try:
            position = operator.index(index)
        except TypeError as error:
            message = f"{self.name} takes one whole number as an index, got {type(index).__name__}"
            raise VaelensError(f"{message}; images_at(indices) returns many images") from error
        if not -len(self) <= position < len(self):
            raise IndexError(f"{self.name} has {len(self)} images, so there is no image {position}")
        at = np.array([position % len(self)])
        return self._images(at)[0], self._factors(at)[0]

    def images_at(self, indices: ArrayLike) -> Observations:
        """Looks images up by their indices, which is the fast way to many.

        Args:
            indices: Whole numbers (n,) in 0..len - 1: a list, an array or a tensor.

        Raises:
            VaelensError: If the indices are not a list of whole numbers, one is out of range, or they are too many.
        """
        at = whole_numbers(indices, "indices")
        if at.ndim != 1:
            raise VaelensError(f"indices must have shape (n,), got {at.shape}")
        outside = at[(at < 0) | (at >= len(self))]
        if len(outside):
            raise VaelensError(f"indices into {self.name} must lie in 0..{len(self) - 1}, got {outside[0]}")
        return self._images(at.astype(np.int64))

    def context_at(self, indices: np.ndarray) -> Context:
        """Looks up what else encoder and decoder are given at indices (n,), or returns None where there is nothing."""
        return None

    def images(self, f: ArrayLike, seed: Seed = 0) -> Observations:
        """Looks images up by their factor values.

        Args:
            f: Factor values, whole numbers (n, K), column k in 0..sizes[k] - 1.
            seed: Where several images have the same factor values, one is chosen with this seed.

        Returns:
            Images, float32 (n, C, H, W) in [0, 1].

        Raises:
            VaelensError: If the shape or a value is wrong, no image has the values of a row, or there are too many.
        """
        values = self._checked_values(f)
        at = self.locate(values, generator(seed))
        if (at < 0).any():
            row = int(np.argmax(at < 0))
            wanted = ", ".join(f"{n}={v}" for n, v in zip(self.factors.names, values[row], strict=True))
            raise VaelensError(f"no image of {self.name} has {wanted} (row {row}); take values from ds.sample")
        return self._images(at)

    @property
    def labelled(self) -> int:
        """Counts the images that have all their labels."""
        return len(self._table.known()) if self.missing else len(self)

    def sample(self, n: Count, seed: Seed = 0, labelled: bool = False) -> tuple[Observations, FactorValues]:
        """Samples images uniformly without replacement, with their factor values.

        Args:
            n: How many, in 1..len.
            seed: A whole number; the same seed returns the same images.
            labelled: Whether to sample only from the images that have all their labels.

        Returns:
            Images, float32 (n, C, H, W) in [0, 1], and their factor values, int64 (n, K); -1 where a label is missing.

        Raises:
            VaelensError: If n is below 1, there are fewer images than n, or they are too many for memory.
        """
        at = self.draw(n, seed, labelled)
        return self._images(at), self._factors(at)

    def draw(self, n: Count, seed: Seed = 0, labelled: bool = False) -> np.ndarray:
        """Samples the indices (n,) of the images that `sample` returns, which `images_at` then makes in parts.

        Raises:
            VaelensError: If n is below 1 or there are fewer images than n.
        """
        count = whole_number("n", n, low=1)
        most = self.labelled if labelled else len(self)
        if count > most:
            message = f"{self.name} has {most} {'labelled ' if labelled else ''}images, got n={count}"
            raise VaelensError(f"{message}; images are sampled without replacement, so ask for at most that many")
        at = generator(seed).choice(most, size=count, replace=False)
        return self._table.known()[at] if labelled and self.missing else at

    def pairs(self, factor: Name, n: Count, seed: Seed = 0) -> Pairs:
        """Makes pairs of images that differ in one factor and are as alike as possible in the others.

        The first image is sampled uniformly, with replacement. On a full factor grid the second one has another value
        of the factor, uniformly chosen, and the same value of every other. Elsewhere it is chosen uniformly among the
        images that differ in the factor and are nearest in the others, by the sum of their distances from 0 to 1 (see
        `LabelTable.partners`). `distance` says how far each pair is apart, and `matched` which pairs agree on all other
        factors. Images that lack the factor's label are left out.

        Args:
            factor: The name of the factor that differs.
            n: How many pairs, at least 1.
            seed: A whole number; the same seed returns the same pairs.

        Returns:
            The pairs; `x, x2, f, f2 = ds.pairs(...)` unpacks them.

        Raises:
            VaelensError: If there is no such factor, it has one value only, or n is below 1 or too large.
        """
        return self.pair_draw(factor, n, seed)[:]

    def pair_draw(self, factor: Name, n: Count, seed: Seed = 0) -> PairDraw:
        """Chooses the pairs that `pairs` returns, of which `pair_draw(...)[rows]` makes some."""
        self._check_has_factors()
        k = self.factors.index(factor)
        name, size = self.factors.names[k], self.factors.sizes[k]
        if size < 2:
            raise VaelensError(f"factor {name!r} of {self.name} has a single value, so no pair can differ in it")
        count, rng = checked_pairs(n), generator(seed)
        chosen = choose_in_parts(count, len(self), lambda rows: self.draw_pairs(k, rows.stop - rows.start, rng))
        return PairDraw(*chosen, name, self._images, self._factors, self.context_at)

    def control_pairs(self, factor: Name, n: Count, seed: Seed = 0) -> Pairs:
        """Makes pairs of images with the same value of one factor, chosen in all else as `pairs` chooses.

        What changes between them is due to the other factors, and to what no factor says. The first images are those of
        `pairs` with the same n and seed (another one takes the place of an image whose value no other image has), the
        second ones the nearest of the other images with the same value; where few share a value they lie farther apart
        than pairs do, so compare `distance` too. On a full grid, and of a causal model, the two images are one.

        Args:
            factor: The name of the factor that is the same.
            n: How many pairs, at least 1.
            seed: A whole number; the same seed returns the same pairs.

        Returns:
            The pairs, with their `distance`.

        Raises:
            VaelensError: As `pairs` does, or if no two images have the same value of the factor.
        """
        return self.control_draw(factor, n, seed)[:]

    def control_draw(self, factor: Name, n: Count, seed: Seed = 0) -> PairDraw:
        """Chooses the pairs that `control_pairs` returns, of which `control_draw(...)[rows]` makes some."""
        treated = self.pair_draw(factor, n, seed)
        k, rng = self.factors.index(treated.factor), np.random.default_rng([check_seed(seed), 1])
        chosen = choose_in_parts(
            len(treated), len(self), lambda rows: self.draw_controls(treated.first[rows].astype(np.int64), k, rng)
        )
        return PairDraw(*chosen, treated.factor, self._images, self._factors, self.context_at)

    def describe(self) -> dict[str, object]:
        """Describes where numbers computed on this dataset come from, as plain values that JSON can hold.

        Returns:
            Name, options, length, image_shape, factor_names, factor_sizes, content_sha256 (the SHA-256 of up to 256
            images, rounded to 8 bits, and of their factor values, always the same ones) and, where labels are
            missing, missing_labels: how many, by the factor's name.
        """
        described: dict[str, object] = {
            "name": self.name,
            "options": self.options,
            "length": len(self),
            "image_shape": list(self.image_shape),
            "factor_names": list(self.factors.names),
            "factor_sizes": list(self.factors.sizes),
            "content_sha256": content_hash(self.observation, *self.sample(min(HASHED_IMAGES, len(self)), seed=0)),
        }
        return described | ({"missing_labels": dict(self.missing)} if self.missing else {})

    def __repr__(self) -> str:
        shape = "×".join(str(length) for length in self.image_shape)
        return f"<{self.name}: {len(self):,} {self.observation.noun} of {shape}, {self.factors!r}>"

    def __str__(self) -> str:
        return "\n".join([repr(self), *(f"  {note}" for note in self.notes)])

    def _images(self, at: np.ndarray) -> Observations:
        check_images_at_once(self.name, len(at), self.image_shape)
        batch = self.image_batch(at)
        assert len(batch) == len(at), f"{self.name} made {len(batch)} images for {len(at)} indices"
        return self._as_images(batch)

    def _as_images(self, batch: np.ndarray) -> Observations:
        assert batch.shape[1:] == self.image_shape, f"{self.name} made images of shape {batch.shape}"
        images = torch.from_numpy(batch.astype(np.float32, order="C"))
        return images.div_(255) if batch.dtype == np.uint8 and self.observation.high == 1 else images

    def _factors(self, at: np.ndarray) -> FactorValues:
        values = self.factor_values(at)
        assert values.shape == (len(at), len(self.factors)), f"{self.name} returned factors of shape {values.shape}"
        return torch.from_numpy(values.astype(np.int64))

    def _check_has_factors(self) -> None:
        if len(self.factors) == 0:
            raise VaelensError(f"{self.name} has no factors; give the images' factor values to use them here")

    def _checked_values(self, f: ArrayLike) -> np.ndarray:
        self._check_has_factors()
        return self.factors.checked_values(whole_numbers(f, "factor values"))
