"""A table of labels in a file, .csv, .tsv or .parquet, as a frame of texts, numbers and truth values.

Cells are read as they stand but for blanks around them: an empty one is missing, and a class may be called None or NA.
"""

import csv
import importlib
import io
import warnings
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from vaelens.data.arguments import brief
from vaelens.data.limits import MOST_BYTES, MOST_CELLS, MOST_COLUMNS, MOST_ROWS, MOST_TABLE_BYTES, as_bytes
from vaelens.errors import VaelensError

ADVICE = "read it with pandas and give the DataFrame"
TEXT_ENDINGS = (".csv", ".tsv")
SEPARATORS = (",", ";", "\t")
NO_NUMBER = {"nan", "-nan", "na", "n/a", "<na>", "null", "none", "missing"}  # missing, among numbers alone
TRUTHS = {"true": True, "false": False}
LEADING_ZERO = r"[+-]?0\d"
DECIMAL_COMMA = r"[+-]?\d+(,\d+)?"


def read_label_file(path: Path, file_columns: Collection[str]) -> pd.DataFrame:
    """Reads a table of labels.

    Args:
        path: A .csv or .tsv file, in UTF-8 or with a byte order mark, its columns parted by commas, semicolons or
            tabs; or a .parquet file.
        file_columns: The columns that hold files' names, which are texts even where they look like numbers.

    Raises:
        VaelensError: If it is no such file, too large, or damaged.
    """
    ending = path.suffix.lower()
    if ending not in (*TEXT_ENDINGS, ".parquet"):
        raise VaelensError(f"the table of labels must be a .csv, .tsv or .parquet file, got {path.name!r}")
    size = path.stat().st_size
    if size > MOST_TABLE_BYTES:
        raise VaelensError(
            f"the table of labels {str(path)!r} has {as_bytes(size)}, the bound is {as_bytes(MOST_TABLE_BYTES)}; "
            f"{ADVICE}"
        )
    try:
        return _read_parquet(path) if ending == ".parquet" else _read_text(path, file_columns)
    except ImportError as error:
        raise VaelensError("reading .parquet needs pyarrow; pip install pyarrow, or give a .csv") from error
    except VaelensError:
        raise
    except Exception as error:  # whatever a parser raises
        raise _unreadable(path, brief(error)) from error


def _unreadable(path: Path, why: str) -> VaelensError:
    return VaelensError(f"the table of labels {str(path)!r} can't be read ({why})")


def _read_text(path: Path, file_columns: Collection[str]) -> pd.DataFrame:
    text = _decoded(path)
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == len("sep=,"):  # Excel's word for the separator
        separator, text = first.strip()[-1], rest
    else:
        separator = "\t" if path.suffix.lower() == ".tsv" else ""
    header, separator = _header(path, text, separator, file_columns)
    _check_size(path, text.rstrip().count("\n"), len(header))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # cells without a column would be lost
        try:
            cells = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                dtype=str,
                keep_default_na=False,
                na_filter=False,
                skipinitialspace=True,
                index_col=False,
            )
        except Warning as warning:
            raise _unreadable(path, "rows have more cells than its first line names columns") from warning
    cells = cells.fillna("")  # of rows that end early
    named = [name or column for name, column in zip(header, cells.columns, strict=True)]
    texts = cells.set_axis(named, axis=1).apply(lambda column: column.str.strip())
    return pd.DataFrame(
        {name: texts[name] if name in file_columns else _typed(texts[name], separator == ";") for name in texts}
    )


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is no UTF-8 text; save it as CSV UTF-8") from error
    if "\0" in text:
        raise _unreadable(path, "it has NUL characters in it")
    if not text.strip():
        raise _unreadable(path, "it is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")


def _header(path: Path, text: str, separator: str, file_columns: Collection[str]) -> tuple[list[str], str]:
    """Reads the columns' names, with the separator that yields the files' column, or else the most columns."""

    def parted(by: str) -> list[str]:
        cells = next(csv.reader(io.StringIO(text), delimiter=by, skipinitialspace=True))
        return [cell.strip() for cell in cells]

    candidates = [(parted(by), by) for by in ((separator,) if separator else SEPARATORS)]
    header, by = max(candidates, key=lambda parts: (any(name in file_columns for name in parts[0]), len(parts[0])))
    repeated = [name for name in header if name and header.count(name) > 1]
    if repeated:
        raise _unreadable(path, f"it names the column {repeated[0]!r} more than once")
    return header, by


def _check_size(path: Path, rows: int, columns: int) -> None:
    """Refuses more rows, columns or cells than memory should be spent on."""
    for count, most, what in (
        (rows, MOST_ROWS, "rows"),
        (columns, MOST_COLUMNS, "columns"),
        (rows * columns, MOST_CELLS, "cells"),
    ):
        if count > most:
            raise _unreadable(path, f"it has {count:,} {what}, the bound is {most:,}: {ADVICE}")


def _typed(cells: pd.Series, decimal_comma: bool) -> pd.Series:
    """Turns a column of texts into numbers or truth values where all of its cells are such."""
    empty = cells == ""
    folded = cells.str.casefold()
    no_number = empty | folded.isin(NO_NUMBER)
    rest = cells[~no_number]
    if decimal_comma and rest.str.contains(",").any() and rest.str.fullmatch(DECIMAL_COMMA).all():
        rest = rest.str.replace(",", ".")
    numbers = pd.to_numeric(rest, errors="coerce")
    codes = rest.str.match(LEADING_ZERO).any() and rest.nunique() > numbers.nunique()  # 007 and 7 are two classes
    if len(rest) and numbers.notna().all() and not codes:
        return numbers if len(rest) == len(cells) else numbers.astype(float).reindex(cells.index)
    if (~empty).any() and folded[~empty].isin(TRUTHS).all():
        return folded.map(TRUTHS)
    return cells.mask(empty, None)


def _read_parquet(path: Path) -> pd.DataFrame:
    stored = importlib.import_module("pyarrow.parquet").ParquetFile(path)
    told = stored.metadata
    _check_size(path, told.num_rows, told.num_columns)
    packed = sum(told.row_group(k).total_byte_size for k in range(told.num_row_groups))
    if packed > MOST_BYTES:
        raise _unreadable(path, f"it unpacks to {as_bytes(packed)}, the bound is {as_bytes(MOST_BYTES)}: {ADVICE}")
    return stored.read().to_pandas()
