"""The plan of an analysis, which says in plain lines how much of each part is done and how long it takes."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vaelens.analysis.choice import Need, Share
from vaelens.analysis.part import Part

_NAMED = 4  # of the parts that take longest


@dataclass(frozen=True)
class Told:
    """Plain lines on standard error for whoever asked for progress, each flushed at once so that a file has it too.

    Attributes:
        progress: what the user gave: True for lines, anything else for none.
    """

    progress: Callable[..., Any] | bool

    def say(self, line: str) -> None:
        """Prints a line."""
        if self.progress is True:
            print(f"vaelens: {line}", file=sys.stderr, flush=True)

    def step(self, line: str) -> None:
        """Prints a line where no bar shows the same."""
        if not sys.stderr.isatty():
            self.say(line)


def estimate_line(parts: Mapping[str, Part], needs: Mapping[str, Need], shares: Mapping[str, Share]) -> str:
    """Says how long the parts will take in all, and which of them longest."""
    seconds = {name: needs[name].seconds(shares[name]) for name in shares}
    longest = sorted(seconds, key=lambda name: -seconds[name])[:_NAMED]
    named = ", ".join(f"{name} {duration(seconds[name])} ({amount(parts[name], shares[name])})" for name in longest)
    rest = f", {len(seconds) - len(longest)} others" if len(seconds) > len(longest) else ""
    return f"the analysis will take up to about {duration(sum(seconds.values()))}: {named}{rest}"


def amount(part: Part, share: Share) -> str:
    """Says how much of a part is done."""
    if not part.counted:
        return "all"
    images = f"{share.images:,}" if share.images == part.full else f"{share.images:,} of {part.full:,}"
    pieces = f", {share.pieces} of {len(part.pieces)} sites" if share.pieces < len(part.pieces) else ""
    return f"{images} {part.counted}{pieces}"


def described(part: Part, share: Share) -> dict[str, Any]:
    """Records how much of a part was done, in types that JSON holds."""
    record: dict[str, Any] = {"counted": part.counted, "taken": share.images, "of": part.full}
    if len(part.pieces) > 1:
        record |= {"sites": share.pieces, "of_sites": len(part.pieces)}
    return record


def shortened(taken: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Lists the parts that were cut short, and how far they were done.

    Args:
        taken: of each part as `described` gives it.

    Example:
        >>> shortened({"latent": {"counted": "images", "taken": 16, "of": 64}})
        ['latent 16 of 64 images']
    """
    told = []
    for name, part in taken.items():
        cut = []
        if part["taken"] < part["of"]:
            cut.append(f"{part['taken']:,} of {part['of']:,} {part['counted']}")
        if part.get("sites", 0) < part.get("of_sites", 0):
            cut.append(f"{part['sites']} of {part['of_sites']} sites")
        if cut:
            told.append(f"{name} {', '.join(cut)}")
    return told


def more_time(taken: Mapping[str, Mapping[str, Any]], seconds: float) -> str:
    """Says what more time would bring, if anything.

    Args:
        taken: of each part as `described` gives it.
        seconds: that all of every part would take.
    """
    cut = shortened(taken)
    if not cut:
        return ""
    return f"in about {duration(seconds)} every part would be whole; now: {'; '.join(cut)}"


def duration(seconds: float) -> str:
    """Writes a time as it would be said.

    Example:
        >>> duration(0.31), duration(42.4), duration(300), duration(5500)
        ('0.3 s', '42 s', '5.0 min', '1.5 h')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
