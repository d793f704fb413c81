"""Correlation within groups, which says whether two measures rise together in each dataset, whatever their levels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from vaelens.errors import VaelensError
from vaelens.statistics.tables import check_level, check_table


@dataclass(frozen=True)
class RepeatedMeasuresCorrelation:
    """What two measures have in common within groups.

    Attributes:
        r: the correlation, in [−1, 1].
        low: lower end of its interval.
        high: upper end.
        p: two-sided p-value of no correlation.
        degrees_of_freedom: rows − groups − 1, less one for each covariate.
    """

    r: float
    low: float
    high: float
    p: float
    degrees_of_freedom: int


def repeated_measures_correlation(
    table: Any, x: str, y: str, subject: str = "dataset", level: float = 0.95, covariates: Sequence[str] = ()
) -> RepeatedMeasuresCorrelation:
    """Correlates two measures within groups, with one slope for all groups and an intercept for each.

    Warning: not for runs of a study. Rows count as independent given the group, and training seeds of one architecture
    are not: with architectures alike across seeds (intraclass correlation 0.8) and no true correlation, p is below 0.05
    in 22 to 58 % of studies. `cell_mean_correlation` takes architectures for what is replicated.

    With y = α_group + β x + ε by least squares, r = sign(β) √(SS_x / (SS_x + SS_error)): Pearson's correlation of what
    is left of x and y when each group's mean is taken off. The interval is Fisher's, tanh(artanh r ± z / √(ν − 1)) with
    ν = rows − groups − 1. Covariates are taken off both measures, with one slope for all groups, and each takes a
    degree of freedom.

    Args:
        table: one row for each run.
        x: the column with the one measure.
        y: the column with the other.
        subject: the column that names the groups, at least 3 of them, within which x and y are compared.
        level: probability that the interval covers the true correlation, in (0, 1).
        covariates: columns that are partialled out.

    Returns:
        A `RepeatedMeasuresCorrelation`.

    Raises:
        VaelensError: columns that are missing, have gaps or are no numbers; too few groups or rows; a measure that does
            not vary within any group, or of which the covariates leave nothing.

    References:
        Repeated measures correlation (Bakdash, Marusich, 2017).

    Example:
        >>> import pandas as pd
        >>> runs = pd.DataFrame({
        ...     "dataset": list("aaabbbccc"),
        ...     "ces": [1.0, 2.0, 3.0, 11.0, 12.0, 13.0, 5.0, 6.0, 7.0],
        ...     "dci": [0.9, 0.8, 0.6, 0.95, 0.8, 0.7, 0.2, 0.15, 0.0],
        ... })
        >>> result = repeated_measures_correlation(runs, "ces", "dci")
        >>> round(result.r, 2), result.degrees_of_freedom
        (-0.97, 5)
    """
    check_level(level)
    covariates = tuple(covariates)
    if len({x, y, *covariates}) < 2 + len(covariates):
        raise VaelensError(f"the measures are {', '.join(map(repr, (x, y, *covariates)))}; expected each column once")
    runs = check_table(table, (x, y, *covariates), (subject,)).rename(columns={x: "x", y: "y", subject: "subject"})
    groups, freedom = runs["subject"].nunique(), len(runs) - runs["subject"].nunique() - 1
    if groups < 3 or freedom - len(covariates) < 1:
        raise VaelensError(
            f"{len(runs)} rows in {groups} groups of column {subject!r}; expected at least 3 groups, and at least two "
            "more rows than groups, and one more for each covariate"
        )
    for column, name in (("x", x), ("y", y)):
        if (runs.groupby("subject", observed=True)[column].agg(np.ptp) == 0).all():
            raise VaelensError(
                f"column {name!r} does not vary within any group of {subject!r}, so nothing varies with it"
            )
    residuals = _without(runs, covariates)
    (x_left, y_left), freedom = residuals, freedom - len(covariates)
    size = np.linalg.norm(x_left) * np.linalg.norm(y_left)
    if not size > 1e-9 * np.abs(runs["x"]).max() * np.abs(runs["y"]).max():
        raise VaelensError(f"the covariates explain all of {x!r} or {y!r} within groups; leave one out")
    r = float(np.clip((x_left * y_left).sum() / size, -1, 1))
    with np.errstate(divide="ignore"):  # a perfect correlation has no spread, and one degree of freedom no bound
        reach = ndtri((1 + level) / 2) / np.sqrt(np.float64(freedom - 1))
        low, high = (float(np.tanh(np.arctanh(r) + side)) if abs(r) < 1 else r for side in (-reach, reach))
        p = float(2 * stdtr(freedom, -abs(r) * np.sqrt(freedom / (1 - r**2)))) if abs(r) < 1 else 0.0
    return RepeatedMeasuresCorrelation(r, low, high, p, freedom)


def _without(runs: pd.DataFrame, covariates: Sequence[str]) -> NDArray[np.float64]:
    """Computes what groups and covariates (one slope for all groups) leave of x and y, (2, rows)."""
    names = ["x", "y", *covariates]
    centred = runs[names] - runs.groupby("subject", observed=True)[names].transform("mean")
    values, explained = centred[["x", "y"]].to_numpy(), centred[list(covariates)].to_numpy()
    if covariates:
        values = values - explained @ np.linalg.lstsq(explained, values, rcond=None)[0]
    return values.T
