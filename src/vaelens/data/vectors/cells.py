"""Synthetic gene expression with known programs, a batch effect and library sizes, a ground truth for vectors.

Sampled once from NumPy's generator, 5,000 cells in a few milliseconds; counts are made when they are asked for.
"""

import numpy as np
import torch
from scipy.special import pdtr, pdtrik

from vaelens.arguments import check_seed, whole_number
from vaelens.data.annotations import Context, Count, Flag, Name, Seed
from vaelens.data.arguments import checked_flag, generator
from vaelens.data.dataset import FactorDataset
from vaelens.data.factors import Factor, Factors
from vaelens.data.limits import checked_pairs
from vaelens.data.pair_draw import PairDraw
from vaelens.observation import Observation

LEVELS = 5  # of a program's activity, 0 to 4
GENES = 10  # of a program, and as many that no program drives
BATCHES = 3
STRENGTH = 1.5  # log fold change of a program's strongest gene, from no activity to all
BATCH_SPREAD = 0.3  # standard deviation of a batch's log fold changes
LIBRARY = (8.0, 0.5)  # mean and standard deviation of log library size: about 3,000 counts
NORMALISED_TO = 10_000  # counts a cell


class Cells(FactorDataset):
    """Synthetic cells whose genes follow programs, as counts or as log-normalised expression.

    Gene g of program k has a rate proportional to exp(b_g + w_g · a_k / 4 + e_gb), with the program's activity a_k in
    0..4 (the factors, independent of each other), the gene's base level b_g, its weight w_g from 0.75 to 1.5, and the
    batch's effect e_gb. A cell's counts are Poisson with a mean of its library size times each gene's share of
    rates. Values are log(1 + 10,000 · counts / their sum). The context is the `batch` (0 to 2) and the `library`, the
    log of the library size that the counts were drawn with.

    A pair is one cell twice, with another activity of one program, and the same batch, library size and random numbers:
    what differs is the program's doing (and, as shares add up to 1, a little of every gene).

    Args:
        length: How many cells, 1 to 1,000,000.
        programs: How many programs, 1 to 20, of 10 genes each; 10 genes more belong to none.
        counts: Whether values are the counts themselves.
        seed: Draws genes, cells and counts.

    Attributes:
        weights: Each gene's log fold change from no activity to all of its program, (genes,); 0 of no program.
        program: Which program each gene belongs to, (genes,); -1 for none.

    Raises:
        VaelensError: If a number is out of range.

    Example:
        >>> cells = Cells(length=100)
        >>> cells
        <cells: 100 cells of 50, Factors(program_0: 5 ordinal, program_1: 5 ordinal, ... program_3: 5 ordinal)>
        >>> sorted(cells.context_at(np.arange(3))), list(cells.observation.groups)[:2]
        (['batch', 'library'], ['program_0', 'program_1'])
    """

    name = "cells"

    def __init__(self, length: Count = 5000, programs: Count = 4, counts: Flag = False, seed: Seed = 0) -> None:
        self._length = whole_number("length", length, 1, 10**6)
        self._programs = whole_number("programs", programs, 1, 20)
        self._counts, self._seed = checked_flag("counts", counts), check_seed(seed)
        rng = np.random.default_rng(self._seed)
        genes = GENES * (self._programs + 1)
        self.program = np.arange(genes) // GENES
        self.program[self.program == self._programs] = -1
        self.weights = np.where(self.program >= 0, STRENGTH * rng.uniform(0.5, 1, genes), 0.0)
        self._base = rng.normal(0, 0.5, genes)
        self._batch_effects = rng.normal(0, BATCH_SPREAD, (BATCHES, genes))
        self._levels = rng.integers(LEVELS, size=(self._length, self._programs))
        self._batch = rng.integers(BATCHES, size=self._length)
        self._library = rng.normal(*LIBRARY, self._length)
        names = [f"program_{k}" for k in range(self._programs)]
        self.factors = Factors(tuple(Factor(name, LEVELS) for name in names))
        self.observation = Observation.vector(
            [f"gene_{g}" for g in range(genes)],
            groups={name: np.flatnonzero(self.program == k).tolist() for k, name in enumerate(names)},
            unit="counts" if self._counts else "log-normalised expression",
            noun="cells",
        )

    @property
    def options(self) -> dict[str, object]:
        """Lists the options."""
        return {"length": self._length, "programs": self._programs, "counts": self._counts, "seed": self._seed}

    def __len__(self) -> int:
        return self._length

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Makes the cells at indices, float32 (n, genes)."""
        return self._cells(indices, self._levels[indices])

    def factor_values(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the programs' activities at indices."""
        return self._levels[indices]

    def context_at(self, indices: np.ndarray) -> Context:
        """Looks up each cell's `batch`, and the log of its `library` size."""
        return {"batch": self._batch[indices], "library": self._library[indices].astype(np.float32)}

    def pair_draw(self, factor: Name, n: Count, seed: Seed = 0) -> PairDraw:
        """Chooses cells, each paired with itself under another activity of a program."""
        k, count, rng = self.factors.index(factor), checked_pairs(n), generator(seed)
        cells = rng.integers(self._length, size=count)
        levels = self._levels[cells]
        other = levels.copy()
        other[:, k] = (levels[:, k] + rng.integers(1, LEVELS, size=count)) % LEVELS
        return self._draw(cells, levels, other, self.factors.names[k])

    def control_draw(self, factor: Name, n: Count, seed: Seed = 0) -> PairDraw:
        """Chooses the cells of `pair_draw`, each paired with itself, since nothing else need differ."""
        treated = self.pair_draw(factor, n, seed)
        return self._draw(treated.first[:, -1], treated.first[:, :-1], treated.first[:, :-1], treated.factor)

    def _draw(self, cells: np.ndarray, levels: np.ndarray, other: np.ndarray, factor: str) -> PairDraw:
        first, second = (np.concatenate([values, cells[:, None]], axis=1) for values in (levels, other))
        first, second = (rows.astype(np.min_scalar_type(self._length)) for rows in (first, second))
        return PairDraw(
            first,
            second,
            np.zeros(len(cells), np.float32),
            factor,
            lambda rows: torch.from_numpy(self._cells(rows[:, -1], rows[:, :-1])),
            lambda rows: torch.from_numpy(np.ascontiguousarray(rows[:, :-1])),
            lambda rows: self.context_at(rows[:, -1]),
        )

    def _cells(self, cells: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Makes cells under given activities, with the random numbers of each."""
        activity = np.concatenate([levels, np.zeros((len(levels), 1))], axis=1)[:, self.program]  # (n, genes)
        log_rate = self._base + self.weights * activity / (LEVELS - 1) + self._batch_effects[self._batch[cells]]
        rate = np.exp(log_rate)
        mean = np.exp(self._library[cells])[:, None] * rate / rate.sum(axis=1, keepdims=True)
        chance = np.stack(
            [np.random.default_rng((self._seed, 1, int(cell))).random(len(self.program)) for cell in cells]
        )
        counts = _poisson_quantile(chance, mean)
        if self._counts:
            return counts.astype(np.float32)
        total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        return np.log1p(NORMALISED_TO * counts / total).astype(np.float32)


def _poisson_quantile(chance: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Finds the least count whose cumulative probability is at least a chance."""
    counts = np.maximum(np.ceil(pdtrik(chance, mean)), 0)
    below = np.maximum(counts - 1, 0)
    return np.where(pdtr(below, mean) >= chance, below, counts)
