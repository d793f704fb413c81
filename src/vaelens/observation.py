"""The observation, which goes into a model and comes out, as one record of shape, axes, range and features.

Images, vectors, series and volumes are its kinds. Whoever checks what a user hands over, labels an axis of a result, or
says in a sentence what something is of, asks this record.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vaelens.checked_arrays import checked_array
from vaelens.errors import VaelensError, unknown
from vaelens.feature_sets import check_features, gower_weights, named_groups


@dataclass(frozen=True)
class Observation:
    """The shape, range, unit and feature names of one observation.

    Attributes:
        shape: of one observation, such as (C, H, W), or (features,).
        axes: the name of each axis.
        low: the smallest value, or None where there is no range.
        high: the largest value, or None.
        noun: what several of them are called.
        features: the name of each feature on the first axis, where they have names.
        groups: named groups of features, by their indices.
        unit: what values are in, such as "pixel", "log-normalised expression" or "z-score".
        one_hot: the features, by their indices, of each categorical column, of which one is 1 and the others 0; one
            feature alone is a yes or no.
        weights: of a Gower distance, how much a change of each feature by 1 counts; none of L2.

    Raises:
        VaelensError: axes, names or groups that do not fit the shape; one end of a range without the other.

    Example:
        >>> Observation.image((1, 8, 8)).batch
        '(n, 1, 8, 8)'
        >>> flowers = Observation.vector(["length", "width"], unit="cm")
        >>> flowers.shape, flowers.distance, flowers.span
        ((2,), 'L2 in cm', 'any values')
    """

    shape: tuple[int, ...]
    axes: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    noun: str = "observations"
    features: tuple[str, ...] | None = None
    groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    unit: str = "value"
    one_hot: tuple[tuple[int, ...], ...] = ()
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.shape or min(self.shape) < 1:
            raise VaelensError(f"one of the {self.noun} has shape {self.shape}; expected at least one axis, none empty")
        if len(self.axes) != len(self.shape):
            raise VaelensError(f"axes are {self.axes}, and the shape {self.shape} has {len(self.shape)}; name each")
        ends = [end for end in (self.low, self.high) if end is not None]
        if len(ends) == 1 or ends != sorted(set(ends)):
            raise VaelensError(f"a range from {self.low} to {self.high}; give low below high, or neither")
        check_features(self.shape, self.features, self.groups, self.one_hot, self.weights)

    @classmethod
    def image(cls, shape: Sequence[int]) -> "Observation":
        """Describes an image (C, H, W) with values in [0, 1]."""
        return cls(tuple(shape), ("channel", "height", "width"), 0.0, 1.0, "images", unit="pixel")

    @classmethod
    def vector(
        cls,
        features: int | Iterable[str],
        low: float | None = None,
        high: float | None = None,
        groups: Mapping[str, Iterable[int | str]] | None = None,
        unit: str = "value",
        noun: str = "vectors",
        one_hot: Iterable[Iterable[int | str]] = (),
    ) -> "Observation":
        """Describes a vector of features.

        Args:
            features: how many, or the name of each.
            low: the smallest value; None for any.
            high: the largest value; None for any.
            groups: named groups of features, by index or name.
            unit: what values are in.
            noun: what several vectors are called, such as "cells".
            one_hot: the features of each categorical column, by index or name; one alone is a yes or no.

        Raises:
            VaelensError: as of the record; a group or column with an unknown feature.
        """
        names = None if isinstance(features, int | np.integer) else tuple(map(str, features))
        count = int(features) if names is None else len(names)  # pyright: ignore[reportArgumentType]
        plain = cls((count,), ("feature",), low, high, noun, names, unit=unit)
        members = {name: plain.indices(group) for name, group in named_groups(groups).items()}
        return replace(plain, groups=members, one_hot=tuple(plain.indices(column) for column in one_hot))

    @classmethod
    def series(
        cls,
        shape: Sequence[int],
        low: float | None = None,
        high: float | None = None,
        channels: Iterable[str] | None = None,
        unit: str = "value",
        noun: str = "series",
    ) -> "Observation":
        """Describes a series (channels, time), with arguments as of `vector`."""
        return cls(tuple(shape), ("channel", "time"), low, high, noun, _names(channels), unit=unit)

    @classmethod
    def volume(
        cls,
        shape: Sequence[int],
        low: float | None = None,
        high: float | None = None,
        channels: Iterable[str] | None = None,
        unit: str = "value",
        noun: str = "volumes",
        axes: Sequence[str] = ("depth", "height", "width"),
    ) -> "Observation":
        """Describes a volume (channels, depth, height, width), or a video with `axes=("frame", "height", "width")`."""
        return cls(tuple(shape), ("channel", *axes), low, high, noun, _names(channels), unit=unit)

    @classmethod
    def of_shape(cls, shape: Sequence[int]) -> "Observation":
        """Describes what an observation of a shape is taken for where nothing else is said, by its number of axes.

        One axis is a vector, two are a series, three an image in [0, 1], and four a volume.
        """
        kinds = {1: lambda shape: cls.vector(shape[0]), 2: cls.series, 3: cls.image, 4: cls.volume}
        if len(shape) in kinds:
            return kinds[len(shape)](shape)
        return cls(tuple(shape), tuple(f"axis_{k}" for k in range(len(shape))))

    @property
    def is_image(self) -> bool:
        """Whether it is an image."""
        return self.axes == ("channel", "height", "width") and self.noun == "images"

    @property
    def size(self) -> int:
        """How many values one observation has."""
        return math.prod(self.shape)

    @property
    def one(self) -> str:
        """What one of them is called."""
        return self.noun if self.noun.endswith("series") else self.noun.removesuffix("s")

    @property
    def span(self) -> str:
        """The range in words, such as "[0, 1]"."""
        return "any values" if self.low is None or self.high is None else f"[{self.low:g}, {self.high:g}]"

    @property
    def batch(self) -> str:
        """The shape of several, such as "(n, 1, 8, 8)"."""
        return f"({', '.join(['n', *map(str, self.shape)])})"

    @property
    def several(self) -> str:
        """The shape of several of this kind, in letters where it has them, as in "(n, C, H, W)"."""
        return "(n, C, H, W)" if self.is_image else self.batch

    @property
    def distance(self) -> str:
        """What the distance of two observations is in, such as "pixel-L2"."""
        if self.weights:
            return "Gower"
        return {"pixel": "pixel-L2", "value": "L2"}.get(self.unit, f"L2 in {self.unit}")

    @property
    def farthest(self) -> float | None:
        """The largest distance that two can have, ‖high − low‖₂, or None where there is no range."""
        unbounded = self.low is None or self.high is None or self.weights
        return None if unbounded else (self.high - self.low) * math.sqrt(self.size)  # pyright: ignore

    def with_gower(self, x: Tensor | NDArray[Any]) -> "Observation":
        """Describes the same vectors with Gower's distance, the mean over columns of how far two are apart in each.

        A number counts |Δ| over its range in x, a categorical column half of Σ |Δp|, a yes or no |Δp|: 1 at most for
        rows of x. Effects on the output and CES are then in it; fractions are projections, and stay those of L2.

        Args:
            x: observations, (n, features); a number that is the same in all of them counts nothing.

        Raises:
            VaelensError: as of `checked`; what is no vector.

        References:
            Gower: A General Coefficient of Similarity and Some of Its Properties (1971).
        """
        if len(self.shape) != 1:
            raise VaelensError(f"Gower's distance is of vectors, and {self.noun} have shape {self.shape}")
        values = self.checked(x)
        spans = (values.amax(dim=0) - values.amin(dim=0)).double().tolist()
        return replace(self, weights=gower_weights(spans, self.one_hot))

    def worded(self, text: str) -> str:
        """Says of these observations what a text says of images.

        Example:
            >>> Observation.vector(3, noun="cells").worded("mean change of an image over images, in pixel-L2")
            'mean change of a cell over cells, in L2'
        """
        if self.is_image:
            return text
        value = "value" if len(self.shape) > 1 else "feature"
        words = {
            "L2 of the outcome": "L2 of a code, Gower of a row" if self.weights else "L2 of the outcome",
            "pixel-L2": self.distance,
            "pixel value": self.unit,
            "pixels": f"{value}s",
            "pixel": value,
            "images": self.noun,
            "image": self.one,
        }
        text = re.sub(r"\b([Aa])n (?=image\b)", lambda an: an[0] if self.one[0] in "aeiou" else f"{an[1]} ", text)
        return re.sub(
            r"\b(L2 of the outcome|pixel-L2|pixel value|pixels|pixel|images|image)\b",
            lambda found: words[found[0]],
            text,
        )

    def indices(self, features: Iterable[int | str] | int | str) -> tuple[int, ...]:
        """Finds the indices of features on the first axis, given by name, by index, or as the name of a group.

        Raises:
            VaelensError: one that is not there.
        """
        if isinstance(features, str) and features in self.groups:
            return self.groups[features]
        listed = [features] if isinstance(features, str | int | np.integer) else list(features)
        return tuple(self._index(feature) for feature in listed)

    def _index(self, feature: Any) -> int:
        if isinstance(feature, str):
            if self.features is None or feature not in self.features:
                raise unknown("feature", feature, [*(self.features or ()), *self.groups])
            return self.features.index(feature)
        if isinstance(feature, bool) or not isinstance(feature, int | np.integer) or not 0 <= feature < self.shape[0]:
            raise VaelensError(f"feature {feature!r} does not exist; features are 0 to {self.shape[0] - 1}")
        return int(feature)

    def checked(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Returns observations as a float tensor (n, *shape), or says what is wrong with them.

        Whole numbers are taken where there is no range, as counts are.

        Raises:
            VaelensError: not an array, another shape, none, NaN, values outside the range.
        """
        return checked_array(x, self, self.shape)

    def check_range(self, low: float, high: float, tolerance: float = 0.0) -> None:
        """Refuses values from `low` to `high` that are no numbers, or reach outside the range.

        Raises:
            VaelensError: they are, with how they may be scaled.
        """
        if not math.isfinite(low + high):
            span = "finite numbers" if self.low is None else f"floats in {self.span}"
            raise VaelensError(f"{self.noun} contain NaN or infinite values; expected {span}")
        if self.low is None or self.high is None:
            return
        if low < self.low - tolerance or high > self.high + tolerance:
            hint = "; for 0..255 use x / 255" if low >= 0 and high > 2 else ""
            hint = hint or ("; for -1..1 use (x + 1) / 2" if low >= -1 - tolerance and high <= 1 + tolerance else "")
            hint = hint if (self.low, self.high) == (0, 1) else ""
            raise VaelensError(f"{self.noun} range from {low:.4g} to {high:.4g}, expected {self.span}{hint}")


def _names(channels: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if channels is None else tuple(map(str, channels))


AN_IMAGE = Observation.image((1, 1, 1))  # of whatever size


def checked_images(x: Tensor | NDArray[Any]) -> Tensor:
    """Returns images of any shape as a float tensor (n, C, H, W) in [0, 1], or says what is wrong with them.

    Raises:
        VaelensError: as of `Observation.checked`.
    """
    return checked_array(x, AN_IMAGE, None)
