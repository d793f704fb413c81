"""The progress of long work, as a bar on standard error or calls of a function that the user gives.

The bar comes once the work has taken two seconds, only where standard error is a terminal, and goes when the work ends,
however it ends. A step costs a look at the clock.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from vaelens.errors import VaelensError

Advance = Callable[[float], None]  # takes how much more is done
if TYPE_CHECKING:
    ProgressLike = bool | Callable[[int, int], object]  # what `progress=` takes
else:
    ProgressLike = Any  # so that under a checker that executes annotations another reaches the error that explains it

_PATIENCE = 2.0  # seconds of work that need no bar


class Report:
    """Tells what is done of some work to whoever asked for it.

    Args:
        tell: takes what is done, what there is to do, and what the work is called just now.
        total: what there is to do.
        label: what the work is called.
    """

    def __init__(self, tell: Callable[[float, float, str], None], total: float, label: str):
        self._tell, self._total, self._label = tell, total, label
        self._done = 0.0

    def advance(self, more: float) -> None:
        """Says that more is done."""
        self._to(self._done + more)

    def part(self, share: float, label: str) -> Callable[[float, float], None]:
        """Returns what a part of the work takes as its own `progress`, which moves this report by its share.

        Args:
            share: what of all there is to do the part is.
            label: what the work is called while the part runs.
        """
        start, self._label = self._done, label
        self._to(start)
        return lambda done, total: self._to(start + share * done / total)

    def finish(self) -> None:
        """Says that everything is done."""
        self._to(self._total)

    def _to(self, done: float) -> None:
        self._done = min(max(done, self._done), self._total)
        self._tell(self._done, self._total, self._label)


@contextmanager
def reporting(progress: ProgressLike, total: float, label: str) -> Iterator[Report]:
    """Reports on the work done in a `with`.

    Args:
        progress: True for a bar, False for nothing, or a function that is called as `progress(done, total)` with whole
            numbers, done never falling and in the end equal to total.
        total: what there is to do.
        label: what the work is called.

    Raises:
        VaelensError: any other `progress`.

    Example:
        >>> seen = []
        >>> with reporting(lambda done, total: seen.append((done, total)), 4, "counting") as report:
        ...     report.advance(1.5)
        ...     report.advance(2)
        >>> seen
        [(1, 4), (3, 4), (4, 4)]
    """
    check_progress(progress)
    if progress is True:
        bar = _Bar()
        report = Report(bar.show, total, label)
    else:
        bar = None
        report = Report((lambda *_: None) if progress is False else _Calls(progress).show, total, label)
    try:
        yield report
        report.finish()
    finally:
        if bar is not None:
            bar.close()


def check_progress(progress: ProgressLike) -> None:
    """Refuses, before anything runs, what is no `progress`.

    Raises:
        VaelensError: neither True nor False nor callable.
    """
    if not isinstance(progress, bool) and not callable(progress):
        raise VaelensError(
            f"progress is {progress!r}; expected True for a bar, False for none, or a function of (done, total)"
        )


class _Calls:
    """Calls a function with whole numbers, each once."""

    def __init__(self, function: Callable[[int, int], Any]):
        self._function = function
        self._last = 0

    def show(self, done: float, total: float, label: str) -> None:
        whole = int(done + 1e-6)  # thirds add up to one, but for their rounding
        if whole > self._last:
            self._last = whole
            self._function(whole, int(total))


class _Bar:
    """A bar that comes late, leaves nothing behind, and is not shown beside another."""

    _shown: ClassVar[bool] = False

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._begin = monotonic()
        self._bar: Progress | None = None

    def show(self, done: float, total: float, label: str) -> None:
        if self._bar is None:
            if not self._console.is_terminal or monotonic() - self._begin < _PATIENCE or _Bar._shown:
                return
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.add_task(label, total=total)
            self._bar.update(self._bar.task_ids[0], completed=done)
            self._bar.start()
            _Bar._shown = True
        self._bar.update(self._bar.task_ids[0], completed=done, description=label)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            _Bar._shown = False
