"""What the statistics of tables ask of a table before they read it."""

from typing import Any

import numpy as np
import pandas as pd

from vaelens.errors import VaelensError, unknown


def check_table(table: Any, numbers: tuple[str, ...], labels: tuple[str, ...]) -> pd.DataFrame:
    """Checks the named columns of a table and returns them, numbers as float64.

    Args:
        table: a DataFrame.
        numbers: columns that have to be finite numbers.
        labels: columns that have to be there, without gaps.

    Raises:
        VaelensError: no table, a column that it does not have, or one with a gap or with what is no finite number.
    """
    if not isinstance(table, pd.DataFrame):
        raise VaelensError(f"the table is a {type(table).__name__}; expected a pandas DataFrame, one row for each run")
    for name in (*numbers, *labels):
        if name not in table.columns:
            raise unknown("column", name, map(str, table.columns))
    columns = table.loc[:, [*labels, *numbers]].reset_index(drop=True)
    for name in numbers:
        try:
            columns[name] = columns[name].to_numpy(dtype=np.float64)
        except (TypeError, ValueError):
            raise VaelensError(f"column {name!r} is of type {columns[name].dtype}; expected numbers") from None
    gaps = {name: int((~np.isfinite(columns[name])).sum()) for name in numbers}
    gaps |= {name: int(columns[name].isna().sum()) for name in labels}
    for name, count in gaps.items():
        if count:
            raise VaelensError(
                f"column {name!r} has {count} of {len(columns)} rows that are missing or not finite; expected a value "
                "in each; leave these rows out, and say so where you report the result"
            )
    return columns


def check_level(level: float) -> float:
    """Checks that a level is a probability, and returns it.

    Raises:
        VaelensError: if it is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise VaelensError(f"level is {level}; expected a probability between 0 and 1, such as 0.95")
    return level
