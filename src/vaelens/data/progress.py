"""The progress bar of what goes by bytes: conversions, downloads, checks; on standard error."""

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

WORTH_SHOWING = 2**25  # bytes; less is done before a bar could be read


def byte_bar(size: int | None) -> Progress:
    """A bar for so many bytes, to be used in a `with`; hidden where they are few."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=size is not None and size < WORTH_SHOWING)
