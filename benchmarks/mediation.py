"""Mediation by every unit against the plain loop: two forwards with a hook for each unit.

The outcome is the image, so that a forward is of the whole VAE for the encoder's units and of the decoder alone for its
own. What is compared are the direct and the indirect fraction of each unit; ours computes their intervals besides.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

import vaelens as vl
from benchmarks.contest import Contest, Way
from benchmarks.rivals.hooks import activation, replaced
from benchmarks.subject import PARTS, Subject, point_names


def contests(subject: Subject) -> Iterator[Contest]:
    """Every site of the encoder; every site of the decoder but its output."""

    def contest(part: str) -> Contest:
        def ours() -> Tensor:
            return mediated(subject, part)

        way = Way("forward hooks", lambda: hooked(subject.model, part, subject.base, subject.source))
        return Contest(f"mediation, all {part} units", ours, [way])

    yield from map(contest, PARTS)


def mediated(subject: Subject, part: str) -> Tensor:
    """Direct and indirect fraction of every unit of a part, (2, units)."""
    found = [
        vl.mediation_effects(subject.lens, subject.base, subject.source, site=site) for site in subject.sites(part)
    ]
    rows = [[torch.as_tensor(effects[name].values) for effects in found] for name in ("direct", "indirect")]
    return torch.stack([torch.cat(row) for row in rows])


@torch.no_grad()
def hooked(model: vl.VAE, part: str, base: Tensor, treated: Tensor) -> Tensor:
    """The same by two forwards for each unit: the mediator held at the base's values, and at the treated ones."""
    forward: Callable[[Tensor], Tensor] = model.decode
    if part == "encoder":
        forward = model
    else:
        base, treated = model.encode(base)[0], model.encode(treated)[0]
    layers, start = getattr(model, part), forward(base)
    total = forward(treated) - start
    square, direct, indirect = total.double().square().sum(), [], []
    for name in point_names(layers):
        point = layers.get_submodule(name)
        untreated = activation(point, lambda: forward(base))
        under = activation(point, lambda: forward(treated))
        for unit in range(under.shape[1]):
            with replaced(point, unit, untreated):
                direct.append(((forward(treated) - start).double() * total).sum() / square)
            with replaced(point, unit, under):
                indirect.append(((forward(base) - start).double() * total).sum() / square)
    return torch.stack([torch.stack(direct), torch.stack(indirect)])
