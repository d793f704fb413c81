"""The user's own arrays (images, vectors, series, volumes) as a dataset, checked once and kept without a copy."""

from collections.abc import Iterable, Mapping, Set

import numpy as np
import pandas as pd

from vaelens.arguments import whole_number
from vaelens.data.annotations import ArrayLike, Context, Count, Kinds, Names, Range
from vaelens.data.arguments import as_array, checked_names, is_utf8
from vaelens.data.labels.frame import read_labels
from vaelens.data.labels.ranks import RankedDataset
from vaelens.data.limits import MOST_COLUMNS, MOST_LEVELS
from vaelens.data.own.context import checked_context, rows_of_context
from vaelens.data.own.pixels import checked_images
from vaelens.data.own.values import checked_kind, checked_values
from vaelens.errors import VaelensError
from vaelens.observation import Observation


class ArrayDataset(RankedDataset):
    """Observations in memory, with their factor values where these are known.

    Factor values may be any integers: within the dataset each is replaced by its rank among the values that
    occur, 0..size - 1, and `original_values` has what each rank stands for. Factors are taken as categorical unless
    `kinds` says otherwise. A factor with one value tells images apart nowhere, and one whose values all differ tells
    all of them apart: both are left out and named in `left_out`.

    A table (a pandas DataFrame) may also hold texts, fractions and gaps: see `read_labels` for what each column
    becomes. A continuous column is binned at its quantiles for what needs levels; `raw_values` has its numbers. A
    missing label is the factor value -1: it is counted in `missing`, matches nothing, and its image is left out of
    what needs that label.

    The factor combinations need not form a full grid: `images(f)` chooses one of the images with those values,
    and `pairs` takes the nearest match where there is no exact one (see `FactorDataset.pairs`).

    Args:
        images: (N, C, H, W), NumPy or torch: uint8, scaled by 1/255; or floating point in [0, 1]; or bool. Bytes that
            hold 0 and 1 only are masks, as if they were bool: 1 is white. Or vectors (N, features) or volumes (N,
            channels, depth, height, width) of numbers, or with their observation series (N, channels, time).
        factors: Integers (N, K), or (N,) of one factor, NumPy or torch; or a DataFrame of N rows; None for images
            without known factors.
        names: The factors' names; the DataFrame's columns, or factor_0 … by default.
        kinds: What factors are, by name: ordinal, circular, categorical or continuous.
        levels: The number of bins of a continuous column, 2 to 1,000.
        leave_out: The names of factors that are none, such as an index.
        features: The names of the features on the first axis, of what is no image.
        range: The least and the largest value, of what is no image; None for any.
        observation: What an observation is, in place of features and range.
        context: What encoder and decoder are given besides, N rows: an array, or several by name.

    Attributes:
        original_values: For each factor's name what its ranks stand for, (size,): its values as given, or the medians
            of a continuous column's bins.
        raw_values: For each continuous factor's name its numbers as given, (N,), NaN where missing.
        left_out: The names of the factors left out because they have one value, values that all differ, or were named.

    Raises:
        VaelensError: If an array has the wrong shape, type, range or length, or a name repeats or is missing.

    Example:
        >>> images = np.zeros((4, 1, 8, 8), dtype=np.uint8)
        >>> ds = ArrayDataset(images, factors=[[10, 7], [10, 7], [30, 7], [20, 7]], names=["angle", "camera"])
        >>> ds
        <arrays: 4 images of 1×8×8, Factors(angle: 3 categorical)>
        >>> print(ds)
        <arrays: 4 images of 1×8×8, Factors(angle: 3 categorical)>
          left out: camera (one value)
        >>> ds.left_out, ds.original_values["angle"]
        (('camera',), array([10, 20, 30]))
        >>> [int(f) for _, f in ds]
        [0, 0, 2, 1]
    """

    name = "arrays"

    def __init__(
        self,
        images: ArrayLike,
        factors: ArrayLike | pd.DataFrame | None = None,
        names: Names | None = None,
        kinds: Kinds | None = None,
        levels: Count = 10,
        leave_out: Names | None = None,
        features: Names | None = None,
        range: Range = None,
        observation: Observation | None = None,
        context: Context = None,
    ) -> None:
        array = as_array(images, "images")
        kind = checked_kind(array, features, range, observation)
        if kind is None or (kind.is_image and kind.high == 1):
            self._pixels, self._masks = checked_images(array)
            kind = Observation.image(self._pixels.shape[1:])
        else:
            self._pixels, self._masks = checked_values(array, kind), False
        self.observation = kind
        self._context = checked_context(context, len(self._pixels))
        table = _checked_table(factors, names, len(self._pixels))
        columns = read_labels(table, kinds, _checked_levels(levels), checked_names("leave_out", leave_out) or ())
        super().__init__(len(self._pixels), columns)
        kept = [column for column in columns if column.name in self.original_values]
        self.raw_values = {column.name: column.raw for column in kept if column.raw is not None}
        self._edges = {name: list(column.edges) for column in kept if (name := column.name) in self.raw_values}

    @property
    def options(self) -> dict[str, object]:
        """Lists where continuous factors were binned, which were left out, and whether bytes were read as masks."""
        told = {"bin_edges": dict(self._edges), "left_out": list(self.left_out), "masks": self._masks}
        return {name: value for name, value in told.items() if value}

    @property
    def notes(self) -> list[str]:
        """Says how bytes were read, and what became of the labels."""
        return [*(["images hold 0 and 1 only: read as masks, 1 is white"] if self._masks else []), *super().notes]

    def context_at(self, indices: np.ndarray) -> Context:
        """Looks up what else encoder and decoder are given at indices (n,), or returns None where there is nothing."""
        return rows_of_context(self._context, indices)

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the images at indices, in the type they were given in."""
        return self._pixels[indices]


def _checked_levels(levels: Count) -> int:
    count = whole_number("levels", levels, low=2)
    if count > MOST_LEVELS:
        raise VaelensError(f"levels is {count}; expected at most {MOST_LEVELS:,} bins of a continuous label")
    return count


def _checked_table(factors: ArrayLike | pd.DataFrame | None, names: Names | None, length: int) -> pd.DataFrame:
    if isinstance(factors, pd.DataFrame):
        if len(factors) != length:
            raise VaelensError(f"images and factors must have the same length, got {length} and {len(factors)}")
        listed = _checked_names(list(factors.columns) if names is None else names, factors.shape[1])
        return factors.set_axis(listed, axis=1)
    values = np.zeros((length, 0), dtype=np.int64) if factors is None else as_array(factors, "factors")
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2:
        raise VaelensError(f"factors must have shape (N, K), got {values.shape}")
    if len(values) != length:
        raise VaelensError(f"images and factors must have the same length, got {length} and {len(values)}")
    if values.dtype.kind not in "iub":
        message = f"factors must be integers, got {values.dtype}"
        number = "number each column's values: np.unique(column, return_inverse=True)[1]"
        raise VaelensError(f"{message}; {number}, or give a DataFrame, which may hold fractions and texts")
    return pd.DataFrame(values, columns=_checked_names(names, values.shape[1]))


def _checked_names(names: Names | None, count: int) -> list[str]:
    if count > MOST_COLUMNS:
        raise VaelensError(f"factors have {count:,} columns, the bound is {MOST_COLUMNS:,}; give those that matter")
    if names is None:
        return [f"factor_{k}" for k in range(count)]
    if isinstance(names, (str, Mapping, Set)) or not isinstance(names, Iterable):
        raise VaelensError(f"names must be a list of names, got {names!r}")
    listed = list(names)
    if len(listed) != count:
        raise VaelensError(f"names must be one for each of {count} factors, got {len(listed)}: {listed}")
    for name in listed:
        if not isinstance(name, str) or not name:
            raise VaelensError(f"names must be non-empty strings, got {name!r}")
        if "\0" in name or not is_utf8(name):
            raise VaelensError(f"names must be texts that UTF-8 holds, without NUL, got {name!r}")
        if listed.count(name) > 1:
            raise VaelensError(f"names must differ, got {name!r} more than once")
    return listed
