"""The folder for what is made once and can be made again: rendered views, decoded images."""

import os
from pathlib import Path
from typing import Any

import platformdirs

from vaelens.errors import VaelensError


def cache_folder(root: Any = None) -> Path:
    """The folder: `root`, or what the environment variable VAELENS_CACHE names, or the user's cache folder.

    Raises:
        VaelensError: If the root is no path, or a file.
    """
    named = os.environ.get("VAELENS_CACHE") if root is None else root
    if not named:
        return platformdirs.user_cache_path("vaelens", appauthor=False)
    if not isinstance(named, (str, os.PathLike)):
        raise VaelensError(f"root must be the path of the folder to keep what is rendered in, got {named!r}")
    folder = Path(os.fspath(named))
    if folder.is_file():
        raise VaelensError(f"root must be the folder to keep what is rendered in, got the file {str(folder)!r}")
    return folder
