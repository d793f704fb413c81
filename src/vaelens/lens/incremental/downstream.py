"""What runs again when a site's activation changes: the steps between it and what is wanted, and nothing else.

A linear layer right behind the site is not even run: a change of a few units adds their columns' part to its value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.lens.incremental.layers import Layer
from vaelens.lens.incremental.observation import Kind, Observed, is_by_shape
from vaelens.lens.incremental.rectified import rectified, rectify
from vaelens.lens.incremental.steps import Edit, Step, Values, last_uses

_RESHAPES = ("flatten", "view", "reshape")  # of operations, by which their steps' names begin


@dataclass(frozen=True, eq=False)
class Downstream:
    """The steps to run again after a change at one site, for one target.

    Attributes:
        site: the step that changes.
        target: the step that is wanted.
        steps: to run again, in order; empty where the site does not reach the target.
        boundary: steps whose values come from the base run.
        updates: of the steps to run again, the layers whose value is updated instead.
        rectified: ReLUs that are written over what they are given.
        reads_site: whether a step needs the site's whole activation.
        floats: numbers of the largest value of a step to run again, for one image.
        done: for each step to run again the values that nobody reads after it.
    """

    site: Step
    target: Step
    steps: tuple[Step, ...]
    boundary: tuple[Step, ...]
    updates: Mapping[Step, Layer]
    rectified: frozenset[Step]
    reads_site: bool
    floats: int
    done: Sequence[Sequence[Step]]

    def run(
        self,
        kept: Mapping[Step, Any],
        kinds: Mapping[Step, Kind],
        rows: Tensor | None,
        activation: Callable[[], Any],
        update: Callable[[Layer, Tensor], Tensor],
        calls: Mapping[Step, Callable[[Mapping[Step, Any]], Any]],
        edits: Mapping[Step, Edit],
    ) -> Any:
        """The target's value for some rows.

        Args:
            kept: the base run's values of the site, the boundary and the target.
            kinds: of the steps.
            rows: which of the base run's rows, (m,), in any order and number; None for all of them.
            activation: gives the site's value for these rows.
            update: takes a layer and its value in the base run, and gives the value after the change on these rows.
            calls: by step, another way to its value.
            edits: by step, what flows on in place of its value.
        """
        if self.target is self.site:
            return activation()
        values: Values = {}
        for step in self.boundary:
            if step not in self.updates:
                values[step] = taken(kept[step], rows) if kinds[step] is Kind.ROWS else kept[step]
        if self.reads_site:
            values[self.site] = activation()
        for k, step in enumerate(self.steps):
            if step in self.updates:
                values[step] = update(self.updates[step], kept[step])
            elif step in self.rectified:
                values[step] = rectify(step, values)
            else:
                values[step] = calls.get(step, step)(values)
            if step in edits:
                values[step] = edits[step](values[step])
            for done in self.done[k]:  # its memory is warm, and the next step's value takes it
                values.pop(done, None)
        return values[self.target]


def downstream(known: Observed, site: Step, target: Step, layers: Mapping[Step, Layer]) -> Downstream:
    """Find the steps that a change at a site makes necessary to run again.

    Args:
        known: the part.
        site: the step that changes.
        target: the step that is wanted.
        layers: the linear layers that may be updated rather than run.
    """
    changed = _changed(known, site)
    updates = {
        step: layer
        for step, layer in layers.items()
        if step in changed
        and layer.updatable
        and (layer.data is site or _reshapes(known, layer.data, site))
        and len(known.shapes[layer.data]) == layer.axes
    }
    again: set[Step] = set()
    boundary: set[Step] = set()
    reads_site = False
    pending, seen = [target], {target}
    while pending:
        step = pending.pop()
        if step is site:
            reads_site = True
            continue
        if step in updates:
            again.add(step)
            boundary.add(step)
            continue
        if step.state or step in changed or (known.kinds[step] is Kind.COUNT and step not in known.drawn):
            again.add(step)
            fresh = [one for one in step.inputs if one not in seen]
            seen.update(fresh)
            pending += fresh
        else:
            boundary.add(step)
    order = known.program.order
    if target not in changed:
        again, reads_site = set(), False
    steps = tuple(sorted(again, key=order.__getitem__))
    return Downstream(
        site,
        target,
        steps,
        tuple(sorted(boundary, key=order.__getitem__)),
        {step: layer for step, layer in updates.items() if step in again},
        rectified(steps, {target}),
        reads_site,
        max((known.floats[step] for step in steps), default=0),
        last_uses(steps, [target]),
    )


def taken(value: Any, rows: Tensor | None) -> Any:
    """Some rows of a value, in its memory layout; the value itself for all."""
    if rows is None:
        return value
    if isinstance(value, tuple | list):
        parts = [taken(part, rows) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if layout_of(value) is torch.channels_last:
        return value.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)
    return value.index_select(0, rows)


def layout_of(value: Tensor) -> torch.memory_format:
    """Whether a value has its channels last in memory, and could not as well have them first."""
    if value.ndim == 4 and not value.is_contiguous() and value.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format


def _changed(known: Observed, site: Step) -> set[Step]:
    """The steps whose values, not only shapes, hang on the site's."""
    changed = {site}
    for step in known.program.steps:
        if step in known.drawn or is_by_shape(step) or not known.floats[step]:
            continue
        if any(one in changed for one in step.inputs):
            changed.add(step)
    return changed


def _reshapes(known: Observed, step: Step, site: Step) -> bool:
    """Whether a step lays out each image's activation in one row, in the order of memory."""
    plain = step.name.startswith(_RESHAPES) if step.module is None else type(step.module) is nn.Flatten
    return (
        plain
        and [one for one in step.inputs if known.floats[one]] == [site]
        and known.shapes[step] == (known.floats[site],)
    )
