"""CelebA's tables of text, with a row for every picture, whatever the blanks and line ends between its entries."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from vaelens.data.official.damage import damaged, reading

ATTRIBUTES = 40
LONGEST_LINE = 4096  # characters; the official ones have at most some 500


def read_attributes(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Reads the names of the pictures and attributes, and the attributes as uint8 (N, 40), 1 where the file says 1.

    The file has a count, a line of names, and rows of a picture's name and 40 times -1 or 1.

    Raises:
        VaelensError: If the file is not of that form, or has another number of rows than it says.
    """
    lines = _lines(path)
    head, names = next(lines, []), next(lines, [])
    if len(head) != 1 or not head[0].isdecimal():
        raise damaged(path, "it does not begin with the number of its rows")
    if len(set(names)) != ATTRIBUTES or len(names) != ATTRIBUTES:
        raise damaged(path, f"its second line has {len(set(names))} different names, expected {ATTRIBUTES}")
    pictures, values = _rows(path, lines, ATTRIBUTES, {"-1": 0, "1": 1}, first=3)
    if head[0] != str(len(pictures)):
        raise damaged(path, f"it has {len(pictures):,} rows and says that it has {head[0][:20]}")
    return pictures, names, values


def read_partition(path: Path) -> dict[str, int]:
    """Reads the split of every picture, 0 for training, 1 for validation and 2 for testing.

    Raises:
        VaelensError: If a line is not a name and one of these numbers.
    """
    pictures, values = _rows(path, _lines(path), 1, {"0": 0, "1": 1, "2": 2}, first=1)
    return dict(zip(pictures, values[:, 0].tolist(), strict=True))


def _lines(path: Path) -> Iterator[list[str]]:
    """Yields each line's words, up to blank lines at the end."""
    blank = 0
    with reading(path, "a table of text"), path.open(encoding="ascii") as file:
        while line := file.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                raise damaged(path, f"it has a line of more than {LONGEST_LINE:,} characters")
            words = line.split()
            if not words:
                blank += 1
                continue
            yield from ([] for _ in range(blank))
            blank = 0
            yield words


def _rows(
    path: Path, lines: Iterator[list[str]], count: int, values_of: Mapping[str, int], first: int
) -> tuple[list[str], np.ndarray]:
    """Parses rows of a name and so many words that have a value."""
    seen: dict[str, None] = {}
    values = bytearray()
    for number, words in enumerate(lines, first):
        new = bool(words) and words[0] not in seen
        if not new or len(words) != count + 1 or not values_of.keys() >= set(words[1:]):
            shown = " ".join(words)[:40]
            raise damaged(path, f"line {number} is not a new picture with {count} known values: {shown!r}")
        seen[words[0]] = None
        values.extend([values_of[word] for word in words[1:]])
    if not seen:
        raise damaged(path, "it lists no pictures")
    return list(seen), np.frombuffer(values, np.uint8).reshape(-1, count)
