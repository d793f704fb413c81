"""What every dataset is: images in [0, 1] with known factors, by index, by factor values, at random, in pairs.

A dataset declares its name, factors, image shape and length, and how images and factor values are had for an
array of indices; all else is here. Nothing is kept in memory but the factor values, and those only once images
are looked up by them. Every draw comes from the seed given with it.
"""

import hashlib
import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaelens.arguments import whole_number
from vaelens.data.arguments import generator, whole_numbers
from vaelens.data.factors import Factors
from vaelens.data.label_grid import LabelGrid
from vaelens.data.label_table import LabelTable
from vaelens.data.pairs import PairDraw, Pairs
from vaelens.errors import VaelensError
from vaelens.shapes import FactorValues, Images

PAIRS_AT_ONCE = 2048  # drawing takes ten times the memory of what is drawn
HASHED_IMAGES = 256  # enough to tell datasets apart, few enough to hash at once


class FactorDataset(ABC):
    """A dataset of images with known generative factors.

    Attributes:
        name: The dataset's name.
        factors: Its factors, in the order of the columns of its factor values.
        image_shape: Channels, height and width.
        missing: How many images lack a label, by the factor's name; a missing label is the factor value -1.
    """

    name: str
    factors: Factors
    image_shape: tuple[int, int, int]
    missing: Mapping[str, int] = MappingProxyType({})

    @property
    def options(self) -> dict[str, object]:
        """The options this dataset was made with, kept for provenance."""
        return {}

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """The images (n, C, H, W) at int64 indices (n,): uint8 in 0..255, bool, or floating point in [0, 1]."""

    @abstractmethod
    def factor_values(self, indices: np.ndarray) -> np.ndarray:
        """The factor values (n, K), integers, at int64 indices (n,); -1 where a label is missing."""

    def locate(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The indices (n,) of images with these valid factor values (n, K), -1 where there is none."""
        return self._table.find(values, rng)

    def draw_pairs(self, factor: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Indices (n,) of images, those of partners that differ in the factor, and which match on all others."""
        if self.missing:
            known = self._table.known(factor)
            first = known[rng.integers(len(known), size=n)]
        else:
            first = rng.integers(len(self), size=n)
        return first, *self._table.partners(first, factor, rng)

    @cached_property
    def _table(self) -> LabelTable | LabelGrid:
        values = self.factor_values(np.arange(len(self)))
        return LabelGrid.of(values, self.factors.sizes) or LabelTable(values, self.factors)

    def __getitem__(self, index: Any) -> tuple[Float[Tensor, "c h w"], Int[Tensor, " k"]]:
        try:
            position = operator.index(index)
        except TypeError as error:
            message = f"{self.name} takes one whole number as an index, got {type(index).__name__}"
            raise VaelensError(f"{message}; images_at(indices) gives many images") from error
        if not -len(self) <= position < len(self):
            raise IndexError(f"{self.name} has {len(self)} images, so there is no image {position}")
        at = np.array([position % len(self)])
        return self._images(at)[0], self._factors(at)[0]

    def images_at(self, indices: Any) -> Images:
        """Images by their indices: the fast way to many.

        Args:
            indices: Whole numbers (n,) in 0..len - 1: a list, an array or a tensor.

        Returns:
            Images, float32 (n, C, H, W) in [0, 1].

        Raises:
            VaelensError: If the indices are not a list of whole numbers, or one is out of range.
        """
        at = whole_numbers(indices, "indices")
        if at.ndim != 1:
            raise VaelensError(f"indices must have shape (n,), got {at.shape}")
        outside = at[(at < 0) | (at >= len(self))]
        if len(outside):
            raise VaelensError(f"indices into {self.name} must lie in 0..{len(self) - 1}, got {outside[0]}")
        return self._images(at.astype(np.int64))

    def images(self, f: Any, seed: object = 0) -> Images:
        """Images with given factor values.

        Args:
            f: Factor values, whole numbers (n, K), column k in 0..sizes[k] - 1.
            seed: Where several images have the same factor values, one is drawn with this seed.

        Returns:
            Images, float32 (n, C, H, W) in [0, 1].

        Raises:
            VaelensError: If the shape or a value is wrong, or no image has the values of a row.
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
        """How many images have all their labels."""
        return len(self._table.known()) if self.missing else len(self)

    def sample(self, n: object, seed: object = 0, labelled: bool = False) -> tuple[Images, FactorValues]:
        """Images drawn uniformly without replacement, with their factor values.

        Args:
            n: How many, in 1..len.
            seed: A whole number; the same seed gives the same images.
            labelled: Whether to draw only from the images that have all their labels.

        Returns:
            Images, float32 (n, C, H, W) in [0, 1], and their factor values, int64 (n, K); -1 where a label is missing.

        Raises:
            VaelensError: If n is below 1 or there are fewer images than n.
        """
        at = self.draw(n, seed, labelled)
        return self._images(at), self._factors(at)

    def draw(self, n: object, seed: object = 0, labelled: bool = False) -> np.ndarray:
        """The indices (n,) of the images that `sample` gives, which `images_at` then makes a few at a time.

        Raises:
            VaelensError: If n is below 1 or there are fewer images than n.
        """
        count = whole_number("n", n, low=1)
        most = self.labelled if labelled else len(self)
        if count > most:
            message = f"{self.name} has {most} {'labelled ' if labelled else ''}images, got n={count}"
            raise VaelensError(f"{message}; images are drawn without replacement, so ask for at most that many")
        at = generator(seed).choice(most, size=count, replace=False)
        return self._table.known()[at] if labelled and self.missing else at

    def pairs(self, factor: object, n: object, seed: object = 0) -> Pairs:
        """Pairs of images that differ in one factor, the others drawn uniformly.

        The first image is drawn uniformly, with replacement. On a full factor grid the second one has another
        value of the factor, drawn uniformly, and the same value of every other. Elsewhere it is drawn uniformly
        among the nearest images that differ in the factor: those that agree with the first on as many others as
        possible and, among these, lie at the smallest distance in the rest (by rank in an ordinal factor, round the
        circle in a circular one; see `LabelTable.partners`). `matched` says which pairs agree on all. Images that
        lack the factor's label are left out.

        Args:
            factor: The name of the factor that differs.
            n: How many pairs, at least 1.
            seed: A whole number; the same seed gives the same pairs.

        Returns:
            The pairs; `x, x2, f, f2 = ds.pairs(...)` unpacks them.

        Raises:
            VaelensError: If the dataset has no such factor, the factor has one value only, or n is below 1.
        """
        return self.pair_draw(factor, n, seed)[:]

    def pair_draw(self, factor: object, n: object, seed: object = 0) -> PairDraw:
        """The pairs that `pairs` gives, drawn but not made: `pair_draw(...)[rows]` makes the pairs of some rows.

        Raises:
            VaelensError: If the dataset has no such factor, the factor has one value only, or n is below 1.
        """
        self._check_has_factors()
        k = self.factors.index(factor)
        name, size = self.factors.names[k], self.factors.sizes[k]
        if size < 2:
            raise VaelensError(f"factor {name!r} of {self.name} has a single value, so no pair can differ in it")
        count, rng = whole_number("n", n, low=1), generator(seed)
        first, second = (np.empty(count, dtype=np.min_scalar_type(len(self))) for _ in range(2))
        matched = np.empty(count, dtype=bool)
        for start in range(0, count, PAIRS_AT_ONCE):
            rows = slice(start, min(start + PAIRS_AT_ONCE, count))
            first[rows], second[rows], matched[rows] = self.draw_pairs(k, rows.stop - start, rng)
        return PairDraw(first, second, matched, name, self._images, self._factors)

    def describe(self) -> dict[str, object]:
        """Where numbers computed on this dataset come from, as plain values that JSON can hold.

        Returns:
            Name, options, length, image_shape, factor_names, factor_sizes, content_sha256 (the SHA-256 of up to 256
            images, rounded to 8 bits, and of their factor values, always the same ones) and, where labels are
            missing, missing_labels: how many, by the factor's name.
        """
        digest = hashlib.sha256()
        images, factors = self.sample(min(HASHED_IMAGES, len(self)), seed=0)
        # Rounded, so that a last bit of floating point does not make another dataset.
        digest.update(images.mul(255).round().to(torch.uint8).numpy().tobytes())
        digest.update(factors.numpy().astype("<i8").tobytes())
        described: dict[str, object] = {
            "name": self.name,
            "options": self.options,
            "length": len(self),
            "image_shape": list(self.image_shape),
            "factor_names": list(self.factors.names),
            "factor_sizes": list(self.factors.sizes),
            "content_sha256": digest.hexdigest(),
        }
        return described | ({"missing_labels": dict(self.missing)} if self.missing else {})

    def __repr__(self) -> str:
        shape = "×".join(str(length) for length in self.image_shape)
        return f"<{self.name}: {len(self):,} images of {shape}, {self.factors!r}>"

    def _images(self, at: np.ndarray) -> Images:
        batch = self.image_batch(at)
        assert len(batch) == len(at), f"{self.name} drew {len(batch)} images for {len(at)} indices"
        return self._as_images(batch)

    def _as_images(self, batch: np.ndarray) -> Images:
        assert batch.shape[1:] == self.image_shape, f"{self.name} drew images of shape {batch.shape}"
        images = torch.from_numpy(batch.astype(np.float32, order="C"))
        return images.div_(255) if batch.dtype == np.uint8 else images

    def _factors(self, at: np.ndarray) -> FactorValues:
        values = self.factor_values(at)
        assert values.shape == (len(at), len(self.factors)), f"{self.name} gave factors of shape {values.shape}"
        return torch.from_numpy(values.astype(np.int64))

    def _check_has_factors(self) -> None:
        if len(self.factors) == 0:
            raise VaelensError(f"{self.name} has no factors; give the images' factor values to use them here")

    def _checked_values(self, f: Any) -> np.ndarray:
        self._check_has_factors()
        values = whole_numbers(f, "factor values")
        if values.ndim != 2 or values.shape[1] != len(self.factors):
            columns = ", ".join(self.factors.names)
            message = f"factor values must have shape (n, {len(self.factors)}), got {values.shape}"
            raise VaelensError(f"{message}; one column for each of {columns}")
        wrong = np.argwhere((values < 0) | (values >= np.array(self.factors.sizes)))
        if len(wrong):
            row, k = wrong[0]
            valid = f"factor {self.factors.names[k]!r} takes values 0..{self.factors.sizes[k] - 1}"
            raise VaelensError(f"{valid}, got {values[row, k]} (row {row})")
        return values.astype(np.int64)
