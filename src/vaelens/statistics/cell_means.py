"""Correlation of two measures over architectures, within datasets, where training seeds do not pass for evidence.

Costs a matrix product of permutations · cells; all permutations of the architectures are looked at where they are few.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, permutations
from math import factorial

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy.special import ndtri

from vaelens.errors import VaelensError
from vaelens.statistics.tables import check_table
from vaelens.statistics.weights import generator_of

_TIE = 1e-9  # correlations that are equal but for rounding
_BLOCK = 512  # permutations looked at at once


@dataclass(frozen=True)
class CellMeanCorrelation:
    """What two measures have in common over architectures, within datasets.

    Attributes:
        r: the partial correlation of the cell means, in [−1, 1].
        low: lower end of its 95 % interval.
        high: upper end.
        p: two-sided p-value of no correlation, in (0, 1].
        cells: combinations of dataset and architecture.
        groups: architectures.
        blocks: datasets.
        permutations: how many were looked at.
        exact: whether these were all there are.
        covariates: what was partialled out.
    """

    r: float
    low: float
    high: float
    p: float
    cells: int
    groups: int
    blocks: int
    permutations: int
    exact: bool
    covariates: tuple[str, ...] = ()


def cell_mean_correlation(
    table: pd.DataFrame,
    x: str,
    y: str,
    covariates: Sequence[str] = (),
    group: str = "architecture",
    block: str = "dataset",
    permutations: int = 9999,
    seed: int = 0,
) -> CellMeanCorrelation:
    """Correlates two measures over architectures within datasets, and tests it by permuting whole architectures.

    Runs are averaged over seeds, so that each cell (dataset × architecture) counts once. Each dataset's mean is taken
    off the cell means, and what is linear in the covariates' (one slope for all datasets); r is Pearson's correlation
    of what is left of x and y. For its p-value y's residuals move between architectures, the same way in all datasets,
    and what the covariates explain of the moved ones is taken off again (Freedman and Lane): p is the share of
    permutations with |r*| ≥ |r|, the one that changes nothing among them.

    Architectures are what is exchangeable if the measures have nothing to do with each other: seeds of one architecture
    are alike, and an architecture may be alike on all datasets. Taking runs for independent, as
    `repeated_measures_correlation` does, then finds a correlation that is not there far more often than it says.
    With m architectures p cannot be below 1/m!: three are too few for any evidence.

    The interval is tanh(artanh r ± 1.96 s), with s the root mean square of artanh r* over the permutations but the one
    that changes nothing: it is as wide as architectures that are alike on all datasets make it, and reaches from −1 to
    1 where a permutation gives a perfect correlation.

    Args:
        table: one row for each run.
        x: the column with the one measure.
        y: the column with the other.
        covariates: columns that are partialled out, such as the reconstruction error and the number of live latents.
        group: the column that names the architecture, at least 3 of them.
        block: the column that names the dataset; cells may be missing, and are then missing wherever they move.
        permutations: how many are looked at, at most; all m! where that is no more.
        seed: of the permutations, 0 or more.

    Returns:
        A `CellMeanCorrelation`.

    Raises:
        VaelensError: columns that are missing, have gaps or are no numbers; fewer than 3 architectures; a measure of
            which datasets and covariates leave nothing; an argument out of range.

    References:
        A nonstochastic interpretation of reported significance levels (Freedman, Lane, 1983).

    Example:
        >>> rows = [
        ...     (dataset, architecture, seed, rank + 10 * d, -rank + 0.1 * seed)
        ...     for d, dataset in enumerate(["sprites", "room"])
        ...     for rank, architecture in enumerate(["vae", "beta-vae", "factor-vae", "dip-vae-i"])
        ...     for seed in range(3)
        ... ]
        >>> runs = pd.DataFrame(rows, columns=["dataset", "architecture", "seed", "ces", "dci"])
        >>> result = cell_mean_correlation(runs, "ces", "dci")
        >>> round(result.r, 6), round(result.p, 3), result.cells, result.permutations  # 2 of 4! reach |r| = 1
        (-1.0, 0.083, 8, 24)
    """
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    measures = (x, y, *covariates)
    if len(set(measures)) < len(measures):
        raise VaelensError(f"the measures and covariates are {', '.join(map(repr, measures))}; expected each once")
    if permutations < 1:
        raise VaelensError(f"permutations is {permutations}; expected 1 or more, usually 9999")
    generator = generator_of(seed)
    means = check_table(table, measures, (group, block)).groupby([block, group], observed=True)[list(measures)].mean()
    grid = np.stack([means[name].unstack(group).to_numpy() for name in measures])  # (measures, blocks, groups)
    present = ~np.isnan(grid[0])
    blocks, groups = present.shape
    if groups < 3:
        raise VaelensError(
            f"column {group!r} names {groups}; expected at least 3, which can be permuted; compare two with "
            "compare_groups"
        )
    residuals = _without(grid[2:], grid[:2], present)
    sizes = np.sqrt((residuals**2).sum(axis=(1, 2)))
    for name, size, values in zip((x, y), sizes, grid[:2], strict=True):
        if not size > 1e-9 * np.nanmax(np.abs(values)):
            raise VaelensError(
                f"column {name!r} has nothing left once each {block}'s mean and the covariates are taken off; expected "
                f"a measure that varies over {group!r} in its own right"
            )
    exact = factorial(groups) <= permutations
    orders = _all_orders(groups) if exact else _orders(groups, permutations, generator)
    r = float((residuals[0] * residuals[1]).sum() / sizes.prod())
    moved = np.concatenate([_moved_correlations(residuals, grid[2:], present, order) for order in orders])
    reached = int((~(np.abs(moved) < abs(r) - _TIE)).sum())  # of cells that leave nothing, any correlation
    low, high = _interval(r, moved[1:] if exact else moved)
    ways = factorial(groups) if exact else permutations
    return CellMeanCorrelation(
        r=float(np.clip(r, -1, 1)),
        low=low,
        high=high,
        p=reached / ways if exact else (reached + 1) / (permutations + 1),
        cells=int(present.sum()),
        groups=groups,
        blocks=blocks,
        permutations=ways,
        exact=exact,
        covariates=covariates,
    )


def _without(
    covariates: Float[np.ndarray, "c blocks groups"],
    measures: Float[np.ndarray, "m blocks groups"],
    present: Bool[np.ndarray, "blocks groups"],
) -> Float[np.ndarray, "m blocks groups"]:
    """Computes what datasets and covariates leave of the measures, 0 at cells that are not there."""
    basis = _basis(covariates, present)
    cells = measures[:, present]  # (m, cells)
    residuals = np.zeros(measures.shape)
    residuals[:, present] = cells - cells @ basis @ basis.T
    return residuals


def _basis(
    covariates: Float[np.ndarray, "c blocks groups"], present: Bool[np.ndarray, "blocks groups"]
) -> Float[np.ndarray, "cells rank"]:
    """Computes an orthonormal basis of what datasets and covariates explain of the cells."""
    of_block = np.eye(len(present))[np.nonzero(present)[0]]
    values = covariates[:, present]
    centred = values - values.sum(axis=1, keepdims=True) / max(values.shape[1], 1)  # an order may leave no cell
    scale = np.linalg.norm(centred, axis=1, keepdims=True)
    design = np.hstack([of_block, (centred / np.where(scale > 0, scale, 1)).T])
    left, singular, _ = np.linalg.svd(design, full_matrices=False)
    return left[:, singular > 1e-9 * singular.max(initial=0)]


def _moved_correlations(
    residuals: Float[np.ndarray, "two blocks groups"],
    covariates: Float[np.ndarray, "c blocks groups"],
    present: Bool[np.ndarray, "blocks groups"],
    orders: Int[np.ndarray, "rows groups"],
) -> Float[np.ndarray, " rows"]:
    """Computes the correlation under each order of the architectures, NaN where it leaves nothing."""
    moved = residuals[1][:, orders].transpose(1, 0, 2)  # (rows, blocks, groups)
    correlations = np.empty(len(orders))
    with np.errstate(invalid="ignore", divide="ignore"):
        if present.all():
            basis = _basis(covariates, present)
            cells = moved.reshape(len(orders), -1)
            left = cells - cells @ basis @ basis.T
            first = residuals[0].ravel()
            return left @ first / (np.linalg.norm(left, axis=1) * np.linalg.norm(first))
        for k, (order, values) in enumerate(zip(orders, moved, strict=True)):
            both = present & present[:, order]
            first, left = _without(covariates, np.stack([residuals[0], values]), both)
            correlations[k] = (first * left).sum() / (np.linalg.norm(first) * np.linalg.norm(left))
    return correlations


def _interval(r: float, moved: Float[np.ndarray, " rows"]) -> tuple[float, float]:
    """Computes the interval of r from the spread of the correlations of other orders."""
    with np.errstate(divide="ignore"):
        spread = np.sqrt(np.nanmean(np.arctanh(np.clip(moved, -1, 1)) ** 2)) if np.isfinite(moved).any() else np.inf
        reach = float(ndtri(0.975) * spread)
        if abs(r) >= 1 - _TIE or not np.isfinite(reach):
            return (-1.0, 1.0) if not np.isfinite(reach) else (float(np.sign(r)), float(np.sign(r)))
    return float(np.tanh(np.arctanh(r) - reach)), float(np.tanh(np.arctanh(r) + reach))


def _all_orders(groups: int) -> Iterator[Int[np.ndarray, "rows groups"]]:
    every_order = permutations(range(groups))
    while block := list(islice(every_order, _BLOCK)):
        yield np.array(block)


def _orders(groups: int, count: int, generator: np.random.Generator) -> Iterator[Int[np.ndarray, "rows groups"]]:
    for start in range(0, count, _BLOCK):
        rows = min(_BLOCK, count - start)
        yield generator.permuted(np.tile(np.arange(groups), (rows, 1)), axis=1)
