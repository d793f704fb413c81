"""CelebA's aligned pictures, or a part of them, with their 40 attributes.

Pictures are cropped and resized once, then mapped: some minutes and 2.5 GB for all of them at 64 × 64.
"""

import numpy as np

from vaelens.arguments import whole_number
from vaelens.data.annotations import CelebASplit, Count, PathLike
from vaelens.data.files.places import data_root, find
from vaelens.data.official.attribute_table import read_attributes, read_partition
from vaelens.data.official.labelled import LabelledImages
from vaelens.data.official.mapped import mapped
from vaelens.data.official.pictures import Pictures
from vaelens.errors import VaelensError, unknown

WIDTH, HEIGHT = 178, 218
SPLITS = {"all": None, "train": 0, "valid": 1, "test": 2}


class CelebA(LabelledImages):
    """CelebA, 202,599 aligned faces with 40 attributes, each 0 or 1, (3, 64, 64) by default.

    The attributes stand in place of factors: they are correlated and noisy, and form no grid. Pictures that are
    listed but not there are passed over, so a part of them will do; an attribute that is the same for all of those
    there is left out.

    Args:
        root: The folder that holds `img_align_celeba` (or `img_align_celeba.zip`) and `list_attr_celeba.txt`, or a
            folder `celeba` with them; see `load_dataset`.
        split: "all", or "train", "valid" or "test" as `list_eval_partition.txt` says.
        crop: The side of the square kept about the middle, 1 to 178.
        size: The side that the square is resized to, at least 1, by Pillow's Lanczos resampling.

    Raises:
        VaelensError: If an option is wrong, a file is missing or damaged, or no picture is left.

    References:
        Liu, Luo, Wang, Tang. Deep Learning Face Attributes in the Wild. ICCV 2015.
        http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html
    """

    name = "celeba"

    def __init__(
        self, root: PathLike | None = None, split: CelebASplit = "all", crop: Count = 148, size: Count = 64
    ) -> None:
        if not isinstance(split, str) or split not in SPLITS:
            raise unknown("split of celeba", split, SPLITS)
        self.split = split
        self.crop = whole_number("crop", crop, low=1, high=WIDTH)
        self.size = whole_number("size", size, low=1, high=1024)
        place = data_root(root)
        table = find(place, self.name, "list_attr_celeba.txt")
        folder = find(place, self.name, "img_align_celeba", "img_align_celeba.zip")
        listed, names, values = read_attributes(table)
        files = [table, folder]
        stored = Pictures(folder)
        rows = np.array([row for row, picture in enumerate(listed) if picture in stored], dtype=np.int64)
        if not len(rows):
            raise VaelensError(f"{str(folder)!r} has none of the {len(listed):,} pictures that {table.name} lists")
        self._listed = len(listed)
        pictures = [listed[row] for row in rows]
        self._kept = np.arange(len(rows))  # of the pictures there; all of them are converted, whatever the split
        if SPLITS[split] is not None:
            partition = find(place, self.name, "list_eval_partition.txt")
            files.append(partition)
            part = read_partition(partition)
            self._kept = np.array([k for k, picture in enumerate(pictures) if part.get(picture) == SPLITS[split]])
            if not len(self._kept):
                raise VaelensError(f"none of the {len(rows):,} pictures in {str(folder)!r} is in the split {split!r}")
        factors = [(name, "categorical") for name in names]
        super().__init__(files, values[rows[self._kept]], factors, (3, self.size, self.size))
        self._pixels = mapped(
            [folder, table],
            f"celeba-crop{self.crop}-size{self.size}",
            (len(rows), *self.image_shape),
            lambda: stored.read(pictures, (WIDTH, HEIGHT), self.crop, self.size),
            stored.stamp,
        )

    @property
    def options(self) -> dict[str, object]:
        """Lists split, crop and size."""
        return {"split": self.split, "crop": self.crop, "size": self.size}

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the images at indices, uint8."""
        return self._pixels[self._kept[indices]]

    @property
    def notes(self) -> list[str]:
        """Says how many of the listed pictures are there, and which attributes were left out."""
        return [f"pictures: {len(self._pixels):,} of the {self._listed:,} that are listed are there", *super().notes]

    def describe(self) -> dict[str, object]:
        """Describes the dataset as every dataset does, and its files and preprocessing."""
        square = f"{self.crop}×{self.crop} about the middle of {WIDTH}×{HEIGHT}"
        preprocessing = f"{square}, resized to {self.size}×{self.size} by Lanczos resampling"
        return super().describe() | {"preprocessing": preprocessing}
