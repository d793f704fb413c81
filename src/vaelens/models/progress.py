"""The progress bar of a training run, with the terms that matter most beside it, on standard error."""

from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SHOWN = {  # the terms shown, as far as they fit, and what they are called
    "loss": "loss",
    "reconstruction": "reconstruction",
    "kl": "kl",
    "commitment": "commitment",
    "perplexity": "perplexity",
    "active_latents": "active latents",
}
_BAR = 10


class ProgressBar:
    """Shows steps done and to do, the time left, and the terms it is given, inside a `with`.

    Args:
        steps: steps in all.
        done: steps done before.
        visible: whether anything is shown.
    """

    def __init__(self, steps: int, done: int, visible: bool) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(_BAR),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[terms]}"),
            console=self._console,
            disable=not visible,
        )
        self._task = self._bar.add_task("training", total=steps, completed=done, terms="")
        self._beside = len(f"training  {steps}/{steps} 0:00:00 ") + _BAR + 1  # what the line holds besides the terms

    def __enter__(self) -> "ProgressBar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, done: int, terms: Mapping[str, float] | None = None) -> None:
        """Moves on to that step. The terms shown stay until there are others."""
        if terms is None:
            self._bar.update(self._task, completed=done)
        else:
            text = summary(terms, self._console.width - self._beside)
            self._bar.update(self._task, completed=done, terms=text)


def summary(terms: Mapping[str, float], width: int) -> str:
    """Writes the terms that matter most, in their order, as many as fit.

    Example:
        >>> summary({"loss": 12.345, "kl": 2.0, "squared_error": 0.1, "active_latents": 3.0}, width=40)
        'loss 12.3  kl 2.0  active latents 3'
        >>> summary({"loss": 12.345, "kl": 2.0, "active_latents": 3.0}, width=20)
        'loss 12.3  kl 2.0'
    """
    text = ""
    for name, label in _SHOWN.items():
        if name in terms:
            value = f"{terms[name]:.0f}" if name == "active_latents" else f"{terms[name]:.1f}"
            longer = f"{text}  {label} {value}".strip()
            if len(longer) > width:
                break
            text = longer
    return text
