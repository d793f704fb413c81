"""Which analysis a figure or table is asked of, and whether it has the parts that are needed."""

from collections.abc import Sequence
from typing import Any

from vaelens.analysis import Analysis
from vaelens.errors import VaelensError


def check_analysis(analysis: Any) -> None:
    """Refuses what is no analysis."""
    if not isinstance(analysis, Analysis):
        raise VaelensError(f"expected an Analysis, got a {type(analysis).__name__}; make one with vl.analyse(lens, ds)")


def check_parts(analysis: Analysis, what: str, parts: Sequence[str]) -> None:
    """Refuses what needs a part that the analysis has not, with the reason where it is on record."""
    missing = [part for part in parts if part not in analysis.effects]
    if not missing:
        return
    reason = analysis.provenance.get("left_out", {}).get(missing[0], "")
    raise VaelensError(
        f"{what} needs the part {missing[0]!r}, which this analysis has not{f': {reason}' if reason else ''}; "
        f"it has {', '.join(analysis.effects)}"
    )
