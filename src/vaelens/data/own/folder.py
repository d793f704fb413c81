"""A folder of pictures as a dataset, with a table of labels where there is one. Pictures are decoded once."""

import hashlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from vaelens.data.own.arrays import ArrayDataset
from vaelens.data.own.framing import GREY, Framing, check_same_size, checked_channels, checked_crop, checked_size
from vaelens.data.own.image_store import store
from vaelens.errors import VaelensError

FILE_COLUMNS = ("file", "filename", "file_name", "image", "path")


class FolderDataset(ArrayDataset):
    """The pictures of a folder and of the folders in it, in the order of their names.

    Every file must be a picture that Pillow reads, but for hidden ones and the table of labels; a pattern picks some.
    A picture is turned upright, cut, and resized as asked, and no other way: where sizes differ and none is asked for,
    that is an error. Of an animation the first frame is taken. Decoded pictures are kept in memory up to 1 GiB,
    beyond that in a file in the cache folder (see `load_dataset`).

    Args:
        root: The folder.
        size: A side, or height and width, to resize to (Lanczos); None to keep the pictures' size.
        crop: What is cut out before: None for the whole picture (resizing then changes its proportions); "center"
            for the largest rectangle about the middle with the proportions of `size`; or (left, top, right, bottom).
        labels: A table with a row for each picture: a .csv or .parquet file (looked for in the folder too), or a
            DataFrame. A picture without row has no labels; rows without picture are counted in `describe()`.
        channels: 1 or 3; by default 3 where any picture has colours.
        pattern: Which files, such as "*.png", matched against names relative to the folder.
        file_column: The table's column of file names, relative to the folder; by default the first of file,
            filename, file_name, image and path.
        columns: The table's columns to take as labels; all others by default.
        kinds: What labels are, by name: ordinal, circular, categorical or continuous (see `read_labels`).
        levels: The number of bins of a continuous label.

    Attributes:
        files: The pictures' names relative to the folder, in the order of the images.

    Raises:
        VaelensError: If the folder, a picture, the table or an option is not as it should be; the message names it.
    """

    name = "folder"

    def __init__(
        self,
        root: Any = None,
        size: Any = None,
        crop: Any = None,
        labels: Any = None,
        channels: Any = None,
        pattern: str = "*",
        file_column: str | None = None,
        columns: Any = None,
        kinds: Any = None,
        levels: Any = 10,
    ) -> None:
        folder = _checked_folder(root)
        framing_size, framing_crop, wanted = checked_size(size), checked_crop(crop), checked_channels(channels)
        table, source = _read_table(labels, folder)
        self.files = _listed(folder, pattern, source)
        colours = [_has_colour(folder, file) for file in self.files]  # every file is looked into before any is decoded
        self._framing = Framing(framing_size, framing_crop, wanted or (3 if any(colours) else 1))
        self._folder = folder.name or str(folder)
        rows, self._unused = _rows(table, self.files, file_column, columns)
        super().__init__(self._decoded(folder, pattern), rows, kinds=kinds, levels=levels)

    @property
    def options(self) -> dict[str, object]:
        """The folder's name, how pictures were cut and resized, and what became of the labels."""
        unused = {"rows_without_picture": self._unused} if self._unused else {}
        return {"folder": self._folder, **self._framing.describe(), **super().options, **unused}

    def _decoded(self, folder: Path, pattern: str) -> np.ndarray:
        first = _picture(folder, self.files[0], self._framing)
        key = hashlib.sha256(repr((str(folder.resolve()), pattern, self._framing)).encode())
        version = hashlib.sha256()
        for file in self.files:
            status = (folder / file).stat()
            version.update(f"{file} {status.st_size} {status.st_mtime_ns}\n".encode())
        return store(
            (len(self.files), *first.shape),
            self._pictures(folder, first),
            key.hexdigest()[:16],
            version.hexdigest()[:16],
            f"the pictures in {str(folder)!r}",
        )

    def _pictures(self, folder: Path, first: np.ndarray) -> Iterator[np.ndarray]:
        for file in self.files:
            picture = _picture(folder, file, self._framing)
            check_same_size(first, picture, f"{self.files[0]} and {file} in {str(folder)!r}")
            yield picture


def _checked_folder(root: Any) -> Path:
    if not isinstance(root, (str, os.PathLike)):
        raise VaelensError(f"root must be the path of a folder of pictures, got {root!r}")
    folder = Path(os.fspath(root))
    if not folder.is_dir():
        raise VaelensError(
            f"{str(folder)!r} is {'a file' if folder.exists() else 'not there'}; give a folder of pictures"
        )
    return folder


def _listed(folder: Path, pattern: str, table: Path | None) -> tuple[str, ...]:
    files = []
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.is_file() and not hidden and path.resolve() != table and relative.match(pattern):
            files.append(relative.as_posix())
    if not files:
        raise VaelensError(f"{str(folder)!r} holds no pictures that match {pattern!r}; give a folder of pictures")
    return tuple(sorted(files))


def _has_colour(folder: Path, file: str) -> bool:
    with _reading(folder, file), Image.open(folder / file) as picture:
        return picture.mode not in GREY


def _picture(folder: Path, file: str, framing: Framing) -> np.ndarray:
    with _reading(folder, file), Image.open(folder / file) as picture:
        return framing.apply(picture, str(folder / file))


class _reading:
    """Turns whatever a decoder raises into one sentence that names the file, and drops its warnings of odd metadata."""

    def __init__(self, folder: Path, file: str) -> None:
        self._path, self._caught = folder / file, warnings.catch_warnings()

    def __enter__(self) -> None:
        self._caught.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._caught.__exit__(kind, error, trace)
        if isinstance(error, Exception) and not isinstance(error, VaelensError):
            raise VaelensError(
                f"{str(self._path)!r} can't be read as a picture ({type(error).__name__}); "
                "take it out of the folder, or give a pattern for the files to read, such as pattern='*.png'"
            ) from error


def _read_table(labels: Any, folder: Path) -> tuple[pd.DataFrame | None, Path | None]:
    """The table and the file it came from."""
    if labels is None or isinstance(labels, pd.DataFrame):
        return labels, None
    if not isinstance(labels, (str, os.PathLike)):
        raise VaelensError(f"labels must be a .csv or .parquet file, or a DataFrame, got {type(labels).__name__}")
    named = Path(os.fspath(labels))
    path = next((place for place in (folder / named, named) if place.is_file()), None)
    if path is None:
        raise VaelensError(f"the table of labels {str(named)!r} is neither there nor in {str(folder)!r}")
    readers = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    if path.suffix.lower() not in readers:
        raise VaelensError(f"the table of labels must be a .csv or .parquet file, got {path.name!r}")
    try:
        return readers[path.suffix.lower()](path), path.resolve()
    except ImportError as error:
        raise VaelensError("reading .parquet needs pyarrow; pip install pyarrow, or give a .csv") from error
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise VaelensError(f"the table of labels {str(path)!r} can't be read ({said})") from error


def _rows(
    table: pd.DataFrame | None, files: tuple[str, ...], file_column: str | None, columns: Any
) -> tuple[pd.DataFrame | None, int]:
    """The table's label columns with a row for each file, and how many of its rows name none of them."""
    if table is None:
        return None, 0
    known = list(map(str, table.columns))
    named = file_column or next((name for name in FILE_COLUMNS if name in known), None)
    if named is None or named not in known:
        what = f"no column {named!r}" if named else f"no column of file names ({', '.join(FILE_COLUMNS)})"
        raise VaelensError(f"the table of labels has {what}, only {', '.join(known)}; name it with file_column=")
    rows = table.set_index(table[named].astype(str).str.strip())
    repeated = rows.index[rows.index.duplicated()]
    if len(repeated):
        raise VaelensError(f"the table of labels names {repeated[0]!r} more than once; keep one row for each picture")
    unused = int((~rows.index.isin(files)).sum())
    if unused == len(rows):
        raise VaelensError(
            f"no row of the table of labels names a picture: {named} has {rows.index[0]!r}, the folder {files[0]!r}"
        )
    wanted = [columns] if isinstance(columns, str) else columns
    wanted = [name for name in known if name != named] if wanted is None else list(wanted)
    for name in wanted:
        if name not in known:
            raise VaelensError(f"the table of labels has no column {name!r}, only {', '.join(known)}")
    return rows[wanted].reindex(list(files)).reset_index(drop=True), unused
