"""The user's own arrays as a dataset. They are checked once and kept as they are, not copied."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from vaelens.arguments import whole_number
from vaelens.data.arguments import as_array
from vaelens.data.labels.frame import read_labels
from vaelens.data.labels.ranks import RankedDataset
from vaelens.errors import VaelensError


class ArrayDataset(RankedDataset):
    """Images in memory, with their factor values where these are known.

    Factor values may be any integers: within the dataset each is replaced by its rank among the values that
    occur, 0..size - 1, and `original_values` has what each rank stands for. Factors are taken as categorical unless
    `kinds` says otherwise. A factor with one value tells images apart nowhere; it is left out and named in
    `left_out`.

    A table (a pandas DataFrame) may also hold texts, fractions and gaps: see `read_labels` for what each column
    becomes. A continuous column is binned at its quantiles for what needs levels; `raw_values` has its numbers. A
    missing label is the factor value -1: it is counted in `missing`, matches nothing, and its image is left out of
    what needs that label.

    The factor combinations need not form a full grid: `images(f)` draws one of the images with those values,
    and `pairs` takes the nearest match where there is no exact one (see `FactorDataset.pairs`).

    Args:
        images: (N, C, H, W), NumPy or torch: uint8, scaled by 1/255; or floating point in [0, 1]; or bool.
        factors: Integers (N, K), NumPy or torch; or a DataFrame of N rows; None for images without known factors.
        names: The factors' names; the DataFrame's columns, or factor_0 … by default.
        kinds: What factors are, by name: ordinal, circular, categorical or continuous.
        levels: The number of bins of a continuous column, at least 2.

    Attributes:
        original_values: For each factor's name what its ranks stand for, (size,): its values as given, or the medians
            of a continuous column's bins.
        raw_values: For each continuous factor's name its numbers as given, (N,), NaN where missing.
        left_out: The names of the factors left out because they have one value.

    Raises:
        VaelensError: If an array has the wrong shape, type, range or length, or a name repeats or is missing.

    Example:
        >>> images = np.zeros((4, 1, 8, 8), dtype=np.uint8)
        >>> ds = ArrayDataset(images, factors=[[10, 7], [10, 7], [30, 7], [20, 7]], names=["angle", "camera"])
        >>> ds
        <arrays: 4 images of 1×8×8, Factors(angle: 3 categorical)>
        >>> ds.left_out, ds.original_values["angle"]
        (('camera',), array([10, 20, 30]))
        >>> [int(f) for _, f in ds]
        [0, 0, 2, 1]
    """

    name = "arrays"

    def __init__(
        self, images: Any, factors: Any = None, names: Any = None, kinds: Any = None, levels: Any = 10
    ) -> None:
        self._pixels = _checked_images(as_array(images, "images"))
        self.image_shape = self._pixels.shape[1:]
        table = _checked_table(factors, names, len(self._pixels))
        columns = read_labels(table, kinds, whole_number("levels", levels, low=2))
        super().__init__(len(self._pixels), columns)
        kept = [column for column in columns if column.name in self.original_values]
        self.raw_values: dict[str, np.ndarray] = {column.name: column.raw for column in kept if column.raw is not None}
        self._edges = {name: list(column.edges) for column in kept if (name := column.name) in self.raw_values}

    @property
    def options(self) -> dict[str, object]:
        """Where continuous factors were binned, and which were left out."""
        told = {"bin_edges": dict(self._edges), "left_out": list(self.left_out)}
        return {name: value for name, value in told.items() if value}

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """The images at indices, in the type they were given in."""
        return self._pixels[indices]


def _checked_images(images: np.ndarray) -> np.ndarray:
    if images.ndim == 3:
        raise VaelensError(f"images must have shape (N, C, H, W), got {images.shape}; add a channel: images[:, None]")
    if images.ndim != 4:
        raise VaelensError(f"images must have shape (N, C, H, W), got {images.shape}")
    if images.size == 0:
        raise VaelensError(f"images must not be empty, got shape {images.shape}")
    if images.shape[1] > 4 >= images.shape[3]:
        message = f"images must have shape (N, C, H, W), got {images.shape}, which looks like (N, H, W, C)"
        raise VaelensError(f"{message}; move the channels: np.moveaxis(images, -1, 1)")
    if images.dtype in (np.uint8, np.bool_):
        return images
    if images.dtype.kind != "f":
        message = f"images must be uint8 or floating point in [0, 1], got {images.dtype}"
        raise VaelensError(f"{message}; values 0..255 can be given as images.astype(np.uint8)")
    lowest, highest = images.min(), images.max()  # NaN if any value is
    if np.isnan(lowest):
        raise VaelensError("images must not hold NaN; replace it or leave those images out")
    if lowest < 0 or highest > 1:
        message = f"images must lie in [0, 1], got values from {lowest:g} to {highest:g}"
        raise VaelensError(f"{message}; scale them, or give 0..255 as uint8")
    return images


def _checked_table(factors: Any, names: Any, length: int) -> pd.DataFrame:
    if isinstance(factors, pd.DataFrame):
        if len(factors) != length:
            raise VaelensError(f"images and factors must have the same length, got {length} and {len(factors)}")
        listed = _checked_names(list(factors.columns) if names is None else names, factors.shape[1])
        return factors.set_axis(listed, axis=1)
    values = np.zeros((length, 0), dtype=np.int64) if factors is None else as_array(factors, "factors")
    if values.ndim == 1:
        raise VaelensError(f"factors must have shape (N, K), got {values.shape}; for one factor: factors[:, None]")
    if values.ndim != 2:
        raise VaelensError(f"factors must have shape (N, K), got {values.shape}")
    if len(values) != length:
        raise VaelensError(f"images and factors must have the same length, got {length} and {len(values)}")
    if values.dtype.kind not in "iub":
        message = f"factors must be integers, got {values.dtype}"
        number = "number each column's values: np.unique(column, return_inverse=True)[1]"
        raise VaelensError(f"{message}; {number}, or give a DataFrame, which may hold fractions and texts")
    return pd.DataFrame(values, columns=_checked_names(names, values.shape[1]))


def _checked_names(names: Any, count: int) -> list[str]:
    if names is None:
        return [f"factor_{k}" for k in range(count)]
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise VaelensError(f"names must be a list of names, got {names!r}")
    listed = list(names)
    if len(listed) != count:
        raise VaelensError(f"names must be one for each of {count} factors, got {len(listed)}: {listed}")
    for name in listed:
        if not isinstance(name, str) or not name:
            raise VaelensError(f"names must be non-empty strings, got {name!r}")
        if listed.count(name) > 1:
            raise VaelensError(f"names must differ, got {name!r} more than once")
    return listed
