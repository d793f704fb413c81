"""The datasets that can be loaded by name. A new one is one line here."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from vaelens.data.causal.garden import Garden
from vaelens.data.causal.pendulum import Pendulum
from vaelens.data.dataset import FactorDataset
from vaelens.data.digits import Digits
from vaelens.data.official.celeba import CelebA
from vaelens.data.official.dsprites import DSprites
from vaelens.data.official.mpi3d import MPI3D
from vaelens.data.official.shapes3d import Shapes3D
from vaelens.data.official.smallnorb import SmallNORB
from vaelens.data.own.array_file import ArrayFile
from vaelens.data.own.folder import FolderDataset
from vaelens.data.rendered.room import Room
from vaelens.data.rendered.sprites import Sprites
from vaelens.errors import VaelensError, unknown


@dataclass(frozen=True)
class Entry:
    """A dataset of the catalogue.

    Attributes:
        build: Makes the dataset; its parameters are the dataset's options, `root` among them if it reads files.
        summary: The dataset in one line.
    """

    build: Callable[..., FactorDataset]
    summary: str


DATASETS: dict[str, Entry] = {
    "sprites": Entry(Sprites, "2-D shapes at all scales, orientations and positions, drawn as dSprites draws them"),
    "room": Entry(Room, "an object in a coloured room at all hues, scales, shapes and angles, as in 3DShapes"),
    "pendulum": Entry(Pendulum, "a pendulum, a light and the shadow they cause: a structural causal model"),
    "garden": Entry(Garden, "cloud, rain, pond, sun and flower: a causal model with a fork, a chain and a collider"),
    "digits": Entry(Digits, "real handwritten digits with their label, from scikit-learn"),
    "dsprites": Entry(DSprites, "2-D shapes by scale, orientation and position, from the official file"),
    "shapes3d": Entry(Shapes3D, "an object in a room, by hues, scale, shape and orientation, from the official file"),
    "mpi3d": Entry(MPI3D, "an object on a robot's arm, simulated or photographed, from the official files"),
    "smallnorb": Entry(SmallNORB, "photographs of 50 toys by elevation, azimuth and lighting, from the official files"),
    "celeba": Entry(CelebA, "photographs of faces with 40 attributes, from the official files"),
    "folder": Entry(FolderDataset, "your own pictures in a folder, with a table of labels if you have one"),
    "array": Entry(ArrayFile, "your own images in an .npy or .npz file, with factor values if you have them"),
}


def load_dataset(name: object, root: object = None, **options: object) -> FactorDataset:
    """A dataset by its name.

    Args:
        name: One of `DATASETS`.
        root: The folder of a dataset that reads files, or of a folder with the dataset's name that holds them; by
            default the one that the environment variable VAELENS_DATA names, else `data` in the user's data folder
            of vaelens. The built-in datasets read none. What is rendered, decoded or converted is kept elsewhere, in
            the cache folder: the one that VAELENS_CACHE names, else the user's cache folder of vaelens.
        **options: The dataset's own options.

    Returns:
        The dataset.

    Raises:
        VaelensError: If there is no such dataset or option, or a root is given to a dataset that reads no files.

    Example:
        >>> load_dataset("sprites").factors.names
        ('shape', 'scale', 'orientation', 'position_x', 'position_y')
        >>> load_dataset("sprite")
        Traceback (most recent call last):
        vaelens.errors.VaelensError: unknown dataset 'sprite'; known: sprites, ...; did you mean 'sprites'?
    """
    if not isinstance(name, str) or name not in DATASETS:
        raise unknown("dataset", name, DATASETS)
    build = DATASETS[name].build
    accepted = inspect.signature(build).parameters
    if root is not None:
        if "root" not in accepted:
            raise VaelensError(f"{name} is built in and reads no files, got root={str(root)!r}; leave root out")
        options["root"] = root
    for option in options:
        if option not in accepted:
            raise unknown(f"option of {name}", option, [known for known in accepted if known != "root"])
    return build(**options)
