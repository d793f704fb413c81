"""Stretches of a model from one site to the next, on which only some units change.

Nothing is computed for the others where only a layer and elementwise functions lie in between.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise

import torch
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens.batch import Batch
from vaelens.lens.cached_part import CachedPart, first_result
from vaelens.lens.counterfactuals import IMAGE
from vaelens.lens.hook_points import counts_units
from vaelens.lens.incremental.layers import Layer
from vaelens.lens.incremental.rows import select_units
from vaelens.lens.incremental.ways import Way, find_way, passes_by
from vaelens.lens.interchange import Interchange
from vaelens.lens.model_part import RESULT, ModelPart
from vaelens.lens.model_parts import ModelParts
from vaelens.lens.sites import LATENT, Sites
from vaelens.lens.source_change import INPUT

Units = Sequence[int]
Rerun = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, eq=False)
class Stretch:
    """What lies between one site and the next, or the image.

    Attributes:
        site: where it begins.
        free: units of the site that may change.
        starts: units of the site of which changes are computed, the free ones at least; None for all.
        ends: likewise of the next site, or the image.
        activation: of the site in the cached run, (c, units, *positions).
        after: of the next one.
        way: a layer and functions of each number by itself, if no more lies between.
        value: the layer's in the cached run.
        rerun: from the site's values of some rows to all values of the next, whatever lies between.
    """

    site: str
    free: Units
    starts: Units | None
    ends: Units | None
    activation: Tensor
    after: Tensor
    way: Way | None
    value: Tensor | None
    rerun: Rerun

    @cached_property
    def from_free(self) -> Layer:
        """The layer from the free units to the next site's, which ignores changes of any other unit."""
        assert self.way is not None, "there is a layer"
        return self.way.narrowed(self.starts, self.ends, self.free)

    @cached_property
    def from_all(self) -> Layer:
        """The layer from all units to the next site's."""
        assert self.way is not None, "there is a layer"
        return self.way.narrowed(None, self.ends, None)

    @cached_property
    def layer_value(self) -> Tensor:
        """The layer's value in the cached run."""
        assert self.value is not None, "there is a layer"
        assert self.way is not None, "there is a layer"
        return self.way.values_of(self.value, self.ends)

    @cached_property
    def before(self) -> Tensor:
        """The site's activation in the cached run."""
        return self.activation if self.starts is None else select_units(self.activation, self.starts)

    def begin(self, interchange: Interchange) -> Tensor:
        """Computes the next site's activation after an interchange at the site, (m, ends, *positions)."""
        at_site = interchange.at(self.site)
        if self.way is None:
            return self._rerun(at_site.activation(), interchange.rows.rows, interchange.selection)
        if self._severed:
            return self._unchanged(len(interchange.rows) // len(self.activation))
        return self.way.follow(at_site.update(self.from_all, self.layer_value))

    def go_on(self, values: Tensor) -> Tensor:
        """Computes the next site's activation where the site's free units take some values.

        Args:
            values: (m, starts, *positions), which are written over; the cached run's rows, once or several times over.
        """
        images, times = len(self.activation), len(values) // len(self.activation)
        if self.way is None:
            places = list(self.free) if self.starts is None else slice(None)
            whole = self.activation.repeat(times, *[1] * (self.activation.ndim - 1))
            whole[:, list(self.free)] = values[:, places]
            rows = torch.arange(images, device=values.device).repeat(times)
            return self._rerun(whole, rows, None if times == 1 else rows)
        if not self._severed:
            each_time(values, images).sub_(self.before)
        return self.after_change(values)

    def after_change(self, change: Tensor) -> Tensor:
        """Computes the next site's activation where the site's free units change by some amounts.

        Args:
            change: (m, starts, *positions), rows as of `go_on`; of units that are not free it has no effect.
        """
        images = len(self.activation)
        if self.way is None:
            return self.go_on(each_time(change, images).add(self.before).flatten(0, 1))
        if self._severed:
            return self._unchanged(len(change) // images)
        value = self.from_free.apply(change.flatten(1) if self.from_free.axes == 1 else change)
        each_time(value, images).add_(self.layer_value)
        return self.way.follow(value)

    @property
    def _severed(self) -> bool:
        """Whether no unit before it or none behind it may change."""
        return not self.free or (self.ends is not None and not self.ends)

    def _unchanged(self, times: int) -> Tensor:
        """Computes the next site's activation where nothing before it changes, without what a treatment had set."""
        assert self.way is not None, "there is a layer"
        return self.way.follow(self.layer_value.repeat(times, *[1] * (self.layer_value.ndim - 1)))

    def _rerun(self, values: Tensor, rows: Tensor, selection: Tensor | None) -> Tensor:
        after = self.rerun(values, rows, selection)
        return after if self.ends is None else after[:, list(self.ends)]


def each_time(values: Tensor, images: int) -> Tensor:
    """Views values of images that are repeated several times as (times, images, …)."""
    return values.unflatten(0, (-1, images))


def stretches(
    parts: ModelParts,
    sites: Sites,
    runs: Mapping[str, CachedPart],
    code: Tensor,
    units: Mapping[str, Units],
    often: bool,
) -> list[Stretch] | None:
    """Lists the stretches from each site to the next, the last to the image.

    None where a change at a site can pass by the next one, or where rows belong together.

    Args:
        parts: the model.
        sites: its sites.
        runs: the cached runs of encoder and decoder, cached for all sites but the output.
        code: the cached code, (c, d, *positions).
        units: by site, all but the output, those that may change.
        often: whether many runs will follow, so that it is worth selecting what any of them needs of cached values.

    Raises:
        VaelensError: a site that the run was not cached for, or whose free units are missing or named twice.
    """
    inside = {name: [site for site in sites.of(name) if site != sites.output] for name in ("encoder", "decoder")}
    whole = {part: [INPUT, *inside[name], RESULT] for name, part in _halves(parts)}
    if (
        parts.coupled
        or parts.form is not None
        or parts.basis is not None
        or not all(_is_chain(part, names) for part, names in whole.items())
    ):
        return None
    runs = {name: replace(run, clamped={}) for name, run in runs.items()}  # free units are free of a treatment
    activations = {**runs["encoder"].activations, LATENT: code, **runs["decoder"].activations}
    for site in (*inside["encoder"], LATENT, *inside["decoder"]):
        if site not in activations or site not in units:
            missing = "its free units, () for none" if site in activations else "it to engine.cached_run in sites="
            raise VaelensError(f"a confined run is of all sites but the output, and lacks {site}; give {missing}")
        if len(set(units[site])) < len(units[site]):
            raise VaelensError(f"free units of {site}: {list(units[site])} names a unit twice; name each once")
    activations[IMAGE] = first_result(runs["decoder"].result)
    computed = {site: free if often or 2 * len(free) <= sites[site].units else None for site, free in units.items()}
    stretches_of_part: list[Stretch] = []
    for name, part in _halves(parts):
        for start, end in pairwise(whole[part][name == "encoder" :]):  # before the encoder's first site is no site
            site = LATENT if start == INPUT else start
            after = (LATENT if name == "encoder" else IMAGE) if end == RESULT else end
            quantised = start == INPUT and parts.quantisation is not None
            way = None if quantised else _way(part, start, end)
            value = None if way is None else runs[name].values.get(way.step)
            stretches_of_part.append(
                Stretch(
                    site=site,
                    free=units[site],
                    starts=computed[site],
                    ends=computed.get(after),
                    activation=activations[site],
                    after=activations[after],
                    way=None if value is None else way,
                    value=value,
                    rerun=partial(_rerun, part, runs[name], start, end, parts.decodable if quantised else None),
                )
            )
    return stretches_of_part


def _is_chain(part: ModelPart, names: Sequence[str]) -> bool:
    """Tells whether each site changes the result through the next one alone, with no connection that skips it."""
    traced = part.as_steps()
    if traced is None:
        return False
    steps = [part.step(traced, name) for name in names]
    return not any(passes_by(traced.known, start, end, steps[-1]) for start, end in pairwise(steps[:-1]))


def _way(part: ModelPart, start: str, end: str) -> Way | None:
    """Finds the way from a site, or INPUT, to the next, or RESULT. None where it is more than a layer."""
    traced = part.as_steps()
    points = [part.points[name] for name in (start, end) if name in part.points]
    if traced is None or any(not counts_units(point) or point.element is not None for point in points):
        return None
    return find_way(traced.known, traced.layers, part.step(traced, start), part.step(traced, end))


def _halves(parts: ModelParts) -> list[tuple[str, ModelPart]]:
    return [("encoder", parts.encoder), ("decoder", parts.decoder)]


def _rerun(
    part: ModelPart,
    run: CachedPart,
    start: str,
    end: str,
    taken: Callable[[Batch], Tensor] | None,
    values: Tensor,
    rows: Tensor,
    selection: Tensor | None,
) -> Tensor:
    """Runs a part of the model again from one of its sites to the next."""
    given = values if taken is None else taken(Batch(values))
    return part.rerun(run, rows, selection, {start: given}, [end])[end]
