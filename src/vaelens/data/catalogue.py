"""The datasets that can be loaded by name. A new one is one line here."""

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
from vaelens.data.vectors.cells import Cells


@dataclass(frozen=True)
class Entry:
    """A dataset of the catalogue.

    Attributes:
        build: Makes the dataset; its parameters are the dataset's options, `root` among them if it reads files.
        summary: The dataset in one line.
        own: Whether it reads a user's own files: what is recorded of it does not say where these are.
    """

    build: Callable[..., FactorDataset]
    summary: str
    own: bool = False


DATASETS: dict[str, Entry] = {
    "sprites": Entry(Sprites, "2-D shapes at all scales, orientations and positions, rendered as dSprites has them"),
    "room": Entry(Room, "an object in a coloured room at all hues, scales, shapes and angles, as in 3DShapes"),
    "pendulum": Entry(Pendulum, "a pendulum, a light and the shadow they cause: a structural causal model"),
    "garden": Entry(Garden, "cloud, rain, pond, sun and flower: a causal model with a fork, a chain and a collider"),
    "digits": Entry(Digits, "real handwritten digits with their label, from scikit-learn"),
    "cells": Entry(Cells, "synthetic gene expression: known programs, a batch effect, library sizes; no images"),
    "dsprites": Entry(DSprites, "2-D shapes by scale, orientation and position, from the official file"),
    "shapes3d": Entry(Shapes3D, "an object in a room, by hues, scale, shape and orientation, from the official file"),
    "mpi3d": Entry(MPI3D, "an object on a robot's arm, simulated or photographed, from the official files"),
    "smallnorb": Entry(SmallNORB, "photographs of 50 toys by elevation, azimuth and lighting, from the official files"),
    "celeba": Entry(CelebA, "photographs of faces with 40 attributes, from the official files"),
    "folder": Entry(FolderDataset, "your own pictures in a folder, with a table of labels if you have one", own=True),
    "array": Entry(
        ArrayFile,
        "your own images, vectors, series or volumes in an .npy or .npz file, with factor values if you have them",
        own=True,
    ),
}
