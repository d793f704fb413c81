"""Observations and factor values in a NumPy file of the user's, .npy or .npz, without pickle."""

from pathlib import Path

import numpy as np
import pandas as pd

from vaelens.arguments import whole_number
from vaelens.data.annotations import Count, Flag, Kinds, Name, Names, PathLike
from vaelens.data.arguments import brief, checked_flag, checked_path, listed_names
from vaelens.data.limits import MOST_BYTES, as_bytes
from vaelens.data.own.arrays import ArrayDataset
from vaelens.data.own.npz_contents import npz_contents
from vaelens.errors import VaelensError
from vaelens.observation import Observation

FACTOR_NAMES = ("factors", "labels", "label", "targets")


class ArrayFile(ArrayDataset):
    """The arrays of an .npz file, or the images of an .npy file, which are mapped rather than read if uint8.

    Images as bytes that hold 0 and 1 only are masks: 1 is white (see `ArrayDataset`).

    Args:
        root: The file.
        images: The name of the images' array in an .npz: (N, C, H, W), or vectors (N, features) or volumes (N,
            channels, depth, height, width), as for `ArrayDataset`.
        factors: The name of the factor values' array in an .npz, (N, K) or (N,): integers, or fractions and texts as in
            a table; by default the first of factors, labels, label and targets that the file has.
        names: The factors' names; by default the .npz's array `names` of K texts if it has one, the array's own name
            if it is (N,), else factor_0 ….
        kinds: What factors are, by name: ordinal, circular, categorical or continuous.
        channels_last: Whether the images are (N, H, W, C), or (N, H, W) for one channel.
        levels: The number of bins of a continuous factor.
        leave_out: The names of factors that are none, such as an index.
        series: Whether the array holds series (N, channels, time); with channels_last (N, time, channels).
        most_bytes: How many bytes the arrays of a small .npz may unpack to.

    Raises:
        VaelensError: If the file is missing, damaged or holds Python objects, or an array is not as it should be.
    """

    name = "array"

    def __init__(
        self,
        root: PathLike | None = None,
        images: Name = "images",
        factors: Name | None = None,
        names: Names | None = None,
        kinds: Kinds | None = None,
        channels_last: Flag = False,
        levels: Count = 10,
        leave_out: Names | None = None,
        series: Flag = False,
        most_bytes: Count = MOST_BYTES,
    ) -> None:
        path = _checked_file(root)
        self._file = path.name
        stored = _Npy(path) if path.suffix.lower() == ".npy" else _Npz(path)
        labels = _labels_name(stored.names, factors, path)
        if images not in stored.names and path.suffix.lower() == ".npz":
            raise _no_array(path, images, stored.names, "images")
        wanted = [images, *([labels] if labels else []), *(["names"] if "names" in stored.names else [])]
        arrays = stored.read(wanted, whole_number("most_bytes", most_bytes, low=1))
        self._unused = [name for name in stored.names if name not in wanted]
        pixels = arrays[images]
        are_series = checked_flag("series", series)
        if are_series and pixels.ndim != 3:
            raise VaelensError(f"series is true, and {path.name} has {images} of shape {pixels.shape}; expected 3 axes")
        if checked_flag("channels_last", channels_last) and pixels.ndim in (3, 4, 5):
            pixels = np.moveaxis(pixels[..., None] if pixels.ndim == 3 and not are_series else pixels, -1, 1)
        observation = Observation.series(pixels.shape[1:]) if are_series else None
        values = arrays[labels] if labels else None
        if names is None and values is not None:
            names = _default_names(values, labels, arrays.get("names"))
        super().__init__(pixels, _table(values, path), names, kinds, levels, leave_out, observation=observation)

    @property
    def options(self) -> dict[str, object]:
        """Lists the file's name, and what became of the labels."""
        return {"file": self._file, **super().options}

    @property
    def notes(self) -> list[str]:
        """Says which arrays of the file were not used, and what became of the labels."""
        return [*([f"arrays not used: {listed_names(self._unused)}"] if self._unused else []), *super().notes]


class _Npy:
    """The one array of an .npy file, under whatever name is asked for."""

    names: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, wanted: list[str], most: int) -> dict[str, np.ndarray]:
        try:
            array = np.load(self._path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # of damaged bytes a parser raises almost anything
            raise _unreadable(self._path, error) from error
        if not isinstance(array, np.ndarray):
            array.close()
            raise VaelensError(f"{str(self._path)!r} is an .npz file by what it holds; give it that ending")
        return {wanted[0]: array}


class _Npz:
    """The arrays of an .npz file, of which no more is unpacked than the bound."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._sizes = npz_contents(path)
        except Exception as error:
            raise _unreadable(path, error) from error
        self.names = tuple(self._sizes)

    def read(self, wanted: list[str], most: int) -> dict[str, np.ndarray]:
        packed, unpacked = self._path.stat().st_size, sum(self._sizes[name] for name in wanted)
        if unpacked > max(most, 2 * packed):
            raise VaelensError(
                f"{str(self._path)!r} has {as_bytes(packed)} and unpacks to {as_bytes(unpacked)}, the bound is "
                f"{as_bytes(most)}; give most_bytes= to read it"
            )
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return {name: stored[name] for name in wanted}
        except Exception as error:
            raise _unreadable(self._path, error) from error


def _unreadable(path: Path, error: Exception) -> VaelensError:
    said = str(error).lower()
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    if "pickle" in said or "object" in said or (path.suffix.lower() == ".npz" and not is_zip):
        return VaelensError(
            f"{str(path)!r} holds Python objects, or is no NumPy file; save plain arrays (pickles are not opened)"
        )
    return VaelensError(f"{str(path)!r} is damaged or no NumPy file ({brief(error)})")


def _checked_file(root: PathLike | None) -> Path:
    path = checked_path(root, "root must be the path of an .npy or .npz file")
    if path.suffix.lower() not in (".npy", ".npz"):
        raise VaelensError(f"root must be an .npy or .npz file, got {path.name!r}")
    if not path.is_file():
        raise VaelensError(f"{str(path)!r} is not there; give an .npy or .npz file")
    return path


def _labels_name(names: tuple[str, ...], factors: Name | None, path: Path) -> str | None:
    if factors is None:
        return next((name for name in FACTOR_NAMES if name in names), None)
    if factors not in names:
        raise _no_array(path, factors, names, "factors")
    return factors


def _default_names(values: np.ndarray, array: str | None, stored: np.ndarray | None) -> list[str] | None:
    if stored is not None:
        return [str(name) for name in np.atleast_1d(stored)]
    return [array] if values.ndim == 1 and array else None


def _table(values: np.ndarray | None, path: Path) -> np.ndarray | pd.DataFrame | None:
    """Turns fractions and texts into a table, whose columns may be such."""
    if values is None or values.dtype.kind not in "fUS" or values.ndim not in (1, 2):
        return values
    if values.dtype.kind == "S":
        try:
            values = np.char.decode(values, "utf-8")
        except UnicodeDecodeError as error:
            raise VaelensError(f"the labels in {str(path)!r} are no UTF-8 text; save them as texts") from error
    columns = values[:, None] if values.ndim == 1 else values
    return pd.DataFrame(columns, columns=[f"factor_{k}" for k in range(columns.shape[1])])


def _no_array(path: Path, name: Name, names: tuple[str, ...], option: str) -> VaelensError:
    only = listed_names(names) or "nothing"
    return VaelensError(f"{path.name} has no array {name!r}, only {only}; name it with {option}=")
