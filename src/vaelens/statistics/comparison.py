"""Comparison of architectures over datasets and seeds by a linear mixed model.

Fitted here by REML on the means of the cells (dataset × architecture): general mixed-model routines stop short where a
variance is zero, which with few datasets is usual. Costs some hundred factorisations of a matrix of cells × cells.
"""

from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import stdtr, stdtrit

from vaelens.errors import VaelensError
from vaelens.statistics.effect_sizes import correction
from vaelens.statistics.multiplicity import holm_sidak
from vaelens.statistics.tables import check_level, check_table

_FARTHEST = (25.0, 40.0)  # τ² is at most e^25 (ω² + σ²), and that e^40 σ²: beyond, digits are lost
_SAME = 1e-16  # what rounding leaves of sums of squares
_STARTS = (0.1, 3.0)

Array = NDArray[np.float64]


def compare_groups(
    table: Any,
    score: str = "score",
    group: str = "architecture",
    block: str = "dataset",
    level: float = 0.95,
) -> pd.DataFrame:
    """Compares every two architectures over datasets, each trained with a few seeds.

    Cells may be uneven or missing.

    The model of run s of architecture a on dataset d is

        score_das = β_a + u_d + v_da + ε_das,   u ~ N(0, τ²), v ~ N(0, ω²), ε ~ N(0, σ²),

    fitted by REML: architectures fixed, datasets random, and how an architecture fares on a dataset random too, so
    that more seeds do not pass for more datasets. Contrasts β_a − β_b are the GLS estimates, with t intervals and
    tests on ν = cells − datasets − architectures + 1 degrees of freedom (containment), the level at which architectures
    are replicated: exact for full designs with as many seeds each, approximate for others, and on the safe side when
    ω² = 0.

    Hedges' g of a contrast is J(ν)(β_a − β_b) / √(ω² + σ²), in standard deviations of one run about what its dataset
    and architecture say; differences between datasets are no part of it.

    Args:
        table: one row for each run.
        score: the column with what is compared.
        group: the column that names the architecture, at least two of them.
        block: the column that names the dataset, at least two of them.
        level: probability that an interval covers its contrast, in (0, 1), one by one.

    Returns:
        One row for each pair, in the order in which architectures appear: `first`, `second`, `estimate` (first minus
        second), `standard_error`, `low`, `high`, `hedges_g`, `p` (two-sided), `p_adjusted` (Holm–Šidák over all
        pairs), `degrees_of_freedom`. The attributes `between_blocks`, `interaction` and `residual` are τ², ω² and σ²;
        without repeated cells ω² + σ² is one number, called `residual`. Where no score varies, p is NaN.

    Raises:
        VaelensError: columns that are missing, have gaps or are no numbers; fewer than two architectures or datasets; a
            design from which the differences cannot be told from those of datasets.

    References:
        Random-effects models for longitudinal data (Laird, Ware, 1982).
        Recovery of inter-block information when block sizes are unequal (Patterson, Thompson, 1971).

    Example:
        >>> rng, rows = np.random.default_rng(0), []
        >>> for dataset, level in {"sprites": 1.0, "room": 3.0, "digits": 0.5}.items():
        ...     for architecture, shift in {"vae": 0.0, "factor-vae": 2.0}.items():
        ...         for seed in range(3):
        ...             rows.append((dataset, architecture, seed, level + shift + 0.1 * rng.normal()))
        >>> runs = pd.DataFrame(rows, columns=["dataset", "architecture", "seed", "score"])
        >>> pair = compare_groups(runs).iloc[0]
        >>> pair["first"], pair["second"], round(float(pair["estimate"]), 1), bool(pair["p_adjusted"] < 0.01)
        ('vae', 'factor-vae', -2.0, True)
    """
    check_level(level)
    runs = check_table(table, (score,), (group, block))
    design = _design(runs, score, group, block)
    fit = _fit(design)
    freedom = len(design.means) - design.blocks.shape[1] - len(design.names) + 1
    quantile, rows = stdtrit(freedom, (1 + level) / 2), []
    for i, j in combinations(range(len(design.names)), 2):
        estimate = fit.means[i] - fit.means[j]
        error = np.sqrt(max(fit.covariance[i, i] + fit.covariance[j, j] - 2 * fit.covariance[i, j], 0.0))
        with np.errstate(invalid="ignore", divide="ignore"):  # no spread is answered, not warned of
            p = 2 * stdtr(freedom, -np.abs(estimate / error)) if error > 0 else np.nan
            size = correction(freedom) * estimate / np.sqrt(fit.interaction + fit.residual)
        ends = estimate - quantile * error, estimate + quantile * error
        rows.append((design.names[i], design.names[j], estimate, error, *ends, size, p))
    columns = ["first", "second", "estimate", "standard_error", "low", "high", "hedges_g", "p"]
    pairs = pd.DataFrame(rows, columns=columns)
    pairs["p_adjusted"], pairs["degrees_of_freedom"] = holm_sidak(pairs["p"].to_numpy()), freedom
    pairs.attrs = {
        "between_blocks": fit.between_blocks,
        "interaction": fit.interaction,
        "residual": fit.residual,
    }
    return pairs


@dataclass(frozen=True, eq=False)
class _Design:
    """The cells, which are all that the runs say about the model's means and variances.

    Attributes:
        names: the groups.
        means: of each cell, (cells,).
        runs: in each cell, (cells,).
        groups: which group each cell is of, one-hot, (cells, groups).
        blocks: and which block, (cells, blocks).
        within: the sum of squares of the runs about their cell's mean.
    """

    names: list[str]
    means: Array
    runs: Array
    groups: Array
    blocks: Array
    within: float


@dataclass(frozen=True, eq=False)
class _Fit:
    """β, its covariance, and the three variances."""

    means: Array
    covariance: Array
    between_blocks: float
    interaction: float
    residual: float


def _design(runs: pd.DataFrame, score: str, group: str, block: str) -> _Design:
    which_group, names = pd.factorize(runs[group])
    which_block, blocks = pd.factorize(runs[block])
    if len(names) < 2 or len(blocks) < 2:
        raise VaelensError(
            f"column {group!r} names {len(names)} and {block!r} {len(blocks)}; expected at least two of each: "
            "differences are judged by how they vary from one to the next"
        )
    cell, _ = pd.factorize(which_group * len(blocks) + which_block)
    first = np.unique(cell, return_index=True)[1]
    values = runs[score].to_numpy()
    values = values - values.mean()  # differences alone matter, and a large common part costs digits
    count = np.bincount(cell).astype(np.float64)
    means = np.bincount(cell, values) / count
    of_group, of_block = np.eye(len(names))[which_group[first]], np.eye(len(blocks))[which_block[first]]
    together = np.linalg.matrix_rank(np.hstack([of_group, of_block]))
    if together < len(names) + len(blocks) - 1:
        raise VaelensError(
            f"some values of {group!r} share no value of {block!r} with the others, nor over a third; expected a "
            f"design that links them all; run each on a value of {block!r} that others are run on"
        )
    if len(count) <= together:
        raise VaelensError(
            f"{len(count)} combinations of {group!r} and {block!r} leave nothing to judge the differences of "
            f"{len(names)} and {len(blocks)} by; expected at least {together + 1}; run more combinations"
        )
    within = float(((values - means[cell]) ** 2).sum())
    if within <= _SAME * float(((means - means.mean()) ** 2).sum()):  # repeating a run gave the same: it says nothing
        count, within = np.ones_like(count), 0.0
    return _Design([str(name) for name in names], means, count, of_group, of_block, within)


def _fit(design: _Design) -> _Fit:
    """Fits by REML over the logarithms of 1 + τ²/(ω² + σ²) and, where cells have several runs, of 1 + ω²/σ²."""
    from scipy.optimize import minimize  # half a second that nothing else in this package needs

    axes = 2 if design.runs.sum() > len(design.means) else 1
    bounds, starts = [(0.0, end) for end in _FARTHEST[:axes]], list(product(_STARTS, repeat=axes))

    def shares(logs: Array) -> tuple[float, float]:
        return float(np.expm1(logs[0])), float(np.exp(-logs[1])) if axes == 2 else 1.0

    def criterion(logs: Array) -> float:
        return _solve(design, *shares(logs))[0]

    # The criterion may have a valley at an edge and another inside: descend from a few points, and take the lowest.
    tried = sorted(
        (minimize(criterion, start, bounds=bounds, method="L-BFGS-B") for start in starts), key=lambda o: o.fun
    )
    best = tried[0].x
    blocks, residual = shares(best)
    _, means, unscaled, scale = _solve(design, blocks, residual)
    return _Fit(means, scale * unscaled, scale * blocks, scale * (1 - residual), scale * residual)


def _solve(design: _Design, blocks: float, residual: float) -> tuple[float, Array, Array, float]:
    """Computes −2 log restricted likelihood but for constants, β, its covariance over ω² + σ², and ω² + σ².

    Of variances τ² = `blocks`, ω² = 1 − `residual` and σ² = `residual`, up to a common factor that is solved for.
    """
    rest = design.runs.sum() - len(design.means)
    covariance = blocks * design.blocks @ design.blocks.T + np.diag(1 - residual + residual / design.runs)
    factor = cho_factor(covariance, lower=True)
    weighted = cho_solve(factor, design.groups)
    information = design.groups.T @ weighted
    means = np.linalg.solve(information, weighted.T @ design.means)
    left = design.means - design.groups @ means
    squares = float(left @ cho_solve(factor, left)) + design.within / residual
    freedom = design.runs.sum() - design.groups.shape[1]
    scale = float(squares / freedom)
    value = 2 * np.log(np.diag(factor[0])).sum() + np.linalg.slogdet(information)[1] + rest * np.log(residual)
    return float(value + freedom * np.log(max(scale, np.finfo(float).tiny))), means, np.linalg.inv(information), scale
