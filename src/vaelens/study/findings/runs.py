"""The runs of a study's table, a row each with a column for each measure, as findings look at them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from vaelens.errors import VaelensError

RUN = ("dataset", "model", "seed")
TRAINED = ("likelihood", "steps", "batch_size", "lr", "lr_decay", "held_out", "images")  # how, where the table has it
_DESCRIBED = ("objective", "latent_dim", "beta", "factors", *TRAINED)  # of each run, where the table has them
_NUMBERS = ("latent_dim", "beta", "factors")  # of these, what must be numbers
_DERIVED = ("ratio", "trained")  # columns that findings add
_ROUNDING = 1e-9  # of values, within which their differences are none
_NEEDED = (*RUN, "measure", "value")


def runs_of(table: Any) -> pd.DataFrame:
    """Turns a study's tidy table into a row for each run and a column for each measure.

    Rows of single latents are left out, those of single factors averaged over them.

    Returns:
        Columns `dataset`, `model`, `seed`, `objective` (the model's name where the table has none), `latent_dim`,
        `beta`, `factors`, `likelihood`, `steps`, `batch_size`, `lr`, `lr_decay`, `held_out`,
        `images` (NaN where it has none), and the measures, NaN where a run has none.

    Raises:
        VaelensError: no such table, text where numbers belong, a measure with the name of a column, or a run that has a
            measure twice.
    """
    if not isinstance(table, pd.DataFrame) or any(name not in table.columns for name in _NEEDED):
        raise VaelensError(
            f"the table is no study's: expected a DataFrame with the columns {', '.join(_NEEDED)}, as "
            "vl.Study.table returns it or runs.parquet holds it"
        )
    _check_values(table)
    whole = table[table["latent"].isna()] if "latent" in table.columns else table
    of_factor = whole["factor"].notna() if "factor" in whole.columns else pd.Series(False, index=whole.index)
    scores, by_factor = whole[~of_factor], whole[of_factor]
    twice = scores.duplicated([*RUN, "measure"])
    if twice.any():
        row = scores[twice].iloc[0]
        raise VaelensError(
            f"the table has {row['measure']!r} of {row['dataset']}/{row['model']}/{row['seed']} more than once; "
            "give each run and measure one row"
        )
    wide = scores.set_index([*RUN, "measure"])["value"].unstack("measure")
    wide.columns = [str(name) for name in wide.columns]
    if len(by_factor):
        shares = by_factor.groupby([*RUN, "measure"], observed=True)["value"].mean().unstack("measure")
        wide = wide.join(shares)
    described = [name for name in _DESCRIBED if name in scores.columns]
    firsts = scores.groupby(list(RUN), observed=True)[described].first() if described else wide[[]]
    runs = wide.join(firsts).reset_index()
    if "objective" not in runs:
        runs["objective"] = runs["model"]
    for name in ("latent_dim", "beta", "factors", *TRAINED):
        if name not in runs:
            runs[name] = np.nan
    return runs


def _check_values(table: pd.DataFrame) -> None:
    """Refuses text where numbers belong, and measures whose columns would be those of something else."""
    for name in ("value", *_NUMBERS):
        for value in table[name] if name in table.columns else ():
            if not isinstance(value, int | float | np.number) and not pd.isna(value):
                raise VaelensError(f"the table's column {name} holds {value!r}; expected numbers")
    taken = sorted({*map(str, table["measure"])} & {*RUN, *_DESCRIBED, *_DERIVED})
    if taken:
        raise VaelensError(f"the table has a measure called {taken[0]!r}, as a column is; call the measure otherwise")


def complete(runs: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """Takes the runs that have a finite value of every measure, so none where a measure is not there at all."""
    if any(name not in runs.columns for name in measures):
        return runs.iloc[:0]
    is_complete = np.isfinite(runs[list(measures)].to_numpy(dtype=np.float64)).all(axis=1)
    return runs.iloc[np.flatnonzero(is_complete)].reset_index(drop=True)


def beyond_rounding(difference: Any, values: Any) -> Any:
    """Returns differences between values, of which those within rounding are zero.

    Args:
        difference: a number or an array of them.
        values: what the differences are between; their largest size decides what rounding is.

    Example:
        >>> beyond_rounding(np.array([0.1 + 0.2 - 0.3, 0.1]), [0.1, 0.2, 0.3]).tolist()
        [0.0, 0.1]
    """
    return np.where(np.abs(difference) <= _ROUNDING * np.max(np.abs(values)), 0.0, difference)


def counted(count: int, noun: str) -> str:
    """Writes a count and its noun.

    Example:
        >>> counted(1, "run"), counted(30, "run")
        ('1 run', '30 runs')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def shown(value: float) -> str:
    """Writes a number with three significant digits and a true minus.

    Example:
        >>> shown(-0.12345), shown(float("nan"))
        ('−0.123', 'none')
    """
    return "none" if not np.isfinite(value) else f"{value:.3g}".replace("-", "−")
