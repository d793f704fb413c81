"""Patching of every unit against plain PyTorch: one forward with one hook for each."""

import functools
from collections.abc import Iterator

from benchmarks.contest import Contest, Way
from benchmarks.patching import SCOPES, contest
from benchmarks.rivals import HOOKS
from benchmarks.rivals.hooks import whole
from benchmarks.subject import PARTS, Subject


def contests(subject: Subject) -> Iterator[Contest]:
    """The encoder and the decoder alone; and both, also by hooks on the whole VAE."""
    for scope, parts in SCOPES.items():
        run = functools.partial(whole, subject.model, subject.base, subject.source)
        yield contest(subject, scope, HOOKS, [Way("forward hooks on the whole VAE", run)] if parts == PARTS else ())
