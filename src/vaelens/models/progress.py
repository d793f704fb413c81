"""The progress bar of a training run, with the terms of the loss beside it, on standard error."""

from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class ProgressBar:
    """Shows steps done and to do, the time left, and the terms it is given; used in a `with`.

    Args:
        steps: steps in all.
        done: steps done before.
        visible: whether anything is shown.
    """

    def __init__(self, steps: int, done: int, visible: bool) -> None:
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[terms]}"),
            console=Console(stderr=True),
            disable=not visible,
        )
        self._task = self._bar.add_task("training", total=steps, completed=done, terms="")

    def __enter__(self) -> "ProgressBar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, done: int, terms: Mapping[str, float] | None = None) -> None:
        """Moves on to that step; the terms shown stay until there are others."""
        if terms is None:
            self._bar.update(self._task, completed=done)
        else:
            text = "  ".join(f"{name} {value:.1f}" for name, value in terms.items())
            self._bar.update(self._task, completed=done, terms=text)
