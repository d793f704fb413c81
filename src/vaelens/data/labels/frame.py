"""The columns of a table of labels as factors: what each value stands for, which are missing, what is continuous."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from vaelens.data.factors import KINDS
from vaelens.data.labels.column import LabelColumn
from vaelens.errors import VaelensError, unknown

CONTINUOUS = "continuous"
FEW = 20  # rows; among so few, texts that all differ may well be labels


def read_labels(table: pd.DataFrame, kinds: Any = None, levels: int = 10) -> list[LabelColumn]:
    """The columns of a table as labels.

    Whole numbers, texts and truth values are categorical: each value is a level, in sorted order. Other numbers are
    ordinal where they take at most `levels` values, and continuous where they take more: then they are binned at
    their quantiles into `levels` bins of about as many rows each (fewer where values repeat). NaN and None are
    missing labels.

    Args:
        table: A column for each label, a row for each image.
        kinds: What columns are, by name, where it is not as above: one of ordinal, circular, categorical and
            continuous.
        levels: The number of bins of a continuous column, at least 2.

    Raises:
        VaelensError: If a kind is unknown, of no column, or does not fit it; a number is infinite; or a column names
            the images rather than labels them.

    Example:
        >>> table = pd.DataFrame({"age": [31.5, 40.2, np.nan, 71.9, 65.1], "smile": ["no", "yes", "no", None, "no"]})
        >>> age, smile = read_labels(table, levels=2)
        >>> age.ranks, age.edges
        (array([ 0,  0, -1,  1,  1]), (52.65,))
        >>> smile.ranks, smile.values.tolist()
        (array([ 0,  1,  0, -1,  0], dtype=int8), ['no', 'yes'])
    """
    wanted = {} if kinds is None else kinds
    if not isinstance(wanted, Mapping):
        raise VaelensError(
            f"kinds must map names of columns to kinds, got {kinds!r}; such as kinds={{'age': 'ordinal'}}"
        )
    for name, kind in wanted.items():
        if name not in table.columns:
            raise unknown("label", name, map(str, table.columns))
        if kind not in (*KINDS, CONTINUOUS):
            raise unknown("kind of label", kind, (*KINDS, CONTINUOUS))
    return [_read(str(name), table[name], wanted.get(name), levels) for name in table.columns]


def _read(name: str, column: pd.Series, kind: str | None, levels: int) -> LabelColumn:
    known = ~column.isna().to_numpy(dtype=bool)
    given = column[known].infer_objects()
    if pd.api.types.is_bool_dtype(given):
        labels = given.to_numpy(dtype=bool)
    elif pd.api.types.is_numeric_dtype(given) and not pd.api.types.is_complex_dtype(given):
        labels = _numbers(name, given)
    else:
        labels = given.astype(str).to_numpy(dtype=np.str_)
    is_number, is_fractional = labels.dtype.kind in "iuf", labels.dtype.kind == "f"
    if kind is None:
        kind = "categorical"
        if is_fractional:
            kind = CONTINUOUS if len(np.unique(labels)) > levels else "ordinal"
    elif kind != "categorical" and not is_number:
        raise VaelensError(f"label {name!r} holds no numbers, so it can't be {kind}; number its values in their order")
    if labels.dtype.kind == "U" and FEW < len(labels) == len(np.unique(labels)):
        differ = f"all {len(labels)} texts of column {name!r} differ, so it names the images rather than labels them"
        raise VaelensError(f"{differ}; leave it out")
    if kind != CONTINUOUS:
        return LabelColumn.ranked(name, kind, labels, known)
    ranks = np.full(len(column), -1, dtype=np.int64)
    raw = np.full(len(column), np.nan)
    raw[known] = labels
    if not known.any():
        return LabelColumn(name, "ordinal", ranks, np.zeros(0), raw)
    cuts = np.unique(np.quantile(raw[known], np.linspace(0, 1, levels + 1)[1:-1]))
    occupied, ranks[known] = np.unique(np.searchsorted(cuts, raw[known], side="right"), return_inverse=True)
    medians = np.array([np.median(raw[ranks == rank]) for rank in range(len(occupied))])
    return LabelColumn(name, "ordinal", ranks, medians, raw, tuple(cuts[occupied[1:] - 1].tolist()))


def _numbers(name: str, given: pd.Series) -> np.ndarray:
    """The numbers as int64 where all are whole (a column of whole numbers with gaps is read as fractions)."""
    if pd.api.types.is_integer_dtype(given):
        return given.to_numpy(dtype=np.int64)
    numbers = given.to_numpy(dtype=np.float64)
    if np.isinf(numbers).any():
        raise VaelensError(f"label {name!r} holds an infinite number; leave the cell empty if it is missing")
    whole = (numbers == np.rint(numbers)).all() and (np.abs(numbers) < 2**53).all()
    return numbers.astype(np.int64) if whole else numbers
