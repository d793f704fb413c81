"""Official files that a user already has, taken into the folder that datasets are kept in."""

import shutil
from collections.abc import Callable
from pathlib import Path

from vaelens.data.annotations import Name, PathLike
from vaelens.data.arguments import checked_path
from vaelens.data.files.condition import fault
from vaelens.data.files.places import data_root
from vaelens.data.files.source import SourceFile
from vaelens.data.files.sources import source_of
from vaelens.errors import VaelensError


def take(
    name: Name, path: PathLike, root: PathLike | None = None, link: bool = False, tell: Callable[[str], None] = print
) -> list[Path]:
    """Checks a dataset's official files and copies them into `root/<name>/`.

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
    origin = checked_path(path, "the path to import from must be that of a file or folder").resolve()
    if not origin.exists():
        raise VaelensError(f"there is no {str(origin)!r}; give a file of {name}, or a folder with its files")
    files = [file for need in source.needs for file in need.forms]
    present = _present(origin, name, files)
    if not present:
        names = ", ".join(file.name for file in files)
        raise VaelensError(f"{str(origin)!r} holds no file of {name}; expected one of {names}")
    for path_present, file in present:
        problem = fault(path_present, file)
        if problem:
            raise VaelensError(f"{str(path_present)!r} {problem}; get it anew from {source.page}")
    return [_taken(path, place / name / file.name, link, tell) for path, file in present]


def _present(origin: Path, name: str, files: list[SourceFile]) -> list[tuple[Path, SourceFile]]:
    by_name = [(origin, file) for file in files if file.name == origin.name]
    if by_name:
        return by_name
    places = ((folder / file.name, file) for file in files for folder in (origin, origin / name))
    return [(place, file) for place, file in places if place.exists()]


def _taken(origin: Path, target: Path, link: bool, tell: Callable[[str], None]) -> Path:
    if target.exists() and target.resolve() == origin:
        tell(f"{target} is there already")
        return target
    if target.is_dir() and not target.is_symlink():
        raise VaelensError(f"{str(target)!r} is there already; move it away, then run this again")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    _remove(part)
    try:
        if link:
            part.symlink_to(origin, target_is_directory=origin.is_dir())
        elif origin.is_dir():
            shutil.copytree(origin, part)
        else:
            shutil.copyfile(origin, part)
        part.replace(target)
    except BaseException:
        _remove(part)
        raise
    tell(f"{'linked' if link else 'copied'} {origin} to {target}")
    return target


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)
