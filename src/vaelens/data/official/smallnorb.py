"""SmallNORB from its official binary matrices, one camera's pictures, resized once, then mapped."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vaelens.arguments import whole_number
from vaelens.data.annotations import Camera, Count, PathLike, SmallNORBSplit
from vaelens.data.files.places import data_root, find
from vaelens.data.files.sources import SMALLNORB
from vaelens.data.official.binary_matrix import BinaryMatrix, open_binary_matrix
from vaelens.data.official.damage import check_rows, damaged
from vaelens.data.official.labelled import LabelledImages
from vaelens.data.official.mapped import mapped
from vaelens.errors import unknown

SIDE = 96
ROWS = 24_300  # of each of the two sets
CAMERAS = 2
SPLITS = {"both": ("train", "test"), "train": ("train",), "test": ("test",)}
FACTORS = (
    ("category", "categorical"),
    ("instance", "categorical"),
    ("elevation", "ordinal"),
    ("azimuth", "circular"),
    ("lighting", "categorical"),
)


class SmallNORB(LabelledImages):
    """SmallNORB, 50 toys photographed by elevation, azimuth and lighting, (1, 64, 64) by default.

    A toy is a category (animal, human, airplane, truck, car) and an instance of it. The rows of the files are
    shuffled; every row gets its own labels. Of 24,300 images each, the training set has instances 4, 6, 7, 8, 9 and
    the test set 0, 1, 2, 3, 5. Azimuth 0 is not the same direction for every instance.

    Args:
        root: The folder that holds the files or a folder `smallnorb` with them; see `load_dataset`.
        split: "train", "test", or "both".
        camera: 0 or 1, the one of the stereo pair.
        size: Height and width, 1 to 96, by Pillow's Lanczos resampling; 96 keeps the pictures as they are.

    Raises:
        VaelensError: If an option is wrong, or a file is missing or damaged.

    References:
        LeCun, Huang, Bottou. Learning methods for generic object recognition with invariance to pose and lighting.
        CVPR 2004. https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/
    """

    name = "smallnorb"

    def __init__(
        self, root: PathLike | None = None, split: SmallNORBSplit = "both", camera: Camera = 0, size: Count = 64
    ) -> None:
        if not isinstance(split, str) or split not in SPLITS:
            raise unknown("split of smallnorb", split, SPLITS)
        self.split = split
        self.camera = whole_number("camera", camera, low=0, high=CAMERAS - 1)
        self.size = whole_number("size", size, low=1, high=SIDE)
        place = data_root(root)
        pictures, labels, files = [], [], []
        for chunk in SPLITS[split]:
            dat, cat, info = (self._find(place, chunk, part) for part in ("dat", "cat", "info"))
            files += [dat, cat, info]
            pictures.append(_checked(dat, "u1", CAMERAS, SIDE, SIDE))
            category, rest = _checked(cat, "<i4"), _checked(info, "<i4", len(FACTORS) - 1)
            for matrix in (category, rest):
                if matrix.shape[0] != pictures[-1].shape[0]:
                    counts = f"{matrix.shape[0]:,} rows, and {dat.name} {pictures[-1].shape[0]:,}"
                    raise damaged(matrix.path, f"it has {counts}")
            labels.append(np.column_stack([category.read(), rest.read()]))
        super().__init__(files, np.concatenate(labels), FACTORS, (1, self.size, self.size))
        self._pixels = mapped(
            [matrix.path for matrix in pictures],
            f"smallnorb-{split}-camera{self.camera}-size{self.size}",
            (len(self), *self.image_shape),
            lambda: _resized(pictures, self.camera, self.size),
        )

    def _find(self, root: Path, chunk: str, part: str) -> Path:
        file = f"{SMALLNORB[chunk]}-{part}.mat"
        return find(root, self.name, f"{file}.gz", file)

    @property
    def options(self) -> dict[str, object]:
        """Lists split, camera, and size."""
        return {"split": self.split, "camera": self.camera, "size": self.size}

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the images at indices, uint8."""
        return self._pixels[indices]

    def describe(self) -> dict[str, object]:
        """Describes the dataset as every dataset does, and its files and resampling."""
        return super().describe() | {"resampling": "none" if self.size == SIDE else "lanczos"}


def _checked(path: Path, dtype: str, *row: int) -> BinaryMatrix:
    matrix = open_binary_matrix(path)
    matrix.check(dtype, *row)
    check_rows(path, matrix.shape[0], ROWS)
    return matrix


def _smaller(picture: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS))


def _resized(pictures: Sequence[BinaryMatrix], camera: int, size: int) -> Iterator[np.ndarray]:
    for matrix in pictures:
        for block in matrix.blocks():
            view = block[:, camera]
            if size != SIDE:
                view = np.stack([_smaller(picture, size) for picture in view])
            yield view[:, None]
