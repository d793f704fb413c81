"""The columns of a table of labels as factors, with what each value stands for and which are missing or continuous."""

import re
import unicodedata
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from vaelens.data.annotations import Kinds
from vaelens.data.factors import KINDS
from vaelens.data.labels.column import LabelColumn, spread
from vaelens.data.warning import warn
from vaelens.errors import VaelensError, unknown

CONTINUOUS = "continuous"
FEW = 20  # rows; among so few, values that all differ may well be labels, unless the column is called like an index
INDEX_NAMES = re.compile(r"(unnamed: ?\d+|index|idx|row|no\.?|nr\.?|#|(.*[\W_])?(id|uuid|guid))?", re.IGNORECASE)
LONGEST = 1000  # characters of a text that can be a label
MOST_COMPARED = 1000  # classes whose names are compared


def read_labels(
    table: pd.DataFrame, kinds: Kinds | None = None, levels: int = 10, leave_out: Collection[str] = ()
) -> list[LabelColumn]:
    """Reads the columns of a table as labels.

    Whole numbers, texts and truth values are categorical: each value is a level, in sorted order. Ordered categories
    of pandas are ordinal, in their order. Other numbers are ordinal where they take at most `levels` values, and
    continuous where they take more: then they are binned at their quantiles into `levels` bins of about as many rows
    each (fewer where values repeat). NaN and None are missing labels.

    Whole numbers or texts that all differ, in more than 20 rows or in a column that is called like an index, tell
    images apart rather than label them: such a column is no factor, and a `VaelensWarning` says so, unless its kind is
    given. So are texts of more than 1,000 characters.

    Args:
        table: A column for each label, a row for each image.
        kinds: What columns are, by name, where it is not as above: one of ordinal, circular, categorical and
            continuous.
        levels: The number of bins of a continuous column, at least 2.
        leave_out: The names of columns that are no labels.

    Raises:
        VaelensError: If a kind is unknown, of no column, or does not fit it; or a number is infinite.

    Example:
        >>> table = pd.DataFrame({"age": [31.5, 40.2, np.nan, 71.9, 65.1], "smile": ["no", "yes", "no", None, "no"]})
        >>> age, smile = read_labels(table, levels=2)
        >>> age.ranks, age.edges
        (array([ 0,  0, -1,  1,  1]), (52.65,))
        >>> smile.ranks, smile.values.tolist()
        (array([ 0,  1,  0, -1,  0], dtype=int8), ['no', 'yes'])
    """
    kind_of = {} if kinds is None else kinds
    if not isinstance(kind_of, Mapping):
        raise VaelensError(
            f"kinds must map names of columns to kinds, got {kinds!r}; such as kinds={{'age': 'ordinal'}}"
        )
    for name, kind in kind_of.items():
        if name not in table.columns:
            raise unknown("label", name, map(str, table.columns))
        if kind not in (*KINDS, CONTINUOUS):
            raise unknown("kind of label", kind, (*KINDS, CONTINUOUS))
    for name in leave_out:
        if name not in table.columns:
            raise unknown("label to leave out", name, map(str, table.columns))
    columns = []
    for name in table.columns:
        if name in leave_out:
            columns.append(LabelColumn.excluded(str(name), len(table), "as asked"))
        else:
            columns.append(_read(str(name), table[name], kind_of.get(name), levels))
    return columns


def _read(name: str, column: pd.Series, kind: str | None, levels: int) -> LabelColumn:
    has_label = ~column.isna().to_numpy(dtype=bool)
    present = column[has_label]
    if isinstance(present.dtype, pd.CategoricalDtype):
        if present.dtype.ordered and kind in (None, "ordinal", "circular"):
            return _ordered(name, present, has_label, kind or "ordinal")
        present = present.astype(present.dtype.categories.dtype)
    present = present.infer_objects()
    if pd.api.types.is_bool_dtype(present):
        labels = present.to_numpy(dtype=bool)
    elif pd.api.types.is_numeric_dtype(present) and not pd.api.types.is_complex_dtype(present):
        labels = _numbers(name, present)
    else:
        texts = _texts(name, present)
        if max(map(len, texts), default=0) > LONGEST:
            return _left_out(name, len(column), f"it has texts of more than {LONGEST:,} characters")
        labels = np.array(texts, dtype=object)
    is_number, is_fractional = labels.dtype.kind in "iuf", labels.dtype.kind == "f"
    if kind is None:
        if not is_fractional and _tells_apart(name, labels):
            return _left_out(name, len(column), f"all {len(labels):,} of its values differ", is_number)
        kind = "categorical"
        if is_fractional:
            kind = CONTINUOUS if len(np.unique(labels)) > levels else "ordinal"
    elif kind != "categorical" and not is_number:
        raise VaelensError(f"label {name!r} holds no numbers, so it can't be {kind}; number its values in their order")
    if kind == CONTINUOUS:
        return _binned(name, labels, has_label, levels)
    read = LabelColumn.ranked(name, kind, labels, has_label)
    if labels.dtype == object:
        _warn_of_likenesses(name, read.values)
        read = LabelColumn(name, kind, read.ranks, read.values.astype(np.str_))
    return read


def _ordered(name: str, present: pd.Series, has_label: np.ndarray, kind: str) -> LabelColumn:
    """Ranks ordered categories among those that occur."""
    occurring, ranks = np.unique(present.cat.codes, return_inverse=True)
    categories = present.cat.categories[occurring]
    values = (
        categories.to_numpy()
        if pd.api.types.is_numeric_dtype(categories)
        else np.array(categories.astype(str), dtype=np.str_)
    )
    return LabelColumn(name, kind, spread(ranks.astype(np.min_scalar_type(-max(1, len(values)))), has_label), values)


def _binned(name: str, labels: np.ndarray, has_label: np.ndarray, levels: int) -> LabelColumn:
    """Bins the numbers of a continuous column at their quantiles."""
    ranks = np.full(len(has_label), -1, dtype=np.int64)
    raw = np.full(len(has_label), np.nan)
    raw[has_label] = labels
    if not has_label.any():
        return LabelColumn(name, "ordinal", ranks, np.zeros(0), raw)
    cuts = np.unique(np.quantile(raw[has_label], np.linspace(0, 1, levels + 1)[1:-1]))
    occupied, ranks[has_label] = np.unique(np.searchsorted(cuts, raw[has_label], side="right"), return_inverse=True)
    medians = np.array([np.median(raw[ranks == rank]) for rank in range(len(occupied))])
    return LabelColumn(name, "ordinal", ranks, medians, raw, tuple(cuts[occupied[1:] - 1].tolist()))


def _numbers(name: str, present: pd.Series) -> np.ndarray:
    """Reads numbers as whole ones where all are whole (a column of whole numbers with gaps comes as fractions)."""
    if pd.api.types.is_integer_dtype(present):
        unsigned = pd.api.types.is_unsigned_integer_dtype(present)
        return present.to_numpy(dtype=np.uint64 if unsigned and present.max() >= 2**63 else np.int64)
    numbers = present.to_numpy(dtype=np.float64)
    if np.isinf(numbers).any():
        raise VaelensError(f"label {name!r} holds an infinite number; leave the cell empty if it is missing")
    whole = (numbers == np.rint(numbers)).all() and (np.abs(numbers) < 2**53).all()
    return numbers.astype(np.int64) if whole else numbers


def _texts(name: str, present: pd.Series) -> list[str]:
    """Reads all else as texts, with accents composed."""
    types = sorted({"str" if isinstance(value, str) else type(value).__name__ for value in present})
    if len(types) > 1:
        message = f"column {name!r} holds values of several types ({', '.join(types)}), each of which is taken as text"
        warn(message)
    texts = [unicodedata.normalize("NFC", str(value)) for value in present]
    if any("\0" in text for text in texts):
        raise VaelensError(f"label {name!r} holds a text with a NUL character in it; take it out")
    return texts


def _tells_apart(name: str, labels: np.ndarray) -> bool:
    """Says whether labels tell images apart, since all differ, in many rows or in what is called an index."""
    if labels.dtype.kind == "b" or len(labels) < 2 or len(np.unique(labels)) < len(labels):
        return False
    return len(labels) > FEW or INDEX_NAMES.fullmatch(name.strip()) is not None


def _left_out(name: str, length: int, why: str, is_number: bool = False) -> LabelColumn:
    advice = f"give kinds={{{name!r}: 'continuous'}} if it is a quantity, or " if is_number else ""
    warn(
        f"column {name!r} is no factor and left out: {why}, so it tells images apart rather than labels them; "
        f"{advice}name it in leave_out"
    )
    return LabelColumn.excluded(name, length, why)


def _warn_of_likenesses(name: str, classes: np.ndarray) -> None:
    """Warns of classes whose names differ in nothing but capitals and blanks."""
    seen: dict[str, str] = {}
    for text in classes[:MOST_COMPARED]:
        form = "".join(text.casefold().split())
        if len(form) > 1 and form in seen:
            message = (
                f"column {name!r} has the classes {seen[form]!r} and {text!r}, which differ in capitals or blanks only"
            )
            warn(f"{message}; they are taken as two: correct the table if they are one")
            return
        seen[form] = text
