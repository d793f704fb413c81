"""The steps that run again when activations change, which are those between them and what is wanted, and no others.

A linear layer right behind a site is not even run: a change of a few units adds their columns' part to its value.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from vaelens.lens.incremental.layers import Layer
from vaelens.lens.incremental.observation import Kind, Observed, is_by_shape
from vaelens.lens.incremental.rectified import rectified, rectify
from vaelens.lens.incremental.rows import select_rows
from vaelens.lens.incremental.steps import Step, ValueEdit, Values, last_uses

_RESHAPES = ("flatten", "view", "reshape", "_unsafe_view")  # functions


@runtime_checkable
class StepChange(Protocol):
    """A change of one step's value, for the rows that run again. A part passes a `lens.source_change.SourceChange`."""

    def value(self) -> Any:
        """Returns what the step's value becomes, where nothing before it changes."""

    def edit(self, value: Any) -> Any:
        """Returns what flows on in place of the value that these rows have come to."""

    def update(self, layer: Layer, value: Tensor) -> Tensor:
        """Returns what the value of a layer right behind the step becomes, from that in the cached run."""
        ...


@dataclass(frozen=True, eq=False)
class Rerun:
    """One run again.

    Attributes:
        cached: the cached run's values of the changed steps, the boundary and the targets.
        rows: which of its rows, (m,), in any order and number; None for all of them.
        changes: by step.
        clamps: by step, what keeps a treatment's values.
        calls: by step, another way to its value.
    """

    cached: Mapping[Step, Any]
    rows: Tensor | None
    changes: Mapping[Step, StepChange]
    clamps: Mapping[Step, ValueEdit]
    calls: Mapping[Step, Callable[[Mapping[Step, Any]], Any]]


@dataclass(frozen=True, eq=False)
class Downstream:
    """The steps to run again after changes at some steps, for some targets.

    Attributes:
        sources: the steps that change by themselves.
        targets: the steps that are wanted.
        steps: to run again, in order.
        boundary: steps whose values come from the cached run.
        updates: of the steps to run again, the layers whose value is updated instead, with the source before each.
        rectified: ReLUs that are written over what they are given.
        begin: sources of which the whole value is needed and nothing before them runs again.
        floats: numbers of the largest value of a step to run again, for one image.
        done: for each step to run again the values that nobody reads after it.
        kinds: how each step's value depends on the number of images.
    """

    sources: tuple[Step, ...]
    targets: tuple[Step, ...]
    steps: tuple[Step, ...]
    boundary: tuple[Step, ...]
    updates: Mapping[Step, tuple[Layer, Step]]
    rectified: frozenset[Step]
    begin: tuple[Step, ...]
    floats: int
    done: Sequence[Sequence[Step]]
    kinds: Mapping[Step, Kind]

    def run(self, rerun: Rerun) -> dict[Step, Any]:
        """Runs the steps again, and returns the targets' values for these rows."""
        values: Values = {}
        for step in self.boundary:
            if step not in self.updates:
                cached = rerun.cached[step]
                values[step] = select_rows(cached, rerun.rows) if self.kinds[step] is Kind.ROWS else cached
        for step in self.begin:
            values[step] = rerun.changes[step].value()
        for k, step in enumerate(self.steps):
            if step in self.updates:
                layer, source = self.updates[step]
                values[step] = rerun.changes[source].update(layer, rerun.cached[step])
            elif step in self.rectified:
                values[step] = rectify(step, values)
            else:
                values[step] = rerun.calls.get(step, step)(values)
            if step in rerun.clamps:
                values[step] = rerun.clamps[step](values[step])
            if step in rerun.changes:
                values[step] = rerun.changes[step].edit(values[step])
            for finished in self.done[k]:  # its memory is warm, and the next step's value takes it
                values.pop(finished, None)
        return {target: values[target] for target in self.targets}


def downstream(
    known: Observed, sources: Sequence[Step], targets: Sequence[Step], layers: Mapping[Step, Layer]
) -> Downstream:
    """Finds the steps that have to run again after changes at some steps.

    Args:
        known: the part.
        sources: the steps that change.
        targets: the steps that are wanted.
        layers: the linear layers that may be updated rather than run.
    """
    changed = _changed(known, sources)
    updates = {
        step: (layer, source)
        for step, layer in layers.items()
        if step in changed and (source := _updated_from(known, step, layer, sources, changed)) is not None
    }
    again: set[Step] = set()
    boundary: set[Step] = set()
    begin: set[Step] = set()
    pending, seen = list(targets), set(targets)
    while pending:
        step = pending.pop()
        if step in sources and not _reached(step, sources, changed):
            begin.add(step)
            continue
        if step in updates:
            again.add(step)
            boundary.add(step)
            continue
        if step.state or step in changed or (known.kinds[step] is Kind.COUNT):
            again.add(step)
            fresh = [argument for argument in step.inputs if argument not in seen]
            seen.update(fresh)
            pending += fresh
        else:
            boundary.add(step)
    order = known.program.order.__getitem__
    steps = tuple(sorted(again, key=order))
    return Downstream(
        tuple(sources),
        tuple(targets),
        steps,
        tuple(sorted(boundary, key=order)),
        {step: update for step, update in updates.items() if step in again},
        rectified(steps, {*targets, *sources}),
        tuple(sorted(begin, key=order)),
        max((known.floats[step] for step in steps), default=0),
        last_uses(steps, targets),
        known.kinds,
    )


def _changed(known: Observed, sources: Collection[Step]) -> set[Step]:
    """Finds the steps whose values, not only shapes, depend on the sources'."""
    changed = set(sources)
    for step in known.program.steps:
        if is_by_shape(step) or not known.floats[step]:
            continue
        if any(argument in changed for argument in step.inputs):
            changed.add(step)
    return changed


def _reached(source: Step, sources: Collection[Step], changed: Collection[Step]) -> bool:
    """Tells whether a source is itself changed by what comes before it."""
    return any(argument in changed for argument in source.inputs)


def _updated_from(
    known: Observed, step: Step, layer: Layer, sources: Collection[Step], changed: Collection[Step]
) -> Step | None:
    """Returns the source by whose change alone a layer's value can be updated, or None where it must be run."""
    if step in sources or not layer.updatable or len(known.shapes.get(layer.data, ())) != layer.axes:
        return None  # also where it is given several rows an image, or images on another axis than the first
    for source in sources:
        if (layer.data is source or reshapes(known, layer.data, source)) and not _reached(source, sources, changed):
            return source
    return None


def reshapes(known: Observed, step: Step, source: Step) -> bool:
    """Tells whether a step lays out each image's activation in one row, in the order of memory."""
    plain = step.function in _RESHAPES if step.module is None else type(step.module) is nn.Flatten
    return (
        plain
        and [argument for argument in step.inputs if known.floats[argument]] == [source]
        and known.shapes.get(step) == (known.floats[source],)
    )
