"""The progress bar of what goes by bytes: conversions, downloads, checks; on standard error."""

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

WORTH_SHOWING = 2**25  # bytes; less is done before a bar could be read


def byte_bar(size: int | None) -> Progress:
    """A bar for so many bytes, to be used in a `with`; gone at its end, hidden where they are few or nobody watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    hidden = not console.is_terminal or (size is not None and size < WORTH_SHOWING)
    return Progress(*columns, console=console, transient=True, disable=hidden)
