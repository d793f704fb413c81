"""A contest: ours and other ways to the same result, run in turn several times in one process, compared by medians.

All run once untimed; these results are compared. Then each round runs ours, the first other, the second, and so on, so
that whatever else the machine does falls on all of them alike. What is soon done runs several times over in its turn:
a moment's disturbance would else count for more there than in a way that takes long.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

HEADER = (
    "| what | ours | against | theirs | ratio | largest difference |\n"
    "|---|---|---|---|---|---|"
)  # fmt: skip


@dataclass(frozen=True)
class Way:
    """A way to a result, and what the table calls it."""

    label: str
    run: Callable[[], object]


@dataclass(frozen=True)
class Contest:
    """Ours and other ways, and what all do.

    Attributes:
        name: what is computed.
        ours: run ours once; its result is compared if it is a tensor.
        others: the other ways.
        each_round: run, untimed, at the start of each round.
        note: from the medians, ours first, to a sentence under the table.
    """

    name: str
    ours: Callable[[], object]
    others: Sequence[Way]
    each_round: Callable[[], object] | None = None
    note: Callable[[Sequence[float]], str] | None = None


@dataclass(frozen=True)
class Outcome:
    """A contest as it was run: median seconds and largest difference of each way, ours first."""

    contest: Contest
    seconds: Sequence[float]
    errors: Sequence[float | None]

    def rows(self) -> list[str]:
        """A line of the table for each other way."""
        ours, lines = self.seconds[0], []
        for way, theirs, error in zip(self.contest.others, self.seconds[1:], self.errors[1:], strict=True):
            cells = [self.contest.name, seconds(ours), way.label, seconds(theirs), f"{theirs / ours:.2f}"]
            lines.append(f"| {' | '.join(cells)} | {'' if error is None else f'{error:.1e}'} |")
        return lines


def run(contest: Contest, repetitions: int, device: str = "cpu", least: float = 0.0) -> Outcome:
    """Run a contest, after one untimed round; each way for `least` seconds in its turn, and once at least."""
    ways = [contest.ours, *(way.run for way in contest.others)]
    results = [way() for way in ways]
    errors = [difference(results[0], result) for result in results]
    del results
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(repetitions):
        if contest.each_round is not None:
            contest.each_round()
        for spent, way in zip(times, ways, strict=True):
            spent.append(timed(way, device, least))
    return Outcome(contest, [statistics.median(spent) for spent in times], errors)


def timed(function: Callable[[], object], device: str = "cpu", least: float = 0.0) -> float:
    """Seconds until the result is there: the mean of as many runs as take `least` seconds together."""
    synchronise(device)
    start, spent, runs = time.perf_counter(), 0.0, 0
    while not runs or spent < least:
        function()
        synchronise(device)
        spent, runs = time.perf_counter() - start, runs + 1
    return spent / runs


def synchronise(device: str) -> None:
    """Wait for a device that works behind the caller's back."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def difference(ours: object, other: object) -> float | None:
    """The largest difference, relative to the largest value; None where the results are not numbers to compare."""
    if not isinstance(ours, torch.Tensor) or not isinstance(other, torch.Tensor):
        return None
    if ours.shape != other.shape:
        raise ValueError(f"ours has shape {tuple(ours.shape)}, the other way {tuple(other.shape)}: not the same result")
    ours, other = ours.detach().double().cpu(), other.detach().double().cpu()
    return float((ours - other).abs().max() / ours.abs().max())


def seconds(value: float) -> str:
    """Three digits, and milliseconds below a second."""
    return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"
