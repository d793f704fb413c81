"""The progress bar, on standard error, of conversions, downloads and checks."""

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

WORTH_SHOWING = 2**25  # bytes; less is done before a bar could be read


def byte_bar(size: int | None) -> Progress:
    """Makes a bar for so many bytes, hidden where they are few or nobody watches, to be used in a `with`."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    hidden = not console.is_terminal or (size is not None and size < WORTH_SHOWING)
    return Progress(*columns, console=console, transient=True, disable=hidden)
