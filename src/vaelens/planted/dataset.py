"""The images of a planted model, in which each factor is the brightness of a lattice of pixels.

There are at most 125 of them. All pairs that differ in one factor alone can be listed, so that means over them are
exact.
"""

from itertools import product

import numpy as np

from vaelens.data import Factor, FactorDataset, Factors, Pairs
from vaelens.data.annotations import Name
from vaelens.data.pair_draw import PairDraw
from vaelens.observation import Observation
from vaelens.planted.kinds import NAMES, Kind
from vaelens.planted.network import BACKGROUND, SIDE
from vaelens.planted.wiring import CONTRAST, LATTICES


class PlantedDataset(FactorDataset):
    """The images that a planted model encodes and decodes exactly.

    Args:
        name: the dataset's name.
        kind: of the model.
        lattices: which lattice each pixel is of, (side, side).

    Attributes:
        numbers: what the factors of every image stand for, (N, K).
        shown: what the lattices of every image show, (N, lattices).
    """

    def __init__(self, name: str, kind: Kind, lattices: np.ndarray) -> None:
        sizes = [len(levels) for levels in kind.levels]
        values = np.array(list(product(*map(range, sizes))), dtype=np.int64)
        if kind.sparse:
            values = values[(values > 0).sum(axis=1) <= 1]
        self.name, self._values, self._lattices = name, values, lattices
        self.factors = Factors(tuple(Factor(n, size) for n, size in zip(NAMES[: len(sizes)], sizes, strict=True)))
        self.observation = Observation.image((1, SIDE, SIDE))
        self.numbers = np.stack([np.array(kind.levels[k])[values[:, k]] for k in range(len(sizes))], axis=1)
        self.shown = np.zeros((len(values), LATTICES))
        self.shown[:, : len(sizes)] = self.numbers
        for lattice, numbers in kind.shown(self.numbers).items():
            self.shown[:, lattice] = numbers

    def __len__(self) -> int:
        return len(self._values)

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Renders the images at indices."""
        return (BACKGROUND + self.shown[indices] / CONTRAST).astype(np.float32)[:, None, self._lattices]

    def factor_values(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the factor values at indices."""
        return self._values[indices]

    def pair_indices(self, factor: int) -> tuple[np.ndarray, np.ndarray]:
        """Lists the indices of all pairs of images, in both orders, that differ in a factor and in nothing else."""
        unlike = self._values[:, None] != self._values  # (N, N, K)
        first, second = np.nonzero(unlike[..., factor] & (unlike.sum(axis=2) == 1))
        return first, second

    def all_pairs(self, factor: Name) -> Pairs:
        """Returns all pairs of images, in both orders, that differ in a factor and in nothing else.

        Raises:
            VaelensError: If there is no such factor.
        """
        first, second = self.pair_indices(self.factors.index(factor))
        return PairDraw(first, second, np.zeros(len(first), np.float32), factor, self._images, self._factors)[:]

    def draw_pairs(self, factor: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Chooses uniformly among all pairs that differ in a factor and in nothing else."""
        first, second = self.pair_indices(factor)
        chosen = rng.integers(len(first), size=n)
        return first[chosen], second[chosen], np.zeros(n)
