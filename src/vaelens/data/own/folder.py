"""A folder of pictures as a dataset, with a table of labels where there is one. Pictures are decoded once."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from vaelens.data.annotations import Channels, Count, Crop, Flag, Kinds, LabelTableLike, Name, Names, PathLike, Size
from vaelens.data.arguments import checked_flag, checked_path
from vaelens.data.limits import MOST_PIXELS
from vaelens.data.own.arrays import ArrayDataset
from vaelens.data.own.framing import GREY, Framing, check_same_size, checked_channels, checked_crop, checked_size
from vaelens.data.own.image_store import store
from vaelens.data.own.label_file import TEXT_ENDINGS, read_label_file
from vaelens.data.own.label_rows import FILE_COLUMNS, LabelRows, label_rows
from vaelens.data.own.listing import LOSSES, Listing, list_pictures
from vaelens.data.own.raster import checked_most_pixels, opened
from vaelens.data.warning import warn
from vaelens.errors import VaelensError

ADVICE = "take it out of the folder, or give a pattern for the files to read, such as pattern='*.png'"


class FolderDataset(ArrayDataset):
    """The pictures of a folder and of the folders in it, in the order of their names.

    Every file must be a picture (AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, PPM, TIFF or WebP, whatever its name), but for
    hidden ones and the table of labels; a pattern picks some. A picture is turned upright, cut, and resized as asked,
    and no other way: where sizes differ and none is asked for, that is an error. Of an animation the first frame is
    taken. Pictures that hold only the values 0 and 1 of 255 are masks: 1 is white. Decoded pictures are kept in memory
    up to 1 GiB, beyond that in a file in the cache folder (see `load_dataset`).

    `print(ds)` says what was taken and what was passed over; a `VaelensWarning` says where links were.

    Args:
        root: The folder.
        size: A side, or height and width, to resize to (Lanczos); None to keep the pictures' size.
        crop: What is cut out before: None for the whole picture (resizing then changes its proportions); "center"
            for the largest rectangle about the middle with the proportions of `size`; or (left, top, right, bottom).
        labels: A table with a row for each picture: a .csv, .tsv or .parquet file (looked for in the folder too), or a
            DataFrame. A picture without row has no labels; rows without picture are counted in `describe()`.
        channels: 1 or 3; by default 3 where any picture has colours.
        pattern: Which files, such as "*.png", matched against names relative to the folder, whatever the capitals.
        file_column: The table's column of file names, relative to the folder; by default the first of file,
            filename, file_name, image and path.
        columns: The table's columns to take as labels; all others by default.
        kinds: What labels are, by name: ordinal, circular, categorical or continuous (see `read_labels`).
        levels: The number of bins of a continuous label.
        leave_out: The table's columns that are no labels, such as an index.
        links: Whether to read what links lead to outside the folder, and linked folders; else they are passed over.
        most_pixels: How many pixels a picture may have before it is cut and resized.

    Attributes:
        files: The pictures' names relative to the folder, in the order of the images.

    Raises:
        VaelensError: If the folder, a picture, the table or an option is not as it should be; the message names it.
    """

    name = "folder"

    def __init__(
        self,
        root: PathLike | None = None,
        size: Size | None = None,
        crop: Crop | None = None,
        labels: LabelTableLike | None = None,
        channels: Channels | None = None,
        pattern: Name = "*",
        file_column: Name | None = None,
        columns: Names | None = None,
        kinds: Kinds | None = None,
        levels: Count = 10,
        leave_out: Names | None = None,
        links: Flag = False,
        most_pixels: Count = MOST_PIXELS,
    ) -> None:
        folder = _checked_folder(root)
        framing_size, framing_crop, wanted = checked_size(size), checked_crop(crop), checked_channels(channels)
        self._most_pixels = checked_most_pixels(most_pixels)
        table, source = _read_table(labels, folder, file_column)
        for option, value in (("columns", columns), ("file_column", file_column), ("leave_out", leave_out)):
            if table is None and value is not None:
                raise VaelensError(f"{option} is of a table of labels, and none is given; name it with labels=")
        self._listing = list_pictures(folder, pattern, source, checked_flag("links", links))
        self.files = self._listing.files
        _warn_of_losses(self._listing, folder)
        colours = [self._has_colour(folder / file) for file in self.files]  # all are looked into before any is decoded
        self._framing = Framing(framing_size, framing_crop, wanted or (3 if any(colours) else 1))
        self._folder = (folder.name or str(folder)).encode(errors="backslashreplace").decode()
        self._rows = None if table is None else label_rows(table, self.files, file_column, columns)
        super().__init__(
            self._decoded(folder, pattern),
            None if self._rows is None else self._rows.frame,
            kinds=kinds,
            levels=levels,
            leave_out=leave_out,
        )

    @property
    def options(self) -> dict[str, object]:
        """Lists the folder's name, how pictures were cut and resized, and what became of the labels."""
        unused = {"rows_without_picture": self._rows.unused} if self._rows and self._rows.unused else {}
        return {"folder": self._folder, **self._framing.describe(), **super().options, **unused}

    @property
    def notes(self) -> list[str]:
        """Says how many pictures and labels were taken and passed over, and why."""
        words = self._listing.passed_over_in_words()
        pictures = f"pictures: {len(self.files):,} taken{f', passed over: {words}' if words else ''}"
        return [pictures, *([] if self._rows is None else [_told(self._rows, len(self.files))]), *super().notes]

    def _has_colour(self, path: Path) -> bool:
        with opened(path, self._most_pixels, _advice(path)) as picture:
            return picture.mode not in GREY

    def _picture(self, path: Path) -> np.ndarray:
        with opened(path, self._most_pixels, _advice(path)) as picture:
            return self._framing.apply(picture, str(path))

    def _decoded(self, folder: Path, pattern: str) -> np.ndarray:
        first = self._picture(folder / self.files[0])
        key = hashlib.sha256(repr((str(folder.resolve()), pattern, self._framing)).encode())

        def version() -> str:
            digest = hashlib.sha256()
            for file in self.files:
                status = (folder / file).stat()
                digest.update(f"{file} {status.st_size} {status.st_mtime_ns}\n".encode())
            return digest.hexdigest()[:16]

        return store(
            (len(self.files), *first.shape),
            self._pictures(folder, first),
            key.hexdigest()[:16],
            version,
            f"the pictures in {str(folder)!r}",
        )

    def _pictures(self, folder: Path, first: np.ndarray) -> Iterator[np.ndarray]:
        for file in self.files:
            picture = self._picture(folder / file)
            check_same_size(first, picture, f"{self.files[0]} and {file} in {str(folder)!r}")
            yield picture


def _checked_folder(root: PathLike | None) -> Path:
    folder = checked_path(root, "root must be the path of a folder of pictures")
    if not folder.is_dir():
        raise VaelensError(
            f"{str(folder)!r} is {'a file' if folder.exists() else 'not there'}; give a folder of pictures"
        )
    return folder


def _read_table(
    labels: LabelTableLike | None, folder: Path, file_column: Name | None
) -> tuple[pd.DataFrame | None, Path | None]:
    """Reads the table, and finds the file it came from."""
    if labels is None or isinstance(labels, pd.DataFrame):
        return labels, None
    what = "labels must be a .csv, .tsv or .parquet file, or a DataFrame"
    if isinstance(labels, (bytes, int, float)) or (not hasattr(labels, "__fspath__") and not isinstance(labels, str)):
        raise VaelensError(f"{what}, got {type(labels).__name__}")
    named = checked_path(labels, what)
    path = next((place for place in (folder / named, named) if place.is_file()), None)
    if path is None:
        raise VaelensError(f"the table of labels {str(named)!r} is neither there nor in {str(folder)!r}")
    return read_label_file(path, (file_column,) if file_column else FILE_COLUMNS), path.resolve()


def _advice(path: Path) -> str:
    if path.suffix.lower() in (*TEXT_ENDINGS, ".parquet"):
        return f"if it is the table of labels, give labels={path.name!r}, else {ADVICE}"
    return ADVICE


def _warn_of_losses(listing: Listing, folder: Path) -> None:
    words = listing.passed_over_in_words(LOSSES)
    if words:
        message = f"in {str(folder)!r} {words} passed over; give links=True to follow links that lead out of it"
        warn(message)


def _told(rows: LabelRows, pictures: int) -> str:
    """Says how many rows and pictures found each other."""
    said = f"labels: {rows.named:,} of {pictures:,} pictures have a row of the table"
    return said + (f", {rows.unused:,} rows name no picture" if rows.unused else "")
