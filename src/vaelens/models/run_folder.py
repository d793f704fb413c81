"""The folder of a run, where a new run works in it, and how a finished one takes an older one's place.

A run that replaces another works in `.replacement` inside the folder and moves out of it when it is done, so that the
older one stays whole until then; whatever moment it is killed at, the next to open the folder goes on from there.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vaelens.errors import VaelensError
from vaelens.writing import is_ours, put_aside, remove_unfinished, sole_writer, unwritten, written_whole

_NAMES = ("config.json", "model.safetensors", "training.json", "checkpoints", "logs", "tensorboard", "analysis")
_REPLACEMENT = ".replacement"
_DONE = ".done"  # in the replacement: it is whole and on its way
_KEPT = "README.md"  # may be the user's own


def checkpoint_path(folder: Path) -> Path:
    """Returns where a run in that folder keeps its last checkpoint."""
    return folder / "checkpoints" / "last.safetensors"


@contextmanager
def run_folder(folder: Path, resume: bool, overwrite: bool) -> Iterator[Path]:
    """Opens the folder for one run, inside a `with`, and yields where the run is to work.

    Args:
        folder: where the run belongs; made where there is none, and removed again if nothing comes of it.
        resume: whether the run goes on with one that is there.
        overwrite: whether it replaces what is there, which stays whole until the `with` ends without an error.

    Raises:
        VaelensError: if another process is at it, it cannot be written, or it holds anything of a run and neither is
            asked for.
    """
    if resume and overwrite:
        raise VaelensError("resume and overwrite were both asked for; give one of them")
    with sole_writer(folder):
        replacement = folder / _REPLACEMENT
        with unwritten(folder):
            if (replacement / _DONE).exists():
                _move_in(replacement, folder)
            for unfinished in (folder, folder / "checkpoints", replacement, replacement / "checkpoints"):
                remove_unfinished(unfinished)
        run = run_in(folder)
        begun = is_replaced(folder)
        if not (begun and resume) and (overwrite or not run or not begun):
            shutil.rmtree(replacement, ignore_errors=True)
        if resume:
            where = replacement if begun else folder
        elif overwrite and run:
            where = replacement
        elif run:
            unfinished = ", and an unfinished run that was to replace it" if begun else ""
            raise VaelensError(
                f"{str(folder)!r} is not free: it holds {', '.join(run)}{unfinished}; go on with the run in it by "
                "resume=True (--resume), replace it by overwrite=True (--overwrite), or give another folder"
            )
        else:
            where = folder
        if where == folder:
            with _without_empty(folder):
                yield folder
            return
        with sole_writer(replacement):
            with _without_empty(replacement):
                yield replacement
            names = sorted(path.name for path in replacement.iterdir() if not is_ours(path.name))
            with written_whole(replacement) as unfinished:
                (unfinished / _DONE).write_text("\n".join(names), encoding="utf-8")
        with unwritten(folder):
            _move_in(replacement, folder)


def is_begun(folder: Path) -> bool:
    """Says whether there is a checkpoint in the folder to go on from."""
    return checkpoint_path(folder).exists() or is_replaced(folder)


def is_replaced(folder: Path) -> bool:
    """Says whether an unfinished run is to replace the one in the folder."""
    return checkpoint_path(folder / _REPLACEMENT).exists()


def run_in(folder: Path) -> list[str]:
    """Returns the names of what is there of a run."""
    paths = [folder / name for name in _NAMES]
    return [path.name for path in paths if path.exists() and (not path.is_dir() or any(path.iterdir()))]


@contextmanager
def _without_empty(folder: Path) -> Iterator[None]:
    """Leaves no folder of a run behind in which nothing was written."""
    try:
        yield
    finally:
        for name in _NAMES:
            with suppress(OSError):
                (folder / name).rmdir()


def _move_in(replacement: Path, folder: Path) -> None:
    """Puts what the replacement holds in the place of the run before. One that was killed is gone on with."""
    names = (replacement / _DONE).read_text(encoding="utf-8").splitlines()
    for name in names:
        if not (replacement / name).exists():  # moved before a kill
            continue
        if name == _KEPT and (folder / name).exists():
            continue
        put_aside(folder / name)
        (replacement / name).replace(folder / name)
    for name in _NAMES:
        if name not in names:
            put_aside(folder / name)
    put_aside(replacement)
    remove_unfinished(folder)
