"""Writing that loses nothing, by one process a folder and files that only whole ones replace.

A process that is killed leaves at most a folder `.unfinished-…`, which the next to write there removes, and a lock that
goes with the process.
"""

import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from vaelens.errors import VaelensError, VaelensWarning

_LOCK = ".lock"
_UNFINISHED = ".unfinished-"

_held = threading.local()  # the folders that this thread writes to


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Makes the folder and keeps other processes and threads out of it, inside a `with`.

    It may be nested. A folder that was made for it and stays empty is removed again, with its parents.

    Raises:
        VaelensError: if it is a file, cannot be written, or is being written by another process or thread.
    """
    with unwritten(folder):
        if folder.exists() and not folder.is_dir():
            raise VaelensError(f"{str(folder)!r} is a file; give a folder")
        resolved = folder.resolve()
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
    held: set[Path] = _held.__dict__.setdefault("folders", set())
    if resolved in held:
        yield
        return
    lock = filelock.FileLock(folder / _LOCK, timeout=0)
    try:
        with unwritten(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
    except NotImplementedError:  # a network disk without locks
        warnings.warn(
            f"the disk of {str(folder)!r} knows no locks; see that nothing else writes into it", VaelensWarning, 2
        )
    except filelock.Timeout:
        raise VaelensError(
            f"{str(folder)!r} is being written by another process; wait until it has ended, or give another folder"
        ) from None
    except VaelensError:
        _remove_empty(missing)
        raise
    held.add(resolved)
    try:
        yield
    finally:
        held.remove(resolved)
        with suppress(OSError):  # a system that cannot remove an open file keeps it, which does no harm
            (folder / _LOCK).unlink()
        lock.release()
        _remove_empty(missing)


@contextmanager
def written_whole(folder: Path, kept: Container[str] = ()) -> Iterator[Path]:
    """Yields an empty folder, whose files replace those of the same names in `folder` once all are written.

    They have the permissions that the user's umask gives.

    Args:
        folder: where the files belong; it is made where there is none.
        kept: names of files that are not replaced where they are there.

    Raises:
        VaelensError: if they cannot be written; what was there before is then as it was.
    """
    with unwritten(folder):
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder))
        try:
            yield unfinished
            mode = _usual_mode(unfinished)
            files = sorted(
                path for path in unfinished.iterdir() if not (path.name in kept and (folder / path.name).exists())
            )
            for path in files:
                path.chmod(mode)  # what others write may be for the owner alone
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            for path in files:
                path.replace(folder / path.name)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


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


def remove_unfinished(folder: Path) -> None:
    """Removes what killed processes have left unfinished in a folder. Only its sole writer may."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def put_aside(path: Path) -> None:
    """Takes a file or folder, where there is one, out of the way in one move, for `remove_unfinished` to remove."""
    aside = path.parent / f"{_UNFINISHED}{path.name}"
    if path.exists() or path.is_symlink():
        if aside.exists():
            remove_unfinished(path.parent)
        path.replace(aside)


def is_ours(name: str) -> bool:
    """Says whether a file of that name is a lock or unfinished, and so nothing that a user would miss."""
    return name == _LOCK or name.startswith(_UNFINISHED)


@contextmanager
def unwritten(path: Path) -> Iterator[None]:
    """Turns the system's errors of writing, inside a `with`, into one sentence.

    Raises:
        VaelensError: saying why the path cannot be written.
    """
    try:
        yield
    except filelock.Timeout:  # an OSError too
        raise
    except NotADirectoryError:
        raise VaelensError(f"{str(path)!r} lies under a file; give another folder") from None
    except OSError as error:
        raise VaelensError(
            f"{str(path)!r} cannot be written ({error.strerror or error}); what was there before is as it was: make "
            "room or give another folder"
        ) from error


def _usual_mode(folder: Path) -> int:
    probe = folder / "mode"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    return mode


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:  # the innermost first
        with suppress(OSError):
            folder.rmdir()


def _settle(folder: Path) -> None:
    """Brings a folder's list of names to the disk, where the system lets one."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
