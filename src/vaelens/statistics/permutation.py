"""Permutation tests of a difference of means, which assume only that labels, or signs, could be swapped.

Costs one matrix product of permutations · images · cells; holds 256 permutations of the labels at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaelens.errors import VaelensError
from vaelens.statistics.weights import generator_of

_BLOCK = 256
_TIE = 1e-9  # differences that are equal but for rounding, as a share of the largest value


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """What a permutation test found.

    Attributes:
        difference: mean(first) − mean(second), `(*shape)`.
        p: two-sided p-value, `(*shape)`, in (0, 1]; NaN where a value is NaN or infinite.
        permutations: how many were looked at.
        exact: whether these were all there are.
    """

    difference: NDArray[np.float64]
    p: NDArray[np.float64]
    permutations: int
    exact: bool


def permutation_test(
    first: ArrayLike, second: ArrayLike, paired: bool = False, permutations: int = 9999, seed: int = 0
) -> PermutationTest:
    """Tests whether two samples differ in mean, two-sided.

    Two independent samples of n and m: all n + m values are dealt out anew. Paired samples: the sign of each pair's
    difference is drawn anew. With T the difference of means, p is the share of permutations with |T*| ≥ |T|. Where
    there are no more than `permutations` ways, C(n + m, n) or 2ⁿ, each is looked at once and p is exact; else as many
    are drawn, b of them reach |T|, and p = (b + 1) / (permutations + 1), which is never below what the level promises.

    Args:
        first: `(n, *shape)`, n ≥ 1.
        second: `(m, *shape)`, m ≥ 1; for `paired` m = n, row by row the partners of `first`.
        paired: whether rows are pairs.
        permutations: how many are looked at, at most; 1 or more.
        seed: draws them, 0 or more. All cells share them.

    Returns:
        A `PermutationTest`, cell by cell.

    Raises:
        VaelensError: samples whose shapes do not fit, or an argument out of range.

    References:
        Permutation p-values should never be zero (Phipson, Smyth, 2010).

    Example:
        >>> test = permutation_test([4.0, 5.0, 6.0], [1.0, 2.0, 3.0])
        >>> float(test.difference), float(test.p), test.permutations, test.exact
        (3.0, 0.1, 20, True)
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    _check(first, second, paired)
    if permutations < 1:
        raise VaelensError(f"permutations is {permutations}; expected 1 or more, usually 9999")
    generator = generator_of(seed)
    n, m, shape = len(first), len(second), first.shape[1:]
    ways = 2**n if paired else comb(n + m, n)
    exact = ways <= permutations
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are answered, not warned of
        if paired:
            values = (first - second).reshape(n, -1)
            labels = _all_signs(n) if exact else _signs(n, permutations, generator)
            contrast = np.full(n, 1 / n)
        else:
            pooled = np.concatenate([first, second]).reshape(n + m, -1)
            values = pooled - pooled[0]  # a common part of all values is no difference, and costs digits
            labels = _all_splits(n, m) if exact else _splits(n, m, permutations, generator)
            contrast = _contrast(np.arange(n)[None], n, m)[0]
        difference = contrast @ values  # (cells,)
        threshold = np.abs(difference) - _TIE * np.abs(values).max(axis=0)
        reached = np.zeros(len(difference))
        for block in labels:
            reached += (np.abs(block @ values) >= threshold).sum(axis=0)
        p = reached / ways if exact else (reached + 1) / (permutations + 1)
    p = np.where(np.isfinite(difference), p, np.nan)
    return PermutationTest(difference.reshape(shape), p.reshape(shape), ways if exact else permutations, exact)


def _check(first: NDArray[np.float64], second: NDArray[np.float64], paired: bool) -> None:
    fits = first.ndim > 0 and first.ndim == second.ndim and first.shape[1:] == second.shape[1:]
    if not fits or len(first) == 0 or len(second) == 0 or (paired and len(first) != len(second)):
        expected = "(n, *shape) twice, row by row a pair" if paired else "(n, *shape) and (m, *shape)"
        raise VaelensError(
            f"first has shape {first.shape} and second {second.shape}; expected {expected}, with at least one row"
        )


def _contrast(chosen: NDArray[np.intp], n: int, m: int) -> NDArray[np.float64]:
    """Computes weights whose product with the pooled values is the difference of means, (rows, n + m)."""
    weights = np.full((len(chosen), n + m), -1 / m)
    np.put_along_axis(weights, chosen, 1 / n, axis=1)
    return weights


def _splits(n: int, m: int, permutations: int, generator: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    for start in range(0, permutations, _BLOCK):
        rows = min(_BLOCK, permutations - start)
        order = generator.permuted(np.tile(np.arange(n + m), (rows, 1)), axis=1)
        yield _contrast(order[:, :n], n, m)


def _all_splits(n: int, m: int) -> Iterator[NDArray[np.float64]]:
    splits = np.array(list(combinations(range(n + m), n)), dtype=np.intp)
    for start in range(0, len(splits), _BLOCK):
        yield _contrast(splits[start : start + _BLOCK], n, m)


def _signs(n: int, permutations: int, generator: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    for start in range(0, permutations, _BLOCK):
        yield generator.choice([-1 / n, 1 / n], size=(min(_BLOCK, permutations - start), n))


def _all_signs(n: int) -> Iterator[NDArray[np.float64]]:
    for start in range(0, 2**n, _BLOCK):
        number = np.arange(start, min(start + _BLOCK, 2**n))[:, None]
        yield np.where(number >> np.arange(n) & 1, 1 / n, -1 / n)
