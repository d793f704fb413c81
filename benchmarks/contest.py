"""A contest: two ways to the same result, run in turn several times in one process, compared by their medians."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Contest:
    """Ours and another way, and what both do.

    Attributes:
        name: what is computed.
        against: the other way.
        ours, other: run it once.
        error: the largest difference between the two results, relative to the largest value; None where the results
            are not numbers to compare.
    """

    name: str
    against: str
    ours: Callable[[], object]
    other: Callable[[], object]
    error: Callable[[], float] | None = None


def run(contest: Contest, repetitions: int) -> tuple[float, float]:
    """Median seconds of ours and of the other, interleaved, after one untimed round."""
    contest.ours(), contest.other()
    times = [(_seconds(contest.ours), _seconds(contest.other)) for _ in range(repetitions)]
    return statistics.median(ours for ours, _ in times), statistics.median(other for _, other in times)


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
