"""3DShapes from its official HDF5 file, whose packed rows are converted once, then mapped."""

import numpy as np

from vaelens.data.annotations import PathLike
from vaelens.data.files.places import data_root, find
from vaelens.data.official.damage import check_rows
from vaelens.data.official.hdf5 import open_hdf5
from vaelens.data.official.labelled import LabelledImages
from vaelens.data.official.mapped import channels_first, mapped

SIDE = 64
ROWS = 480_000
FACTORS = (
    ("floor_hue", "circular"),
    ("wall_hue", "circular"),
    ("object_hue", "circular"),
    ("scale", "ordinal"),
    ("shape", "categorical"),
    ("orientation", "ordinal"),
)


class Shapes3D(LabelledImages):
    """3DShapes, an object in a room by three hues, scale, shape and the room's orientation, (3, 64, 64).

    All 480,000 images form a full grid; any part of them, in any order, is read as well. The converted file takes
    5.9 GB of disk.

    Args:
        root: The folder that holds `3dshapes.h5` or a folder `shapes3d` with it; see `load_dataset`.

    Raises:
        VaelensError: If the file is missing or damaged, or the converted one has no room.

    References:
        Burgess, Kim. 3D Shapes Dataset. 2018. https://github.com/google-deepmind/3d-shapes
    """

    name = "shapes3d"

    def __init__(self, root: PathLike | None = None) -> None:
        path = find(data_root(root), self.name, "3dshapes.h5")
        images, labels = open_hdf5(path, "images", "labels")
        images.check("u1", SIDE, SIDE, 3)
        count = images.shape[0]
        check_rows(path, count, ROWS)
        labels.check_shape(count, len(FACTORS))
        super().__init__([path], labels.read(), FACTORS, (3, SIDE, SIDE))
        shape = (count, 3, SIDE, SIDE)
        self._pixels = mapped([path], self.name, shape, lambda: map(channels_first, images.blocks()))

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the images at indices, uint8."""
        return self._pixels[indices]
