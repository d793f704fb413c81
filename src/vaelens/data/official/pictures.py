"""JPEG pictures in a folder or a zip file, listed, decoded, cropped about the middle and resized.

Decoding takes about a millisecond a picture, so what is made of them is kept (see `mapped`).
"""

import contextlib
import hashlib
import io
import os
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vaelens.data.official.damage import check_promise, damaged, reading

MOST_BYTES = 2**26  # of one JPEG; the largest real ones have some hundred thousand


class Pictures:
    """The JPEGs of a folder, or of a zip file whatever the folders in it.

    Args:
        path: The folder or the zip file.

    Attributes:
        stamp: Changes with the names, sizes and times of change of the pictures in a folder.

    Raises:
        VaelensError: If the zip file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stamp = ""
        if path.is_dir():
            statuses = {}
            with reading(path, "a folder"), os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.endswith(".jpg"):
                        with contextlib.suppress(FileNotFoundError):  # a broken link is a picture that is not there
                            statuses[entry.name] = entry.stat()
            lines = (f"{name} {statuses[name].st_size} {statuses[name].st_mtime_ns}\n" for name in sorted(statuses))
            self.stamp = hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()
            self._members = {name: name for name in statuses}
            return
        with reading(path, "a zip file"), zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                check_promise(path, info.file_size, min(info.compress_size, path.stat().st_size))
            self._members = {
                info.filename.rpartition("/")[2]: info.filename
                for info in archive.infolist()
                if info.filename.endswith(".jpg")
            }

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def read(self, names: Sequence[str], native: tuple[int, int], crop: int, size: int) -> Iterator[np.ndarray]:
        """Yields pictures in order, one by one, as uint8 (1, 3, size, size).

        Args:
            names: Their names.
            native: The width and height that each must have.
            crop: The side of the square kept, about the middle.
            size: The side it is resized to, by Lanczos resampling.

        Raises:
            VaelensError: If a picture is damaged or has another size.
        """
        left, top = (native[0] - crop) // 2, (native[1] - crop) // 2
        box = (left, top, left + crop, top + crop)
        with contextlib.ExitStack() as stack:
            archive = None
            if self.path.is_file():
                with reading(self.path, "a zip file"):
                    archive = stack.enter_context(zipfile.ZipFile(self.path))
            for name in names:
                picture = _decoded(self.path, name, archive and (archive, self._members[name]), native)
                kept = picture.crop(box).resize((size, size), Image.Resampling.LANCZOS)
                yield np.moveaxis(np.asarray(kept), -1, 0)[None]


def _decoded(path: Path, name: str, member: tuple[zipfile.ZipFile, str] | None, native: tuple[int, int]) -> Image.Image:
    file = path / name
    with reading(file, "a JPEG picture"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, which is not read
        if member is None:
            if file.stat().st_size > MOST_BYTES:
                raise damaged(file, "it is larger than any of the official pictures")
            data = file.read_bytes()
        else:
            if member[0].getinfo(member[1]).file_size > MOST_BYTES:
                raise damaged(file, "it is larger than any of the official pictures")
            data = member[0].read(member[1])
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            if picture.size != native:  # before anything is decoded
                actual, expected = ("×".join(map(str, size)) for size in (picture.size, native))
                raise damaged(file, f"it is {actual}, expected {expected} pixels (width × height)")
            return picture.convert("RGB")
