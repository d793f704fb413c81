"""The reason that an error of somebody else's gives, in one line."""

_MOST = 240  # characters: PyTorch lists every tensor that does not fit


def reason(error: BaseException) -> str:
    """An error's message in one line, cut where it goes on and on; its class where it says nothing.

    Example:
        >>> reason(ValueError("no\\n  weights")), reason(EOFError())
        ('no weights', 'EOFError')
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
