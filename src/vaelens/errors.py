"""The one error a user can cause, and the one warning; their grammar: what came, what was expected, what to do."""

import difflib
from collections.abc import Iterable


class VaelensError(ValueError):
    """Raised for everything a user can cause; the message says what came, what was expected and what to do."""


class VaelensWarning(UserWarning):
    """Given where work goes on, but is probably in vain; the message says what was seen, why, and what to do."""


def unknown(kind: str, name: object, known: Iterable[str]) -> VaelensError:
    """The error for a mistyped name: lists what is known and suggests the nearest.

    Example:
        >>> unknown("dataset", "sprite", ["digits", "sprites"])
        VaelensError("unknown dataset 'sprite'; known: digits, sprites; did you mean 'sprites'?")
    """
    names = list(known)
    message = f"unknown {kind} {name!r}; known: {', '.join(names) or 'none'}"
    nearest = difflib.get_close_matches(str(name), names, n=1)
    if nearest:
        message += f"; did you mean {nearest[0]!r}?"
    return VaelensError(message)
