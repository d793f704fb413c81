"""Images with known generative factors: built-in datasets, the user's own arrays, and what they share."""

from vaelens.data.arrays import ArrayDataset
from vaelens.data.catalogue import DATASETS, load_dataset
from vaelens.data.dataset import FactorDataset
from vaelens.data.digits import Digits
from vaelens.data.factors import Factor, Factors
from vaelens.data.grid import GridDataset
from vaelens.data.pairs import Pairs
from vaelens.data.sprites import Sprites

__all__ = [
    "DATASETS",
    "ArrayDataset",
    "Digits",
    "Factor",
    "FactorDataset",
    "Factors",
    "GridDataset",
    "Pairs",
    "Sprites",
    "load_dataset",
]
