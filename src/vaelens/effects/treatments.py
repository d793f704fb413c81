"""Treatments by interventions on many images, had a few images at a time with what they are on all of them at once.

What an intervention takes from the other images, a mean or another image's values, costs a forward of these images; no
activation is kept but the means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaelens.effects.sweep import chunks
from vaelens.errors import VaelensError
from vaelens.float64 import to_float64
from vaelens.lens import Ablate, Intervention, Lens, Site, other_images


class ChunkedTreatment:
    """Interventions as `lens.run` applies them to all images, for any part of the images.

    Args:
        lens: the lens.
        given: the interventions, in order.
        images: all of the images, (n, C, H, W).
        before: the site that all of them come before.

    Raises:
        VaelensError: something else than interventions, none at all, one at a site that is not before the one given,
            or values that do not fit their site or the number of images.
    """

    def __init__(self, lens: Lens, given: Sequence[Any], images: Tensor, before: str):
        if not given or not all(isinstance(one, Intervention) for one in given):
            raise VaelensError(
                "treated is a list without interventions; give images, or interventions such as vl.Set(…)"
            )
        order = list(lens.sites)
        for one in given:
            there = lens.sites[one.site]
            if order.index(one.site) >= order.index(before):
                raise VaelensError(f"the mediator {before} is not after the treatment at {one.site}; give a later site")
            one.check(there, len(images))
            one.region(there)
        self._lens, self._images = lens, images
        means = self._means({one.site for one in given if isinstance(one, Ablate) and one.method == "mean"})
        # What each takes from elsewhere: rows of its own, or the images whose values it takes.
        self._taken: list[tuple[Intervention, Tensor | None]] = []
        for one in given:
            if isinstance(one, Ablate) and one.method == "resample":
                self._taken.append((one, torch.as_tensor(other_images(len(images), one.seed))))
            else:
                self._taken.append((one, one.gather(lens.sites[one.site], means.get(one.site))))

    def of(self, rows: slice) -> list[Intervention]:
        """The interventions on the images `rows`."""
        found: list[Intervention] = []
        for one, taken in self._taken:
            if isinstance(one, Ablate) and one.method == "resample":
                assert taken is not None, "resample ablation has partners"
                values = self._lens.run(self._images[taken[rows]], capture=[one.site]).activations[one.site]
                taken = one.region(self._lens.sites[one.site]).take(values)
            elif taken is not None and len(taken) > 1:
                taken = taken[rows]
            found.append(_Gathered(one.site, one.units, one, taken, positions=one.positions))
        return found

    def _means(self, sites: set[str]) -> dict[str, Tensor]:
        """The mean activation of some sites over all images without a treatment, (1, units, *positions)."""
        totals: dict[str, Tensor] = {}
        for rows in chunks(len(self._images), self._lens.engine.rows) if sites else []:
            for site, values in self._lens.run(self._images[rows], capture=sites).activations.items():
                total = to_float64(values).sum(dim=0, keepdim=True)
                totals[site] = totals[site] + total if site in totals else total
        return {site: total / len(self._images) for site, total in totals.items()}


@dataclass(frozen=True, eq=False)
class _Gathered(Intervention):
    """An intervention that has what it takes from elsewhere, (n or 1, units, *positions), or takes nothing."""

    intervention: Intervention
    taken: Tensor | None

    def gather(self, site: Site, base: Tensor | None) -> Tensor | None:
        return self.taken

    def apply(self, current: Tensor, given: Tensor | None) -> Tensor:
        return self.intervention.apply(current, given)
