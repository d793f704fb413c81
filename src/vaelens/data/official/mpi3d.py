"""MPI3D from its official .npz files, which carry no labels, since an image's factors follow from its row.

A file stored uncompressed is mapped where it lies, at no cost; a compressed one is converted once, then mapped.
"""

import numpy as np

from vaelens.data.annotations import MPI3DVariant, PathLike
from vaelens.data.factors import Factor, Factors
from vaelens.data.files.places import data_root, file_records, find
from vaelens.data.files.sources import SOURCES
from vaelens.data.grid import GridDataset
from vaelens.data.official.damage import damaged
from vaelens.data.official.mapped import channels_first, mapped
from vaelens.data.official.npz import open_npz
from vaelens.errors import unknown
from vaelens.observation import Observation

SIDE = 64
FACTORS = (
    ("object_color", "categorical"),
    ("object_shape", "categorical"),
    ("object_size", "ordinal"),
    ("camera_height", "ordinal"),
    ("background_color", "categorical"),
    ("horizontal_axis", "ordinal"),
    ("vertical_axis", "ordinal"),
)
SIZES = {  # by the number of rows, the last factor running fastest
    1_036_800: (6, 6, 2, 3, 3, 40, 40),
    460_800: (4, 4, 2, 3, 3, 40, 40),
}


class MPI3D(GridDataset):
    """MPI3D, an object on a robot's arm, by seven factors, simulated or photographed, (3, 64, 64).

    Args:
        root: The folder that holds `mpi3d_<variant>.npz` or a folder `mpi3d` with it; see `load_dataset`.
        variant: "toy" and "realistic" are simulated, "real" is photographed, 1,036,800 images each; "real_complex"
            has everyday objects, 460,800 photographs.

    Raises:
        VaelensError: If there is no such variant, its file is missing or damaged, or has another number of rows.

    References:
        Gondal et al. On the Transfer of Inductive Bias from Simulation to the Real World: a New Disentanglement
        Dataset. NeurIPS 2019. https://github.com/rr-learning/disentanglement_dataset
    """

    name = "mpi3d"
    observation = Observation.image((3, SIDE, SIDE))

    def __init__(self, root: PathLike | None = None, variant: MPI3DVariant = "toy") -> None:
        if variant not in SOURCES[self.name].variants:
            raise unknown("variant of mpi3d", variant, SOURCES[self.name].variants)
        self.variant = variant
        self._path = find(data_root(root), self.name, f"mpi3d_{variant}.npz", variant=variant)
        (images,) = open_npz(self._path, "images")
        images.check("u1", SIDE, SIDE, 3)
        if images.shape[0] not in SIZES:
            counts = " or ".join(f"{count:,}" for count in SIZES)
            message = f"it has {images.shape[0]:,} images, expected {counts}, since it carries no labels"
            raise damaged(self._path, message)
        sizes = SIZES[images.shape[0]]
        self.factors = Factors(
            tuple(Factor(name, size, kind) for (name, kind), size in zip(FACTORS, sizes, strict=True))
        )
        stored = images.mapped()
        if stored is None:
            shape = (images.shape[0], *self.image_shape)
            self._pixels = mapped([self._path], f"mpi3d_{variant}", shape, lambda: map(channels_first, images.blocks()))
        else:
            self._pixels = channels_first(stored)

    @property
    def options(self) -> dict[str, object]:
        """Lists the variant."""
        return {"variant": self.variant}

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the images at indices, uint8."""
        return self._pixels[indices]

    def render(self, factors: np.ndarray) -> np.ndarray:
        """Looks up the images of factor values int64 (n, 7)."""
        return self.image_batch(np.asarray(np.ravel_multi_index(tuple(factors.T), self.factors.sizes)))

    def describe(self) -> dict[str, object]:
        """Describes the dataset as every dataset does, and its file's name and size."""
        return super().describe() | {"files": file_records([self._path])}
