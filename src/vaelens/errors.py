"""The one error a user can cause, and the one warning. Each says what came, what was expected and what to do."""

import difflib
from collections.abc import Iterable


class VaelensError(ValueError):
    """Raised for everything a user can cause. The message says what came, what was expected and what to do."""


class VaelensWarning(UserWarning):
    """Issued where work continues but is probably in vain. The message says what was seen, why, and what to do."""


def unknown(kind: str, name: object, known: Iterable[str], unlisted: Iterable[str] = ()) -> VaelensError:
    """Makes the error for a mistyped name, which lists known names and suggests the nearest, also of those unlisted.

    Example:
        >>> unknown("dataset", "sprite", ["digits", "sprites"])
        VaelensError("unknown dataset 'sprite'; known: digits, sprites; did you mean 'sprites'?")
    """
    names = list(known)
    message = f"unknown {kind} {name!r}; known: {', '.join(names) or 'none'}"
    # Of names that are as near, one that is listed: the sort is stable.
    close = [difflib.get_close_matches(str(name), group, n=1) for group in (names, list(unlisted))]
    nearest = sorted(
        (match for group in close for match in group),
        key=lambda match: -difflib.SequenceMatcher(None, match, str(name)).ratio(),
    )
    if nearest:
        message += f"; did you mean {nearest[0]!r}?"
    return VaelensError(message)
