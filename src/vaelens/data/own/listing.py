"""The files of a folder that are to be pictures, and what is passed over, such as links that lead elsewhere.

A file costs no look at its status, so that fifty thousand names are listed in a moment.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from vaelens.data.annotations import Name
from vaelens.data.arguments import is_utf8
from vaelens.errors import VaelensError

LITTER = ("thumbs.db", "desktop.ini", "__macosx")  # what systems leave in folders

BROKEN, LEAVING, LINKED = "broken link", "link out of the folder", "linked folder"
HIDDEN, SPECIAL, UNMATCHED = "hidden or system file", "device, socket or pipe", "file that the pattern leaves out"
LOSSES = (BROKEN, LEAVING, LINKED, SPECIAL)  # what a user may not expect to be passed over


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder.

    Attributes:
        files: Their names relative to the folder, sorted.
        passed_over: How many of what else there is were passed over, by what they are.
    """

    files: tuple[str, ...]
    passed_over: Counter[str] = field(default_factory=Counter)

    def passed_over_in_words(self, kinds: tuple[str, ...] | None = None) -> str:
        """Lists what was passed over, with how many of each.

        Example:
            >>> Listing((), Counter({BROKEN: 2, HIDDEN: 1})).passed_over_in_words()
            '2 broken links, 1 hidden or system file'
        """
        shown = [(what, count) for what, count in self.passed_over.items() if kinds is None or what in kinds]
        return ", ".join(f"{count:,} {_plural(what) if count > 1 else what}" for what, count in shown)


def list_pictures(folder: Path, pattern: Name, table: Path | None, links: bool) -> Listing:
    """Lists the files of a folder, and of the folders in it, that match a pattern, whatever the capitals.

    Args:
        folder: The folder.
        pattern: Such as "*.png", matched against the end of names relative to the folder.
        table: A file that is no picture.
        links: Whether to follow links that leave the folder, and linked folders.

    Raises:
        VaelensError: If the pattern is none, a folder can't be read, a name is no UTF-8, or nothing matches.
    """
    wanted = _checked_pattern(pattern)
    passed_over: Counter[str] = Counter()
    files = []
    for name in _walk(folder, links, passed_over):
        if wanted != "*" and not PurePosixPath(name.lower()).match(wanted):
            passed_over[UNMATCHED] += 1
            continue
        if table is not None and name.endswith(table.name) and (folder / name).resolve() == table:
            continue
        if not name.isascii() and not is_utf8(name):
            raise VaelensError(
                f"the file name {os.fsencode(name)!r} in {str(folder)!r} is no UTF-8; rename it, or give a pattern "
                "that leaves it out"
            )
        files.append(name)
    listing = Listing(tuple(sorted(files)), passed_over)
    if not files:
        words = listing.passed_over_in_words()
        tail = f" ({words} passed over)" if words else ""
        follow = "; give links=True to follow links" if passed_over[LEAVING] or passed_over[LINKED] else ""
        message = f"{str(folder)!r} holds no pictures that match {pattern!r}{tail}; give a folder of pictures{follow}"
        raise VaelensError(message)
    return listing


def _walk(folder: Path, links: bool, passed_over: Counter[str]) -> Iterator[str]:
    """Yields the names of files relative to a folder, and counts what is passed over."""
    root = os.path.realpath(folder)
    waiting, visited = [(str(folder), "")], {root}
    while waiting:
        path, prefix = waiting.pop()
        for entry in _entries(path):
            name = prefix + entry.name
            if entry.name.startswith(".") or entry.name.lower() in LITTER:
                passed_over[HIDDEN] += 1
            elif entry.is_symlink():
                target, kind = _target(entry.path)
                inside = target == root or target.startswith(root.rstrip(os.sep) + os.sep)
                if not target:
                    passed_over[BROKEN] += 1
                elif stat.S_ISDIR(kind):
                    if links and target not in visited:
                        visited.add(target)
                        waiting.append((entry.path, f"{name}/"))
                    elif not links:
                        passed_over[LINKED] += 1
                elif not stat.S_ISREG(kind):
                    passed_over[SPECIAL] += 1
                elif inside or links:
                    yield name
                else:
                    passed_over[LEAVING] += 1
            elif entry.is_dir(follow_symlinks=False):
                if links:
                    visited.add(os.path.realpath(entry.path))
                waiting.append((entry.path, f"{name}/"))
            elif entry.is_file(follow_symlinks=False):
                yield name
            else:
                passed_over[SPECIAL] += 1


def _entries(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except OSError as error:
        raise VaelensError(
            f"the folder {path!r} can't be read ({error.strerror}); move it away, or make it readable"
        ) from error


def _target(link: str) -> tuple[str, int]:
    """Finds what a link leads to, and its kind, or nothing."""
    try:
        target = os.path.realpath(link, strict=True)
        return target, os.stat(target).st_mode  # noqa: PTH116
    except OSError:
        return "", 0


def _checked_pattern(pattern: Name) -> str:
    if not isinstance(pattern, str) or not pattern.strip("/") or "\0" in pattern:
        raise VaelensError(f"pattern is {pattern!r}; expected a pattern of file names, such as '*.png'")
    return pattern.lower()


def _plural(what: str) -> str:
    """Puts the noun of a kind of thing into the plural."""
    noun, _, rest = what.partition(" ") if what.startswith(("link ", "file ")) else (what, "", "")
    if what == SPECIAL:
        return "devices, sockets or pipes"
    return f"{noun}s {rest}" if rest else f"{what}s"
