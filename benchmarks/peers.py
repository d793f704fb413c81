"""Patching of every unit against the libraries that are installed."""

from collections.abc import Iterator

from benchmarks.contest import Contest
from benchmarks.patching import SCOPES, contest
from benchmarks.rivals import LIBRARIES
from benchmarks.subject import Subject


def contests(subject: Subject) -> Iterator[Contest]:
    """The encoder and the decoder alone, and both."""
    if any(library.installed for library in LIBRARIES.values()):
        for scope in SCOPES:
            yield contest(subject, scope, LIBRARIES)
