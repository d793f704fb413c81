"""The user's table as vectors, numbers in standard deviations, classes one-hot, gaps as features of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from vaelens.arguments import whole_number
from vaelens.data.annotations import Context, Count, Kinds, Names
from vaelens.data.arguments import checked_names
from vaelens.data.labels.frame import read_labels
from vaelens.data.labels.ranks import RankedDataset
from vaelens.data.own.context import checked_context, rows_of_context
from vaelens.errors import VaelensError, unknown
from vaelens.observation import Observation

MOST_CLASSES = 100  # of a column, each a feature
_KINDS = ("categorical", "ordinal", "continuous")


@dataclass(frozen=True, eq=False)
class Column:
    """How a column became features.

    Attributes:
        name: of the column.
        features: their names, in order.
        classes: of a categorical or ordered column, what its one-hot features, or its numbers 0, 1, …, stand for.
        mean: of a column of numbers.
        spread: its standard deviation, 1 where it does not vary.
        one_hot: whether each class is a feature.
    """

    name: str
    features: tuple[str, ...]
    classes: tuple[Any, ...] = ()
    mean: float = 0.0
    spread: float = 1.0
    one_hot: bool = False

    @property
    def one_hot_features(self) -> tuple[tuple[str, ...], ...]:
        """The features of which one is 1, which are the classes and the gap, or of a number the gap alone."""
        features = self.features if self.one_hot else self.features[1:]
        return (features,) if features else ()


class TableDataset(RankedDataset):
    """A table as vectors, one row each, with labels where columns are named as such.

    A column of numbers becomes one feature, (value − mean) / standard deviation; one of ordered categories likewise, by
    the number of each; one of texts, truth values or categories a feature for each class, `column=class`, 1 or 0. Where
    a column has gaps they become its mean, or no class at all, and a feature `column missing` is 1 there. The features
    of a column are a group of its name, so that effects and manipulations go by column too.

    Args:
        frame: A row for each observation.
        factors: The names of columns that label rows, and are no features: see `read_labels`.
        kinds: What columns are, by name, where it is not as above: categorical, ordinal or continuous.
        levels: The number of bins of a continuous label.
        context: The names of columns that encoder and decoder are given besides, and are no features: numbers as they
            are, classes as whole numbers in sorted order.

    Attributes:
        columns: How each column became features.

    Raises:
        VaelensError: If it is no table, has no rows or no column that is a feature; or a column is unknown, holds
            infinite numbers, or more than 100 classes.

    Example:
        >>> frame = pd.DataFrame({"size": [1.0, 3.0, None], "colour": ["red", "blue", "red"], "sort": [0, 1, 0]})
        >>> ds = TableDataset(frame, factors=["sort"])
        >>> ds
        <table: 3 rows of 4, Factors(sort: 2 categorical)>
        >>> ds.observation.features, ds.images_at([0, 2]).tolist()
        (('size', 'size missing', 'colour=blue', 'colour=red'), [[-1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
        >>> ds.frame_of(ds.images_at([0, 1]))["size"].tolist()
        [1.0, 3.0]
    """

    name = "table"

    def __init__(
        self,
        frame: pd.DataFrame,
        factors: Names | None = None,
        kinds: Kinds | None = None,
        levels: Count = 10,
        context: Names | None = None,
    ) -> None:
        if not isinstance(frame, pd.DataFrame) or not len(frame):
            what = f"a {type(frame).__name__}" if not isinstance(frame, pd.DataFrame) else "one without rows"
            raise VaelensError(f"frame is {what}; expected a pandas DataFrame with a row for each observation")
        table = frame.set_axis([str(name) for name in frame.columns], axis=1).reset_index(drop=True)
        labels, besides = (_columns(table, role, names) for role, names in (("factors", factors), ("context", context)))
        kind_of: Mapping[str, Any] = {} if kinds is None else kinds
        if not isinstance(kind_of, Mapping):
            raise VaelensError(f"kinds must map names of columns to kinds, got {kinds!r}")
        for name in kind_of:
            if name not in table.columns:
                raise unknown("column", name, table.columns)
        of_labels: Any = {name: kind for name, kind in kind_of.items() if name in labels}
        super().__init__(len(table), read_labels(table[labels], of_labels, whole_number("levels", levels, low=2)))
        encoded = [_encoded(table[name], kind_of.get(name)) for name in table.columns if name not in labels + besides]
        if not encoded:
            raise VaelensError("no column is left to be a feature; name fewer columns in factors and context")
        self.columns: tuple[Column, ...] = tuple(column for column, _ in encoded)
        self._values = np.concatenate([values for _, values in encoded], axis=1).astype(np.float32)
        names = [feature for column in self.columns for feature in column.features]
        groups = {column.name: column.features for column in self.columns}
        one_hot = [column.one_hot_features for column in self.columns]
        self.observation = Observation.vector(
            names,
            groups=groups,
            unit="standard deviations",
            noun="rows",
            one_hot=[features for columns in one_hot for features in columns],
        )
        given = {name: as_context(table[name]) for name in besides}
        self._context = checked_context(given or None, len(table))

    @property
    def options(self) -> dict[str, object]:
        """Lists the columns that are features."""
        return {"columns": [column.name for column in self.columns]}

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the rows at indices, as vectors."""
        return self._values[indices]

    def context_at(self, indices: np.ndarray) -> Context:
        """Looks up what else encoder and decoder are given at indices (n,), by column, or returns None without any."""
        return rows_of_context(self._context, indices)

    def frame_of(self, x: Tensor | NDArray[Any]) -> pd.DataFrame:
        """Turns vectors, decoded ones too, into a table, numbers in their units and classes by the largest feature.

        Args:
            x: (n, features).

        Raises:
            VaelensError: If they are no such vectors.
        """
        values = self.observation.checked(x).cpu().numpy()
        columns: dict[str, Any] = {}
        start = 0
        for column in self.columns:
            own = values[:, start : start + len(column.features)]
            start += len(column.features)
            if column.one_hot:
                columns[column.name] = np.array(column.classes, dtype=object)[
                    own[:, : len(column.classes)].argmax(axis=1)
                ]
                continue
            number = own[:, 0] * column.spread + column.mean
            if column.classes:
                number = np.clip(np.rint(number), 0, len(column.classes) - 1).astype(int)
                number = np.array(column.classes, dtype=object)[number]
            columns[column.name] = number
        return pd.DataFrame(columns)


def _columns(table: pd.DataFrame, role: str, names: Names | None) -> list[str]:
    listed = list(checked_names(role, names) or ())
    for name in listed:
        if name not in table.columns:
            raise unknown(f"column in {role}", name, table.columns)
    return listed


def _encoded(column: pd.Series, kind: str | None) -> tuple[Column, np.ndarray]:
    """Encodes a column as features, (n, features)."""
    name = str(column.name)
    if kind not in (None, *_KINDS):
        raise unknown("kind of column", kind, _KINDS)
    missing = column.isna().to_numpy(dtype=bool)
    told = [f"{name} missing"] if missing.any() else []
    gaps = [missing.astype(float)[:, None]] if told else []
    ordered = isinstance(column.dtype, pd.CategoricalDtype) and bool(column.dtype.ordered)
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if kind == "categorical" or (kind is None and not numeric and not ordered):
        classes = sorted(column.dropna().unique().tolist(), key=lambda value: (str(type(value)), value))
        if len(classes) > MOST_CLASSES:
            raise VaelensError(
                f"column {name!r} has {len(classes)} classes, at most {MOST_CLASSES} become features; leave it out, or "
                "name it in factors"
            )
        one_hot = (
            np.stack([(column == value).fillna(False).to_numpy(dtype=float) for value in classes], axis=1)
            if (classes)
            else np.zeros((len(column), 0))
        )
        features = (*(f"{name}={value}" for value in classes), *told)
        return Column(name, features, tuple(classes), one_hot=True), np.concatenate([one_hot, *gaps], axis=1)
    if not numeric and not ordered:
        raise VaelensError(f"column {name!r} holds no numbers, so it can't be {kind}; leave its kind out")
    classes = tuple(column.cat.categories.tolist()) if ordered else ()
    numbers = column.cat.codes.to_numpy(dtype=float) if ordered else column.to_numpy(dtype=float, na_value=np.nan)
    present = numbers[~missing]
    if np.isinf(present).any():
        raise VaelensError(f"column {name!r} holds an infinite number; leave the cell empty if it is missing")
    mean = float(present.mean()) if len(present) else 0.0
    spread = float(present.std()) if len(present) else 0.0
    spread = spread if spread > 0 else 1.0
    values = np.where(missing, 0.0, (numbers - mean) / spread)[:, None]
    return Column(name, (name, *told), classes, mean, spread), np.concatenate([values, *gaps], axis=1)


def as_context(column: pd.Series) -> np.ndarray:
    """Reads a column as context, with numbers as they are and classes as whole numbers, in their order or sorted."""
    if column.isna().any():
        raise VaelensError(f"context {column.name!r} has gaps; fill them, or leave the rows out")
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy()
    if hasattr(column, "cat"):
        return column.cat.codes.to_numpy(dtype=np.int64)
    return np.unique(column.astype(str).to_numpy(), return_inverse=True)[1]
