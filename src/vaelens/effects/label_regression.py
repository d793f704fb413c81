"""The code as a smooth function of the labels, which brings together images that differ in further labels.

Costs an encoder pass for each image that is learned from, and holds a few kernel matrices of half as many rows: some
200 MB where there are 4,000 images, the most that it learns from.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.kernel_ridge import KernelRidge
from torch import Tensor

from vaelens.data import Factor, FactorDataset
from vaelens.data.pair_draw import PairDraw
from vaelens.effects.chunks import chunks
from vaelens.effects.dataset_rows import rows_at
from vaelens.effects.outcomes import numbers, run_cached
from vaelens.lens import LATENT, Lens
from vaelens.progress import Advance

_TIMES, _MOST = 12, 4000  # images that are learned from: so many for each pair, and at most
_CELLS = 2**26  # numbers of all their codes
_TRIED = 600  # of a half, images by which the kernel is chosen
_WIDTHS, _PENALTIES = (0.3, 1.0, 3.0, 10.0), (1e-3, 1e-2, 1e-1)

Labels = Int[np.ndarray, "n k"]


class LabelRegression:
    """m(labels), an estimate of E[code | labels], by kernel ridge regression.

    The kernel is exp(−w·Σ_k δ_k² / Σ_k E δ_k²), δ_k being the distance in label k: |i − j| of an ordinal one, the chord
    of a circular one, whether a categorical one differs, each divided by its root mean square. Width w and penalty, and
    whether the numbers of categorical labels are an order after all, as of a table whose kinds nobody stated, are those
    that predict other images best; where none predicts better than the mean, m is constant. The images fall into two
    halves at random, and m of an image is fitted on the other half.

    Args:
        lens: the lens.
        ds: images that have labels, by index.
        pairs: how many pairs it is for: 12 images for each are learned from, at most 4,000.
        seed: chooses among images.

    References:
        Bias-corrected matching estimators for average treatment effects (Abadie, Imbens, 2011).
    """

    def __init__(self, lens: Lens, ds: FactorDataset, pairs: int, seed: int):
        self._lens, self._ds = lens, ds
        order = np.random.default_rng([seed, 2]).permutation(len(ds))
        self._half = np.empty(len(ds), dtype=np.int8)
        self._half[order] = np.arange(len(ds)) % 2
        self._shape = tuple(lens.sites[LATENT].shape)
        cells = math.prod(self._shape)
        self._rows = order[: min(_TIMES * pairs, _MOST, max(4, _CELLS // cells))]
        self._fits: tuple[_Fit, _Fit] | None = None

    @property
    def images(self) -> int:
        """How many images it learns from."""
        return len(self._rows)

    def learn(self, advance: Advance) -> None:
        """Encodes the images and fits both halves."""
        codes = []
        for rows in chunks(len(self._rows), self._lens.engine.rows_for(())):
            run = run_cached(self._lens, rows_at(self._lens, self._ds, self._rows[rows]), rows.start, ())
            codes.append(numbers(run.code.flatten(1)))
            advance(len(run.code))
        labels = np.asarray(self._ds.factor_values(self._rows), dtype=np.int64)
        halves = [self._half[self._rows] == half for half in (0, 1)]
        self._fits = _fitted(self._ds.factors.items, labels, np.concatenate(codes), halves)

    def correction(self, draw: PairDraw, rows: slice) -> Float[Tensor, "c d ..."] | None:
        """Computes what the code of each second image gains by taking the first's labels, all but the factor's.

        m(second's label of the factor, first's other labels) − m(second's labels), from the fit that did not see the
        second image; 0 in labels of which one is missing. None where all are 0.
        """
        if self._fits is None:
            return None
        first, second = (
            np.asarray(draw.factors(at[rows].astype(np.int64)), dtype=np.int64) for at in (draw.first, draw.second)
        )
        wanted = np.where((first < 0) | (second < 0), second, first)
        factor = self._ds.factors.index(draw.factor)
        wanted[:, factor] = second[:, factor]
        apart = (wanted != second).any(axis=1)
        if not apart.any():
            return None
        change = np.zeros((len(wanted), math.prod(self._shape)))
        half = self._half[draw.second[rows].astype(np.int64)]
        for fit, of_half in zip(self._fits, (1, 0), strict=True):  # each fit for the images that it did not see
            moved = apart & (half == of_half)
            if moved.any():
                change[moved] = fit.predict(wanted[moved]) - fit.predict(second[moved])
        return torch.from_numpy(change).to(self._lens.device).unflatten(1, self._shape)


class _Fit:
    """Kernel ridge regression of codes on labels."""

    def __init__(self, kinds: Sequence[Factor], labels: Labels, codes: np.ndarray, width: float, penalty: float):
        self._factors, self._labels, self._mean = kinds, labels, codes.mean(axis=0)
        # Half the mean square distance of two of the images, by label; a label that never differs counts for nothing.
        self._scales = [
            _squares(factor, column, column).mean() / 2 for factor, column in zip(kinds, labels.T, strict=True)
        ]
        self._width = width / (2 * max(1, np.count_nonzero(self._scales)))
        ridge = KernelRidge(alpha=penalty, kernel="precomputed")  # pyright: ignore[reportArgumentType]
        self._ridge = ridge.fit(self._kernel(labels), codes - self._mean)

    def predict(self, labels: Labels) -> np.ndarray:
        return self._mean + self._ridge.predict(self._kernel(labels))

    def _kernel(self, labels: Labels) -> np.ndarray:
        square = np.zeros((len(labels), len(self._labels)))
        for factor, scale, ours, theirs in zip(self._factors, self._scales, labels.T, self._labels.T, strict=True):
            if scale:
                square += _squares(factor, ours, theirs) / scale
        return np.exp(-self._width * square)


def _squares(factor: Factor, left: np.ndarray, right: np.ndarray) -> Float[np.ndarray, "n m"]:
    """Computes squared distances in one label.

    A missing label lies in the middle, or of a categorical one is a class by itself.
    """
    if factor.kind == "categorical":
        return (left[:, None] != right).astype(np.float64)
    left_points, right_points = _points(factor, left), _points(factor, right)
    return (np.abs(left_points[:, None] - right_points) ** 2).astype(np.float64)


def _points(factor: Factor, values: np.ndarray) -> np.ndarray:
    """Places the values of an ordinal label on a line, and of a circular one in the complex plane.

    A missing value lies in the middle.
    """
    if factor.kind == "circular":
        return np.where(values < 0, 0, np.exp(2j * np.pi * values / factor.size))
    return np.where(values < 0, (factor.size - 1) / 2, values)


def _fitted(
    factors: Sequence[Factor], labels: Labels, codes: np.ndarray, halves: Sequence[np.ndarray]
) -> tuple[_Fit, _Fit] | None:
    """Fits each half in the way that predicts the other half best. None where the mean predicts best."""
    if any(half.sum() < 2 for half in halves):
        return None
    standardised = codes / np.where(codes.std(axis=0) > 0, codes.std(axis=0), 1)
    learned, tried = (np.flatnonzero(half)[:_TRIED] for half in halves)
    error = float(((standardised[tried] - standardised[learned].mean(axis=0)) ** 2).sum())
    best = None
    ordered = [replace(each, kind="ordinal") if each.kind == "categorical" else each for each in factors]
    orders = (factors, ordered) if any(each.size > 2 for each in factors if each.kind == "categorical") else (factors,)
    for kinds, width, penalty in itertools.product(orders, _WIDTHS, _PENALTIES):
        fit = _Fit(kinds, labels[learned], standardised[learned], width, penalty)
        left = float(((standardised[tried] - fit.predict(labels[tried])) ** 2).sum())
        if left < error:
            best, error = (kinds, width, penalty), left
    if best is None:
        return None
    kinds, width, penalty = best
    first, second = (_Fit(kinds, labels[half], codes[half], width, penalty) for half in halves)
    return first, second
