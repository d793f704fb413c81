"""Images with known generative factors: built in, from official files, or the user's own."""

from vaelens.data.array_file import ArrayFile
from vaelens.data.arrays import ArrayDataset
from vaelens.data.catalogue import DATASETS, load_dataset
from vaelens.data.causal import CausalDataset
from vaelens.data.celeba import CelebA
from vaelens.data.collection import CollectionDataset
from vaelens.data.dataset import FactorDataset
from vaelens.data.digits import Digits
from vaelens.data.dsprites import DSprites
from vaelens.data.factors import Factor, Factors
from vaelens.data.folder import FolderDataset
from vaelens.data.garden import Garden
from vaelens.data.grid import GridDataset
from vaelens.data.mpi3d import MPI3D
from vaelens.data.pairs import Pairs
from vaelens.data.pendulum import Pendulum
from vaelens.data.room import Room
from vaelens.data.shapes3d import Shapes3D
from vaelens.data.smallnorb import SmallNORB
from vaelens.data.sprites import Sprites
from vaelens.data.structural_model import StructuralModel, Variable

__all__ = [
    "DATASETS",
    "MPI3D",
    "ArrayDataset",
    "ArrayFile",
    "CausalDataset",
    "CelebA",
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
    "Variable",
    "load_dataset",
]
