"""Correlation within groups: do two measures rise together inside each dataset, whatever their levels there?"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

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
        degrees_of_freedom: rows − groups − 1.
    """

    r: float
    low: float
    high: float
    p: float
    degrees_of_freedom: int


def repeated_measures_correlation(
    table: Any, x: str, y: str, subject: str = "dataset", level: float = 0.95
) -> RepeatedMeasuresCorrelation:
    """Correlates two measures within groups, with one slope for all groups and an intercept for each.

    Warning: not for runs of a study. Rows count as independent given the group, and training seeds of one architecture
    are not: with architectures alike across seeds (intraclass correlation 0.8) and no true correlation, p is below 0.05
    in 22 to 58 % of studies. `cell_mean_correlation` takes architectures for what is replicated.

    With y = α_group + β x + ε by least squares, r = sign(β) √(SS_x / (SS_x + SS_error)): Pearson's correlation of what
    is left of x and y when each group's mean is taken off. The interval is Fisher's, tanh(artanh r ± z / √(ν − 1)) with
    ν = rows − groups − 1. Computed by pingouin, which the extra `study` installs.

    Args:
        table: one row for each run.
        x: the column with the one measure.
        y: the column with the other.
        subject: the column that names the groups, at least 3 of them, within which x and y are compared.
        level: probability that the interval covers the true correlation, in (0, 1).

    Returns:
        A `RepeatedMeasuresCorrelation`.

    Raises:
        VaelensError: columns that are missing, have gaps or are no numbers; too few groups or rows; a measure that does
            not vary within any group; pingouin is not installed.

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
    if x == y:
        raise VaelensError(f"x and y are both {x!r}; expected two columns")
    runs = check_table(table, (x, y), (subject,)).rename(columns={x: "x", y: "y", subject: "subject"})
    groups, freedom = runs["subject"].nunique(), len(runs) - runs["subject"].nunique() - 1
    if groups < 3 or freedom < 1:
        raise VaelensError(
            f"{len(runs)} rows in {groups} groups of column {subject!r}; expected at least 3 groups, and at least two "
            "more rows than groups"
        )
    for column, name in (("x", x), ("y", y)):
        if (runs.groupby("subject", observed=True)[column].agg(np.ptp) == 0).all():
            raise VaelensError(
                f"column {name!r} does not vary within any group of {subject!r}, so nothing varies with it"
            )
    try:
        import pingouin
    except ImportError:
        raise VaelensError(
            "repeated-measures correlation needs pingouin, which is not installed; run: pip install 'vaelens[study]'"
        ) from None
    runs["subject"] = runs["subject"].astype(str)
    with warnings.catch_warnings(), np.errstate(divide="ignore"):
        warnings.simplefilter("ignore", DeprecationWarning)  # pingouin's use of a pandas that is yet to come
        row = pingouin.rm_corr(data=runs, x="x", y="y", subject="subject").iloc[0]
    r = float(np.clip(row["r"], -1, 1))
    with np.errstate(divide="ignore"):  # a perfect correlation has no spread, and one degree of freedom no bound
        reach = ndtri((1 + level) / 2) / np.sqrt(np.float64(freedom - 1))
        low, high = (float(np.tanh(np.arctanh(r) + side)) if abs(r) < 1 else r for side in (-reach, reach))
    p = float(row["p_val"] if "p_val" in row else row["pval"])  # renamed in pingouin 0.6
    return RepeatedMeasuresCorrelation(r, low, high, p, int(row["dof"]))
