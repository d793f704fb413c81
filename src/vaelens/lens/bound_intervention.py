"""Bound interventions, each of which is tied to its site, its values and the rows of a chunk, and counted."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.float64 import to_float64
from vaelens.lens.execution import ActivationEdit
from vaelens.lens.interventions import Intervention
from vaelens.lens.run import Hit
from vaelens.lens.sites import Site, Sites
from vaelens.lens.subspace import Subspace


class BoundIntervention:
    """An intervention tied to a site and to what it takes from elsewhere, which counts its hits and its change."""

    def __init__(self, intervention: Intervention, site: Site, base: Tensor | None):
        self.site = site.name
        self._intervention = intervention
        self.region = intervention.region(site)
        values = intervention.gather(site, base)
        self._values = None if values is None else values.detach()
        self._hits: Counter[int] = Counter()  # by the chunk's first row
        self._squares = 0.0

    def __call__(self, activation: Tensor, rows: slice) -> Tensor:
        """Edits a copy of the activation of the images `rows`, and counts the hit."""
        values = self._values
        if values is not None:
            values = (values if len(values) == 1 else values[rows]).to(activation)
        edited = activation.clone()
        if isinstance(self.region, Subspace):
            self.region.move(edited, self._intervention.change_along(self.region, activation, values))
            change = edited - activation
        else:
            current = self.region.take(activation)
            new = self._intervention.apply(current, values)
            change = new - current
            self.region.put(edited, new)
        self._hits[rows.start] += 1
        self._squares += float(to_float64(change).square().sum())
        return edited

    def report(self) -> Hit:
        """Reports how often it took place in one forward, and ‖Δ‖₂ over all images.

        Raises:
            VaelensError: it never did.
        """
        if not self._hits:
            raise VaelensError(
                f"{type(self._intervention).__name__} at {self.site} was never applied: the forward did not reach it"
            )
        return Hit(self._intervention, max(self._hits.values()), math.sqrt(self._squares))


def checked(edits: Sequence[Any], sites: Sites, images: int) -> set[str]:
    """Refuses unfit interventions before anything runs, and returns the sites whose unedited activations they need.

    Raises:
        VaelensError: something else than an intervention, an unknown site or unit, values that do not fit.
    """
    for edit in edits:
        if not isinstance(edit, Intervention):
            raise VaelensError(f"{edit!r} is not an intervention; use vl.Set, vl.Add, vl.Scale, vl.Ablate or vl.Patch")
        edit.check(sites[edit.site], images)
        edit.region(sites[edit.site])
    return {sites[edit.site].name for edit in edits if edit.needs_base}


def edits_for(rows: slice, interventions: Sequence[BoundIntervention]) -> Mapping[str, ActivationEdit]:
    """Builds one edit for each site, its interventions in the order given, for the images `rows` of a run."""
    grouped: dict[str, list[BoundIntervention]] = {}
    for bound in interventions:
        grouped.setdefault(bound.site, []).append(bound)
    return {site: _in_order(group, rows) for site, group in grouped.items()}


def _in_order(interventions: Sequence[BoundIntervention], rows: slice) -> ActivationEdit:
    def edit(activation: Tensor) -> Tensor:
        for bound in interventions:
            activation = bound(activation, rows)
        return activation

    return edit
