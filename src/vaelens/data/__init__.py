"""Observations with known generative factors, built in, from official files, or the user's own."""

from vaelens.data.catalogue import DATASETS
from vaelens.data.causal.dataset import CausalDataset
from vaelens.data.causal.garden import Garden
from vaelens.data.causal.pendulum import Pendulum
from vaelens.data.causal.structural_model import StructuralModel
from vaelens.data.causal.variable import Variable
from vaelens.data.dataset import FactorDataset
from vaelens.data.digits import Digits
from vaelens.data.factors import Factor, Factors
from vaelens.data.grid import GridDataset
from vaelens.data.loading import load_dataset
from vaelens.data.official.celeba import CelebA
from vaelens.data.official.dsprites import DSprites
from vaelens.data.official.mpi3d import MPI3D
from vaelens.data.official.shapes3d import Shapes3D
from vaelens.data.official.smallnorb import SmallNORB
from vaelens.data.own.array_file import ArrayFile
from vaelens.data.own.arrays import ArrayDataset
from vaelens.data.own.collection import CollectionDataset
from vaelens.data.own.folder import FolderDataset
from vaelens.data.pairs import Pairs
from vaelens.data.rendered.room import Room
from vaelens.data.rendered.sprites import Sprites
from vaelens.data.vectors.annotated import AnnDataset
from vaelens.data.vectors.cells import Cells
from vaelens.data.vectors.table import TableDataset

__all__ = [
    "DATASETS",
    "MPI3D",
    "AnnDataset",
    "ArrayDataset",
    "ArrayFile",
    "CausalDataset",
    "CelebA",
    "Cells",
    "CollectionDataset",
    "DSprites",
    "Digits",
    "Factor",
    "FactorDataset",
    "Factors",
    "FolderDataset",
    "Garden",
    "GridDataset",
    "Pairs",
    "Pendulum",
    "Room",
    "Shapes3D",
    "SmallNORB",
    "Sprites",
    "StructuralModel",
    "TableDataset",
    "Variable",
    "load_dataset",
]
