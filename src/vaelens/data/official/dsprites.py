"""dSprites from its official file, .npz or .hdf5.

No pickle is opened: the metadata that the .npz holds is not read.
The pictures are kept as bits, 512 bytes each, converted once; opening reads the labels, a second for all of them.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from vaelens.data.annotations import PathLike
from vaelens.data.files.places import data_root, find
from vaelens.data.files.sources import DSPRITES
from vaelens.data.official.damage import check_rows, damaged
from vaelens.data.official.hdf5 import open_hdf5
from vaelens.data.official.labelled import LabelledImages
from vaelens.data.official.mapped import mapped
from vaelens.data.official.npz import open_npz
from vaelens.data.official.stored_array import StoredArray

SIDE = 64
ROWS = 737_280
FACTORS = (
    ("color", "categorical"),
    ("shape", "categorical"),
    ("scale", "ordinal"),
    ("orientation", "circular"),
    ("position_x", "ordinal"),
    ("position_y", "ordinal"),
)


class DSprites(LabelledImages):
    """dSprites, white squares, ellipses and hearts by shape, scale, orientation and position, (1, 64, 64).

    All 737,280 images form a full grid; any part of them, in any order, is read as well. The colour has one value and
    is left out. As in the official file, the first and the last orientation are the same picture.

    Args:
        root: The folder that holds the file or a folder `dsprites` with it; see `load_dataset`.

    Raises:
        VaelensError: If the file is missing or damaged.

    References:
        Matthey, Higgins, Hassabis, Lerchner. dSprites: Disentanglement testing Sprites dataset. 2017.
        https://github.com/google-deepmind/dsprites-dataset
    """

    name = "dsprites"

    def __init__(self, root: PathLike | None = None) -> None:
        path = find(data_root(root), self.name, f"{DSPRITES}.npz", f"{DSPRITES}.hdf5")
        if path.suffix == ".npz":
            images, classes = open_npz(path, "imgs", "latents_classes")
        else:
            images, classes = open_hdf5(path, "imgs", "latents/classes")
        images.check("u1", SIDE, SIDE)
        count = images.shape[0]
        check_rows(path, count, ROWS)
        classes.check_shape(count, len(FACTORS))
        super().__init__([path], classes.read(), FACTORS, (1, SIDE, SIDE))
        self._bits = mapped([path], self.name, (count, SIDE * SIDE // 8), partial(_as_bits, images))

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Unpacks the images at indices, bool."""
        pixels = np.unpackbits(self._bits[indices], axis=1)
        return pixels.view(np.bool_).reshape(-1, *self.image_shape)


def _as_bits(images: StoredArray) -> Iterator[np.ndarray]:
    for block in images.blocks():
        if block.max() > 1:
            raise damaged(images.path, f"imgs holds the value {block.max()}, expected 0 and 1")
        yield np.packbits(block.reshape(len(block), -1), axis=1)
