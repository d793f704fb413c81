"""The paths that users name, as options of the command line or arguments of functions, resolved in one place."""

import os
from pathlib import Path

from vaelens.errors import VaelensError


def user_path(name: str, value: object) -> Path:
    """Resolves a path that a user gave, a leading `~` standing for the home folder.

    Args:
        name: what the option or argument is called, for the error.
        value: a text or a path; it need not be there.

    Raises:
        VaelensError: if it is no path, is empty or blank, or cannot be the name of a file.

    Example:
        >>> user_path("--out", "runs/first").parts
        ('runs', 'first')
        >>> user_path("--out", "")
        Traceback (most recent call last):
        vaelens.errors.VaelensError: --out is ''; expected the path of a file or folder ('.' is the current folder)
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        raise VaelensError(f"{name} is {value!r}; expected the path of a file or folder")
    if not text.strip():
        raise VaelensError(f"{name} is {text!r}; expected the path of a file or folder ('.' is the current folder)")
    if "\0" in text:
        raise VaelensError(f"{name} is {text!r}; no file or folder can have a zero byte in its name")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise VaelensError(
            f"{name} is {os.fsencode(text)!r}, a name that is not UTF-8; rename it, since model files can only be "
            "written and read under names in UTF-8"
        ) from None
    path = os.path.expanduser(text)  # noqa: PTH111 - a Path would take './~' for the home folder too
    if path.startswith("~"):  # of a user whom the system does not know
        raise VaelensError(f"{name} is {text!r}; there is no such home folder, and a file of that name is ./{text}")
    return Path(path)
