"""What a part of an analysis costs in seconds, at its start and for each image, measured on a few images."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

_MORE = 16  # times as many images, on which a run is timed again that was ended

Clock = Callable[[], float]  # seconds, as `time.perf_counter` counts them
Moved = Callable[[float, float], None]  # takes what of a part is done, and what there is to do


@dataclass(frozen=True)
class Cost:
    """Seconds that some work takes.

    Attributes:
        fixed: however many images there are.
        each: for each image.
        is_cut: whether the run that it was judged by was ended early.

    Example:
        >>> Cost(fixed=1.0, each=0.5).seconds(8)
        5.0
    """

    fixed: float
    each: float
    is_cut: bool = False

    def seconds(self, images: int) -> float:
        """Estimates how long so many images take."""
        return self.fixed + self.each * images


class _Enough(Exception):
    """Ends a run that has lasted long enough to be judged by."""


class _Watch:
    """Notes how far a run is, and ends it when it has lasted too long."""

    def __init__(self, patience: float, clock: Clock):
        self._clock, self._begin, self._patience = clock, clock(), patience
        self._first: tuple[float, float] | None = None
        self._last, self._steps = (0.0, 0.0), 0

    def moved(self, done: float, total: float) -> None:
        now = self._clock() - self._begin
        self._last, self._steps = (now, done / total), self._steps + 1
        if self._first is None:
            self._first = self._last
        if now > self._patience and done < total and self._last[1] > self._first[1]:
            raise _Enough

    def whole(self) -> float:
        """Estimates how long the run would have taken, but for what came before its first step."""
        assert self._first is not None, "a run that was ended has told how far it was"
        (begin, at_first), (end, at_last) = self._first, self._last
        return (end - begin) / (at_last - at_first)

    def step(self) -> float:
        """Computes how long a step took on average, leaving out the first."""
        assert self._first is not None, "as above"
        return (self._last[0] - self._first[0]) / (self._steps - 1)


def measure(
    run: Callable[[int, Moved], Any], images: tuple[int, int], patience: float, clock: Clock = perf_counter
) -> Cost:
    """Measures what some work costs, in little more time than it is given.

    The first run, of the fewest images, also pays for what is done once, so a second one counts. A run that takes too
    long is ended, and judged by how far it was; so is then one of more images, if its steps are short enough, since
    much of what a few images cost may be the same for any number.

    Args:
        run: the work, which takes a number of images and tells how far it is; it is left as it was when that raises.
        images: the fewest that a run can take, and the most.
        patience: seconds.
        clock: tells the time.
    """
    few, most = images
    begin = clock()

    def seconds(count: int, until: float) -> tuple[float, float | None]:  # what it takes; a step of one that was ended
        watch, started = _Watch(until, clock), clock()
        try:
            run(count, watch.moved)
        except _Enough:
            return watch.whole(), watch.step()
        return clock() - started, None

    def remaining() -> float:
        return patience - (clock() - begin)

    first, step = seconds(few, patience)
    if step is not None:
        more = min(most, _MORE * few)
        if more == few or 2 * step * more / few > patience:
            return Cost(0.0, first / few, is_cut=True)
        longer, _ = seconds(more, patience)
        each = max((longer - first) / (more - few), 0.0)
        return Cost(max(first - each * few, 0.0), each, is_cut=True)
    again, step = seconds(few, remaining())
    left = remaining()
    many = min(most, int(few * left / (3 * max(again, 1e-6))))
    if step is not None or many <= few:
        return Cost(0.0, again / few, is_cut=step is not None)
    longest, _ = seconds(many, remaining())
    if clock() - begin + longest < patience:  # the first of so many may pay for what is done once too
        longest = min(longest, seconds(many, remaining())[0])
    each = max((longest - again) / (many - few), 0.0)
    return Cost(max(longest - each * many, 0.0), each)
