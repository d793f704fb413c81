"""The bounds on what is unpacked, made or chosen at once, each stated in the error that it raises."""

import math
from collections.abc import Sequence

from vaelens.arguments import whole_number
from vaelens.data.annotations import Count
from vaelens.errors import VaelensError

MOST_BYTES = 2**29  # that a small file may unpack to, unless more is asked for
MOST_PIXELS = 2**25  # of one picture, unless more is asked for; a larger one takes above half a GB to decode
MOST_CELLS = 10**7  # of a table of labels in a file
MOST_ROWS = 2 * 10**6
MOST_TABLE_BYTES = 2**26  # of a table of labels as a file
MOST_COLUMNS = 1000  # of a table of labels
IMAGES_AT_ONCE = 2**33  # bytes of images in one call
MOST_PAIRS = 10**7  # chosen in one call
MOST_INDIVIDUALS = 10**7  # of a causal model
MOST_LEVELS = 1000  # bins of a continuous label
MOST_SIDE = 4096  # pixels that pictures may be resized to


def check_images_at_once(name: str, count: int, shape: Sequence[int]) -> None:
    """Refuses to make so many images of a shape at once that memory hardly holds them."""
    size = 4 * count * math.prod(shape)
    if size > IMAGES_AT_ONCE:
        most = IMAGES_AT_ONCE // (4 * math.prod(shape))
        raise VaelensError(
            f"{count:,} images of {name} take {as_bytes(size)} at once, the bound is {as_bytes(IMAGES_AT_ONCE)}; make "
            f"at most {most:,} at a time, with ds.images_at or ds.pair_draw"
        )


def checked_pairs(n: Count) -> int:
    """Checks the number of pairs to choose."""
    count = whole_number("n", n, low=1)
    if count > MOST_PAIRS:
        raise VaelensError(f"n is {count}; expected at most {MOST_PAIRS:,} pairs in one call")
    return count


def as_bytes(size: int) -> str:
    """Writes a number of bytes as a sentence has it.

    Example:
        >>> as_bytes(900), as_bytes(2**29), as_bytes(8_600_000_000)
        ('900 bytes', '537 MB', '8.6 GB')
    """
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"
