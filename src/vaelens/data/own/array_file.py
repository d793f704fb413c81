"""Images and factor values in a NumPy file of the user's: .npy or .npz, without pickle."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from vaelens.data.own.arrays import ArrayDataset
from vaelens.errors import VaelensError


class ArrayFile(ArrayDataset):
    """The arrays of an .npz file, or the images of an .npy file, which are mapped rather than read if uint8.

    Args:
        root: The file.
        images: The name of the images' array in an .npz: (N, C, H, W) as for `ArrayDataset`.
        factors: The name of the factor values' array in an .npz, integers (N, K); left out where the file has none.
        names: The factors' names; by default the .npz's array `names` of K texts if it has one, else factor_0 ….
        kinds: What factors are, by name: ordinal, circular or categorical.
        channels_last: Whether the images are (N, H, W, C), or (N, H, W) for one channel.

    Raises:
        VaelensError: If the file is missing, damaged or holds Python objects, or an array is not as it should be.
    """

    name = "array"

    def __init__(
        self,
        root: Any = None,
        images: str = "images",
        factors: str = "factors",
        names: Any = None,
        kinds: Any = None,
        channels_last: bool = False,
    ) -> None:
        path = _checked_file(root)
        self._file = path.name
        arrays = _read(path, (images, factors, "names"))
        if images not in arrays:
            raise VaelensError(f"{path.name} has no array {images!r}, only {_named(path)}; name it with images=")
        pixels, values = arrays[images], arrays.get(factors)
        if channels_last:
            pixels = pixels[..., None] if pixels.ndim == 3 else pixels
            pixels = np.moveaxis(pixels, -1, 1)
        if names is None and values is not None and "names" in arrays:
            names = [str(name) for name in arrays["names"]]
        super().__init__(pixels, values, names, kinds)

    @property
    def options(self) -> dict[str, object]:
        """The file's name, and what became of the labels."""
        return {"file": self._file, **super().options}


def _checked_file(root: Any) -> Path:
    if not isinstance(root, (str, os.PathLike)):
        raise VaelensError(f"root must be the path of an .npy or .npz file, got {root!r}")
    path = Path(os.fspath(root))
    if path.suffix not in (".npy", ".npz"):
        raise VaelensError(f"root must be an .npy or .npz file, got {path.name!r}")
    if not path.is_file():
        raise VaelensError(f"{str(path)!r} is not there; give an .npy or .npz file")
    return path


def _read(path: Path, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The wanted arrays that the file has; an .npy file has its one array under the first name."""
    try:
        if path.suffix == ".npy":
            return {wanted[0]: np.load(path, mmap_mode="r", allow_pickle=False)}
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in wanted if name in stored}
    except Exception as error:  # of damaged bytes a parser raises almost anything
        if "pickle" in str(error) or "object" in str(error).lower():
            message = (
                f"{str(path)!r} holds Python objects, or is no NumPy file; save plain arrays (pickles are not opened)"
            )
            raise VaelensError(message) from error
        said = " ".join(str(error).split()) or type(error).__name__
        raise VaelensError(f"{str(path)!r} is damaged or no NumPy file ({said})") from error


def _named(path: Path) -> str:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return ", ".join(stored.files)
