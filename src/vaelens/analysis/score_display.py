"""The table of scores as it is displayed, with its numbers in 80 columns however long its texts are."""

from typing import Any

import pandas as pd

_SHOWN = ("value", "low", "high", "chance", "untrained")


class Scores(pd.DataFrame):
    """A DataFrame of scores of which the numbers are printed, with the names of its other columns below them.

    Example:
        >>> Scores({"label": ["MIG"], "value": [0.1234], "low": [0.1], "made": ["40 codes"]}, index=["mig"])
            value  low
        mig 0.123  0.1
        further columns: label, made
    """

    @property
    def _constructor(self) -> Any:
        return Scores

    def __repr__(self) -> str:
        shown = [name for name in _SHOWN if name in self.columns]
        others = [str(name) for name in self.columns if name not in shown]
        if "value" not in shown or self.empty:
            return super().__repr__()
        numbers = pd.DataFrame(self)[shown].rename_axis(index=None)
        table = numbers.to_string(float_format="{:.3g}".format)
        return f"{table}\nfurther columns: {', '.join(others)}" if others else table
