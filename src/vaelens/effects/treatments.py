"""Treatments by interventions on many images, applied to one chunk at a time as `lens.run` applies them to all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vaelens.effects.ablations import Ablation, ablation
from vaelens.errors import VaelensError
from vaelens.lens import Ablate, BatchLike, Intervention, Lens, Site, Subspace


class ChunkedTreatment:
    """Interventions as `lens.run` applies them to all images, for any chunk of the images.

    Args:
        lens: the lens.
        interventions: in order.
        images: all of the images, in their context.
        before: the site that all of them come before.

    Raises:
        VaelensError: something else than interventions, none at all, one at a site that is not before the one named,
            or values that do not fit their site or the number of images.
    """

    def __init__(self, lens: Lens, interventions: Sequence[Any], images: BatchLike, before: str):
        if not interventions or not all(isinstance(each, Intervention) for each in interventions):
            raise VaelensError(
                "treated is a list without interventions; give images, or interventions such as vl.Set(…)"
            )
        order = list(lens.sites)
        for intervention in interventions:
            site = lens.sites[intervention.site]
            if order.index(site.name) >= order.index(before):
                raise VaelensError(
                    f"the mediator {before} is not after the treatment at {site.name}; give a later site"
                )
            intervention.check(site, len(images))
            intervention.region(site)
        self._lens, self._interventions = lens, tuple(interventions)
        sites: dict[tuple[str, int], set[str]] = {}  # of each kind of ablation
        for intervention in interventions:
            if isinstance(intervention, Ablate):
                sites.setdefault(_kind(intervention), set()).add(lens.sites[intervention.site].name)
        self._ablations: dict[tuple[str, int], Ablation] = {
            (method, seed): ablation(method, lens, images, names, seed) for (method, seed), names in sites.items()
        }

    def chunk(self, rows: slice) -> list[Intervention]:
        """Returns the interventions on the images `rows`."""
        return [
            _Gathered(each.site, each.units, each, self._values(each, rows), positions=each.positions)
            for each in self._interventions
        ]

    def _values(self, intervention: Intervention, rows: slice) -> Tensor | None:
        """Gathers what an intervention takes from elsewhere for the images `rows`."""
        site = self._lens.sites[intervention.site]
        if isinstance(intervention, Ablate):
            ablated = self._ablations[_kind(intervention)].activations(rows, [site.name])[site.name]
            return intervention.region(site).source(ablated)
        values = intervention.gather(site, None)
        return values[rows] if values is not None and len(values) > 1 else values


def _kind(intervention: Ablate) -> tuple[str, int]:
    """Returns method and seed, which ablations that can be computed together share."""
    return intervention.method, intervention.seed if intervention.method == "resample" else 0


@dataclass(frozen=True, eq=False)
class _Gathered(Intervention):
    """An intervention with the values that it takes from elsewhere, (n or 1, units, *positions), or None."""

    intervention: Intervention
    values: Tensor | None

    def gather(self, site: Site, base: Tensor | None) -> Tensor | None:
        return self.values

    def apply(self, current: Tensor, values: Tensor | None) -> Tensor:
        return self.intervention.apply(current, values)

    def change_along(self, subspace: Subspace, activation: Tensor, values: Tensor | None) -> Tensor:
        return self.intervention.change_along(subspace, activation, values)
