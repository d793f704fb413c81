"""What is said of the scores, namely which are above both chance and an untrained copy of the model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vaelens.analysis import Analysis
from vaelens.metrics.catalogue import METRICS
from vaelens.report.numerals import listed, number
from vaelens.report.phrases import spoken_score

_MODULARITY = "circuit_modularity"
_PLACES = {
    "above": "above chance and an untrained copy of the model",
    "above chance": "above chance",
    "above untrained": "above an untrained copy of the model",
    "untrained": "above chance, but not above an untrained copy of the model",
    "untrained alone": "not above an untrained copy of the model",
    "chance": "not told from chance",
    "below chance": "below chance",
}


@dataclass(frozen=True)
class Level:
    """A score beside what it is without any structure.

    Attributes:
        label: what the score is called.
        spoken: its value with the interval.
        beside: its levels, in words.
        place: where its interval lies among them, a key of `_PLACES`.
    """

    label: str
    spoken: str
    beside: str
    place: str


def scores_sentence(analysis: Analysis) -> str | None:
    """Says which scores from 0 to 1 lie above chance and above an untrained copy of the model, each with both numbers.

    Printed when circuit modularity or a score of codes against factors has a value, an interval and a level to be
    compared with. A score is above a level when the lower end of its interval is, below it when the upper end is.
    Those that could not be computed stand in the table with the reason. Rests on the columns `value`, `low`, `high`,
    `chance` and `untrained` of the scores.
    """
    levels = [level for level in (_level(analysis, key) for key in _keys(analysis)) if level is not None]
    parts = []
    for place, words in _PLACES.items():
        there = [f"{level.label} {level.spoken} ({level.beside})" for level in levels if level.place == place]
        if there:
            parts.append(f"{words}: {listed(there)}")
    return f"Scores from 0 to 1 {'; '.join(parts)}." if parts else None


def _keys(analysis: Analysis) -> list[str]:
    scored = analysis.effects.get("importance", {})
    keys = [str(key) for key in analysis.scores.index]
    return [key for key in keys if key == _MODULARITY or (key in scored and METRICS[key].is_fraction)]


def _level(analysis: Analysis, key: str) -> Level | None:
    """Compares a score with its levels, or returns None where it has no value, no interval or no level."""
    spoken = spoken_score(analysis, key)
    measured = {name: _number(analysis, key, name) for name in ("chance", "untrained")}
    levels = {name: level for name, level in measured.items() if np.isfinite(level)}
    low, high = _number(analysis, key, "low"), _number(analysis, key, "high")
    if spoken is None or not levels or not np.isfinite(low):
        return None
    beside = ", ".join(f"{_word(key, name)} {number(level)}" for name, level in levels.items())
    return Level(METRICS[key].label, spoken, beside, _place(low, high, levels))


def _place(low: float, high: float, levels: Mapping[str, float]) -> str:
    """Says where an interval lies among the levels."""
    chance, untrained = levels.get("chance", -np.inf), levels.get("untrained", -np.inf)
    if high < chance:
        return "below chance"
    if low <= chance:
        return "chance"
    if low <= untrained:
        return "untrained" if "chance" in levels else "untrained alone"
    return "above" if len(levels) > 1 else f"above {next(iter(levels))}"


def _word(key: str, level: str) -> str:
    return "shuffled" if key == _MODULARITY and level == "chance" else level


def _number(analysis: Analysis, key: str, column: str) -> float:
    """Reads a score's number, NaN where the analysis has no such column."""
    return float(analysis.scores[column][key]) if column in analysis.scores else float("nan")
