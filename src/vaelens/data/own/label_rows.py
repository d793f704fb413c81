"""The rows of a table of labels by the pictures that they name, whatever the form of accents, capitals and slashes."""

import difflib
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from vaelens.data.annotations import Name, Names
from vaelens.data.arguments import checked_names, listed_names
from vaelens.data.limits import MOST_COLUMNS
from vaelens.data.warning import warn
from vaelens.errors import VaelensError

COMPARED = 50  # names that are looked at for misspelling
FILE_COLUMNS = ("file", "filename", "file_name", "image", "path")


@dataclass(frozen=True)
class LabelRows:
    """The labels of pictures.

    Attributes:
        frame: A row for each picture; the row of a picture that the table does not name is empty.
        named: How many pictures the table names.
        unused: How many rows of the table name no picture.
    """

    frame: pd.DataFrame
    named: int
    unused: int


def label_rows(
    table: pd.DataFrame, files: Sequence[str], file_column: Name | None = None, columns: Names | None = None
) -> LabelRows:
    """Finds the row of each picture.

    A name is matched as it stands first; then with accents composed and slashes forward; then without regard to
    capitals. It must be unique in that form. A `VaelensWarning` says where rows without picture and pictures without
    row seem to belong together, as they do where names are misspelt.

    Args:
        table: The table.
        files: The pictures' names.
        file_column: Its column of names; by default the first of `FILE_COLUMNS`.
        columns: Which of its columns are labels; by default all others.

    Raises:
        VaelensError: If a column is missing, a picture is named twice, or no row names a picture.
    """
    table = table.set_axis(list(map(str, table.columns)), axis=1)
    repeated = table.columns[table.columns.duplicated()]
    if len(repeated):
        raise VaelensError(f"the table of labels has the column {repeated[0]!r} more than once; rename one of them")
    present = list(table.columns)
    named = file_column or next((name for name in FILE_COLUMNS if name in present), None)
    if named is None or named not in present:
        what = f"no column {named!r}" if named else f"no column of file names ({', '.join(FILE_COLUMNS)})"
        raise VaelensError(f"the table of labels has {what}, only {listed_names(present)}; name it with file_column=")
    chosen = checked_names("columns", columns)
    wanted = [name for name in present if name != named] if chosen is None else chosen
    for name in wanted:
        if name not in present:
            raise VaelensError(f"the table of labels has no column {name!r}, only {listed_names(present)}")
    if len(wanted) > MOST_COLUMNS:
        raise VaelensError(
            f"the table has {len(wanted):,} columns of labels, the bound is {MOST_COLUMNS:,}; name some with columns="
        )
    names = [
        "" if missing else str(name).strip() for name, missing in zip(table[named], table[named].isna(), strict=True)
    ]
    rows = _matched(names, files)
    unused, unnamed = len(names) - int((rows >= 0).sum()), np.flatnonzero(rows < 0)
    if unused == len(names):
        raise VaelensError(_no_match(named, names, files))
    taken = set(rows.tolist())
    stray = [name for row, name in enumerate(names) if row not in taken and name]
    _warn_of_misspelling(stray, [files[k] for k in unnamed.tolist()], len(names), len(files))
    frame = table[wanted].reset_index(drop=True).reindex(np.where(rows < 0, len(names), rows)).reset_index(drop=True)
    return LabelRows(frame, len(files) - len(unnamed), unused)


def _matched(names: Sequence[str], files: Sequence[str]) -> np.ndarray:
    """Finds the row that names each file (n,), -1 where none does."""
    rows = np.full(len(files), -1)
    free = set(range(len(names)))
    for stage, form in enumerate(FORMS):
        of_form: dict[str, list[int]] = {}
        for row in sorted(free):
            if names[row]:
                of_form.setdefault(form(names[row]), []).append(row)
        if stage == 0:
            twice = next((name for name, members in of_form.items() if len(members) > 1), None)
            if twice is not None:
                raise VaelensError(f"the table of labels names {twice!r} more than once; keep one row for each picture")
        forms = [form(file) for file in files]
        counts = Counter(forms)
        for k in np.flatnonzero(rows < 0):
            members = of_form.get(forms[k], [])
            if len(members) == 1 and counts[forms[k]] == 1:
                rows[k] = members[0]
                free.discard(members[0])
        if not free or (rows >= 0).all():
            break
    return rows


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name).replace("\\", "/").removeprefix("./")


FORMS: tuple[Callable[[str], str], ...] = (str, _composed, lambda name: _composed(_composed(name).casefold()))


def _warn_of_misspelling(stray: Sequence[str], unnamed: Sequence[str], rows: int, pictures: int) -> None:
    """Warns where rows and pictures remain that seem to belong together, or half of both remain."""
    stems = {PurePosixPath(file).stem: file for file in unnamed}
    likely = ((name, stems.get(PurePosixPath(name).stem) or _nearest(name, unnamed)) for name in stray[:COMPARED])
    pair = next(((name, file) for name, file in likely if file), None)
    if pair is None and stray and unnamed and 2 * len(stray) >= rows and 2 * len(unnamed) >= pictures:
        pair = stray[0], unnamed[0]
    if pair is not None:
        warn(
            f"{len(stray):,} rows of the table of labels name no picture (such as {pair[0]!r}), and {len(unnamed):,} "
            f"pictures have no row (such as {pair[1]!r}); their labels are missing: check the names"
        )


def _nearest(name: str, files: Sequence[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, files[:COMPARED], n=1, cutoff=0.8)), None)


def _no_match(column: str, names: Sequence[str], files: Sequence[str]) -> str:
    message = f"no row of the table of labels names a picture: {column} has {_first(names)!r}, the folder {files[0]!r}"
    stems = {PurePosixPath(file).stem for file in files}
    bases = {PurePosixPath(file).name for file in files}
    if any(name in stems for name in names):
        return f"{message}; names need their ending"
    if any(PurePosixPath(_composed(name)).name in bases for name in names):
        return f"{message}; names must be relative to the folder"
    return f"{message}; name the column of file names with file_column="


def _first(names: Sequence[str]) -> str:
    return next((name for name in names if name), "")
