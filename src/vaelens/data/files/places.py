"""Where a dataset's official files lie on this machine, in `root` or in the folder of `root` named for the dataset."""

import os
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from vaelens.data.annotations import PathLike
from vaelens.data.arguments import checked_path
from vaelens.data.files.sources import SOURCES
from vaelens.errors import VaelensError


def data_root(root: PathLike | None = None) -> Path:
    """Finds the folder that datasets are kept in.

    Args:
        root: A folder; by default the one that the environment variable VAELENS_DATA names, else `data` in the
            user's data folder of vaelens.

    Raises:
        VaelensError: If the root is no path, or a file.
    """
    if root is None:
        named = os.environ.get("VAELENS_DATA")
        if not named:
            return platformdirs.user_data_path("vaelens", appauthor=False) / "data"
        return checked_path(named, "VAELENS_DATA must be a folder's path")
    folder = checked_path(root, "root must be a folder's path")
    if folder.is_file():
        raise VaelensError(f"root must be a folder, got the file {str(folder)!r}; name the folder that it is in")
    return folder


def candidates(root: Path, dataset: str, file: str) -> tuple[Path, Path]:
    """Lists the two places where a file of a dataset may lie."""
    return root / file, root / dataset / file


def find(root: Path, dataset: str, *files: str, variant: str | None = None) -> Path:
    """Finds the first of these files that is there.

    Args:
        root: The folder that datasets are kept in.
        dataset: The dataset's name.
        *files: Names of files or folders that will do equally.
        variant: The dataset's variant, where it has several.

    Raises:
        VaelensError: If there is none; the message says where it was looked for, and how to get it.
    """
    for file in files:
        for place in candidates(root, dataset, file):
            if place.exists():
                return place
    raise VaelensError(
        f"{' or '.join(files)} of {dataset} was not found in {str(root)!r} or {str(root / dataset)!r}; "
        f"{how_to_get(dataset, root, variant)}"
    )


def how_to_get(dataset: str, root: Path, variant: str | None = None) -> str:
    """Says what to do where a dataset's file is missing or damaged, in half a sentence."""
    source = SOURCES[dataset]
    intake = f"vaelens data import {dataset} --from PATH --root {root}"
    if source.agreement:
        return f"its terms must be agreed to, so get it from {source.page} yourself, then `{intake}`"
    if source.needed(variant)[0].forms[0].addresses:
        which = f" --variant {variant}" if variant else ""
        return f"get it with `vaelens data fetch {dataset}{which} --root {root}`"
    return f"get it from {source.page}, then `{intake}`"


def file_records(files: Iterable[Path]) -> list[dict[str, object]]:
    """Lists the files' names and sizes, for provenance, and of a folder its name."""
    return [
        {"name": file.name, "bytes": file.stat().st_size} if file.is_file() else {"name": file.name} for file in files
    ]
