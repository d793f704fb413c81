"""Files that are there whole or not at all: written beside, brought to the disk, then put in place in one move."""

import os
from contextlib import suppress
from pathlib import Path

from vaelens.errors import VaelensError


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file, or leaves what was there as it was.

    Args:
        path: the file; its folder is made where there is none.
        content: all of it.

    Raises:
        VaelensError: it can't be written, as on a full disk or below a file.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except (FileExistsError, NotADirectoryError):
        raise VaelensError(f"{str(path.parent)!r} lies under a file; give a path in a folder") from None
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        reason = error.strerror or type(error).__name__
        raise VaelensError(
            f"{str(path)!r} can't be written ({reason}); give another path, or make room there, and do the same again: "
            "what was there is as it was"
        ) from error
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """Brings a folder's list of names to the disk, where the system lets one."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
