"""Warnings that point at the user's line, however deep in here the cause is seen."""

import sys
import warnings

from vaelens.errors import VaelensWarning


def warn(message: str) -> None:
    """Gives a `VaelensWarning` where the user's code called into the package."""
    level, frame = 1, sys._getframe(0)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "vaelens":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, VaelensWarning, stacklevel=level)
