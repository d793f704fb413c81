"""Official files that a user already has, taken into the folder that datasets are kept in."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vaelens.data.files.condition import fault
from vaelens.data.files.places import data_root
from vaelens.data.files.sources import SourceFile, source_of
from vaelens.errors import VaelensError


def take(name: Any, path: Any, root: Any = None, link: bool = False, tell: Callable[[str], None] = print) -> list[Path]:
    """Check a dataset's official files and copy them into `root/<name>/`.

    Args:
        name: The dataset.
        path: One of its files, or a folder that holds them or a folder of the dataset's name that does.
        root: The folder that datasets are kept in; see `load_dataset`.
        link: Whether to make symbolic links in place of copies.
        tell: Is given a sentence for each file.

    Returns:
        Where the files are now.

    Raises:
        VaelensError: If the path holds none of the files, or one is truncated or altered; then nothing is taken.
    """
    source, place = source_of(name), data_root(root)
    given = Path(os.fspath(path)).expanduser().resolve()
    if not given.exists():
        raise VaelensError(f"there is no {str(given)!r}; give a file of {name}, or a folder with its files")
    files = [file for need in source.needs for file in need.forms]
    found = _found(given, name, files)
    if not found:
        names = ", ".join(file.name for file in files)
        raise VaelensError(f"{str(given)!r} holds no file of {name}; expected one of {names}")
    for at, file in found:
        problem = fault(at, file)
        if problem:
            raise VaelensError(f"{str(at)!r} {problem}; get it anew from {source.page}")
    return [_taken(at, place / name / file.name, link, tell) for at, file in found]


def _found(given: Path, name: str, files: list[SourceFile]) -> list[tuple[Path, SourceFile]]:
    by_name = [(given, file) for file in files if file.name == given.name]
    if by_name:
        return by_name
    places = ((folder / file.name, file) for file in files for folder in (given, given / name))
    return [(place, file) for place, file in places if place.exists()]


def _taken(at: Path, target: Path, link: bool, tell: Callable[[str], None]) -> Path:
    if target.exists() and target.resolve() == at:
        tell(f"{target} is there already")
        return target
    if target.is_dir() and not target.is_symlink():
        raise VaelensError(f"{str(target)!r} is there already; move it away, then run this again")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    _remove(part)
    try:
        if link:
            part.symlink_to(at, target_is_directory=at.is_dir())
        elif at.is_dir():
            shutil.copytree(at, part)
        else:
            shutil.copyfile(at, part)
        part.replace(target)
    except BaseException:
        _remove(part)
        raise
    tell(f"{'linked' if link else 'copied'} {at} to {target}")
    return target


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)
