"""The contest of patching every unit: of the encoder, of the decoder, and of both on the whole VAE.

The outcome is the code for units of the encoder, the image for those of the decoder; what is compared is the mean
effect of each unit. Ours computes the recovered fraction of each and the intervals of both besides.
"""

import functools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

import vaelens as vl
from benchmarks.contest import Contest, Way
from benchmarks.rivals import Rival
from benchmarks.subject import PARTS, Subject

SCOPES = {"all encoder units": ("encoder",), "all decoder units": ("decoder",), "all units": PARTS}


def ours(subject: Subject, parts: Sequence[str]) -> Tensor:
    """The effects of all units of some parts, (units,)."""
    effects = vl.patching_effects(subject.lens, subject.base, subject.source, sites=subject.sites(*parts))
    return torch.as_tensor(effects.effect.values)


def contest(
    subject: Subject, scope: str, rivals: Mapping[str, Rival], others: Sequence[Way] = (), name: str = "patching"
) -> Contest:
    """Ours against the installed ones of some rivals, each on the encoder or the decoder alone, and other ways."""
    parts = SCOPES[scope]
    ways = [Way(rival.label, rival.prepared(subject, parts)) for rival in rivals.values() if rival.installed]
    return Contest(f"{name}, {scope}", functools.partial(ours, subject, parts), [*ways, *others])
