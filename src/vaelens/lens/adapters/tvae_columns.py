"""The columns of a fitted TVAE's table, numbers with modes and others with classes, which read a frame's values."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from vaelens.errors import VaelensError

WIDTHS = 4  # standard deviations of a mode that a coded value of 1 stands for, as in ctgan
_SHOWN = 5  # values of a column that a sentence names


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers.

    Attributes:
        name: of the column.
        means: of its modes, float64.
        spreads: their standard deviations.
        log_weights: of each mode, the log of its share of the density where its mean is.
        filler: what a gap becomes, as where the model was fitted; None where there were none.
    """

    name: str
    means: np.ndarray
    spreads: np.ndarray
    log_weights: np.ndarray
    filler: float | None

    @property
    def features(self) -> tuple[str, ...]:
        """The name of its one feature."""
        return (self.name,)

    @property
    def varied(self) -> bool:
        """Whether the model was fitted to several numbers. A constant has modes 0.001 wide that lie on one another."""
        return bool(np.ptp(self.means) + self.spreads.max() > 0.01 + 1e-6 * np.abs(self.means).max())

    def values(self, column: pd.Series, kept: torch.dtype) -> np.ndarray:
        """Reads the column of a frame, (n, 1).

        Args:
            column: of the frame.
            kept: the type that values will be in.

        Raises:
            VaelensError: no numbers, infinite ones, gaps where the model knows none, or ones that the type keeps too
                coarsely for the model.
        """
        if not pd.api.types.is_numeric_dtype(column):
            raise VaelensError(
                f"column {self.name!r} was numbers where the TVAE was fitted, and has type {column.dtype}; make it "
                "numbers again, as pd.to_numeric does"
            )
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        missing = np.isnan(values)
        if missing.any() and self.filler is None:
            raise VaelensError(
                f"column {self.name!r} has {missing.sum()} gaps, and had none where the TVAE was fitted; fill them, or "
                "leave the rows out"
            )
        values = np.where(missing, self.filler or 0.0, values)
        if np.isinf(values).any():
            raise VaelensError(f"column {self.name!r} holds an infinite number; expected finite ones")
        rounded = torch.from_numpy(values).to(kept).double().numpy()
        coarse = np.abs(rounded - values) > WIDTHS * self.spreads[self._likeliest(values)] / 100
        if coarse.any():
            value = values[coarse.argmax()]
            raise VaelensError(
                f"column {self.name!r} holds {value:.15g}, which the model's {str(kept).removeprefix('torch.')} rounds "
                f"by {abs(rounded[coarse.argmax()] - value):.3g}, too much for its modes; run the model in double "
                "precision: tvae.encoder.double(), tvae.decoder.double()"
            )
        return values[:, None]

    def _likeliest(self, values: np.ndarray) -> np.ndarray:
        """Finds the mode that each value most probably comes from."""
        return (self.log_weights - 0.5 * ((values[:, None] - self.means) / self.spreads) ** 2).argmax(axis=1)


@dataclass(frozen=True)
class ClassColumn:
    """A column of classes.

    Attributes:
        name: of the column.
        classes: in the model's order; NaN is the class of gaps.
    """

    name: str
    classes: tuple[Any, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features, one for each class."""
        return tuple(
            f"{self.name} missing" if pd.isna(value) else f"{self.name}={value}" for value in self.classes
        )  # the gaps as `TableDataset` calls them

    def values(self, column: pd.Series, kept: torch.dtype) -> np.ndarray:
        """Reads the column of a frame one-hot, (n, classes).

        Raises:
            VaelensError: classes, or gaps, that the model does not know.
        """
        places = {value: k for k, value in enumerate(self.classes) if not pd.isna(value)}
        gap = next((k for k, value in enumerate(self.classes) if pd.isna(value)), -1)
        missing = column.isna().to_numpy(dtype=bool)
        if missing.any() and gap < 0:
            raise VaelensError(
                f"column {self.name!r} has {missing.sum()} gaps, and had none where the TVAE was fitted; fill them, or "
                "leave the rows out"
            )
        values = column.astype(object).to_numpy()
        new = [value for value in values[~missing] if not isinstance(value, Hashable) or value not in places]
        if new:
            alike = {*map(str, places)} & {*map(str, new)}  # as the number 1 and the text '1'
            names = [list(dict.fromkeys(_shown(value, bool(alike)) for value in several)) for several in (new, places)]
            some = [", ".join([*each[:_SHOWN], *["…"] * (len(each) > _SHOWN)]) for each in names]
            raise VaelensError(
                f"column {self.name!r} has classes that the TVAE was not fitted to: {some[0]}; it knows {some[1]}: "
                + ("make them of the same type" if alike else "leave these rows out")
            )
        at = [gap if absent else places[value] for value, absent in zip(values, missing, strict=True)]
        return np.eye(len(self.classes))[at]


def _shown(value: Any, exactly: bool) -> str:
    """Returns a class as text, where exactly of which type it is."""
    return repr(value.item() if isinstance(value, np.generic) else value) if exactly else str(value)


Column = NumberColumn | ClassColumn


def columns_of(transformer: Any) -> tuple[Column, ...]:
    """Reads the columns of a transformer that ctgan has fitted."""
    return tuple(
        _number(column) if column.column_type == "continuous" else _classes(column)
        for column in transformer._column_transform_info_list
    )


def _number(column: Any) -> NumberColumn:
    transform = column.transform
    mixture, used = transform._bgm_transformer, np.asarray(transform.valid_component_indicator, dtype=bool)
    means = np.asarray(mixture.means_, dtype=np.float64)
    # At a mode's mean its density depends on no distance: what is left is a constant of the mode.
    log_weights = np.diag(mixture._estimate_weighted_log_prob(means))
    gaps = transform.null_transformer
    return NumberColumn(
        str(column.column_name),
        means.ravel()[used],
        np.sqrt(np.asarray(mixture.covariances_, dtype=np.float64).ravel()[used]),
        log_weights[used],
        float(gaps._missing_value_replacement) if gaps.nulls else None,
    )


def _classes(column: Any) -> ClassColumn:
    return ClassColumn(str(column.column_name), tuple(column.transform.dummies))
