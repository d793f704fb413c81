"""The reason that an error of somebody else's gives, in one line."""

_MOST = 240  # characters: PyTorch lists every tensor that does not fit


def reason(error: BaseException) -> str:
    """Returns an error's message in one line of bounded length, or its class where it has none.

    Example:
        >>> reason(ValueError("no\\n  weights")), reason(EOFError())
        ('no weights', 'EOFError')
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
