"""One folder, one writer: a lock on a folder while an analysis is written into it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vaelens.errors import VaelensError, VaelensWarning

LOCK = ".lock"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Keeps others from writing an analysis into the folder, which is made where there is none, during a `with`.

    Raises:
        VaelensError: another is writing there, or the folder can't be made or written to.
    """
    if folder.exists() and not folder.is_dir():
        raise VaelensError(f"{str(folder)!r} is a file; give a folder")
    path, missing_folders = folder / LOCK, [place for place in (folder, *folder.parents) if not place.exists()]
    lock = FileLock(path, timeout=0, is_singleton=True)  # who holds it may take it again
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise VaelensError(
            f"another analysis is being written into {str(folder)!r}; wait for its end, or give another folder"
        ) from None
    except NotImplementedError:  # a network disk without locks
        warnings.warn(
            f"the disk of {str(folder)!r} knows no locks; see that nothing else writes into it", VaelensWarning, 2
        )
    except (FileExistsError, NotADirectoryError):
        raise VaelensError(f"{str(folder)!r} lies under a file; give another folder") from None
    except OSError as error:
        raise VaelensError(
            f"{str(folder)!r} can't be written to ({error.strerror or error}); give another folder"
        ) from error
    try:
        yield
    finally:
        if missing_folders and [file.name for file in folder.iterdir()] == [LOCK]:  # nothing came of it
            path.unlink()
            for place in missing_folders:
                if not any(place.iterdir()):
                    place.rmdir()
        lock.release()
