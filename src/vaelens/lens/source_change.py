"""Changes of a part's steps: what an interchange at a site, or an edit of its activation, is to the step behind it."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vaelens.lens.execution import ActivationEdit
from vaelens.lens.hook_points import HookPoint, presented, returned
from vaelens.lens.incremental.layers import Layer
from vaelens.lens.incremental.observation import Kind
from vaelens.lens.incremental.rows import select_rows
from vaelens.lens.incremental.steps import ValueEdit
from vaelens.lens.interchange import SiteInterchange


@dataclass(frozen=True, eq=False)
class SourceChange:
    """The change of a source's step in a rerun: an interchange at its site, or values for all rows."""

    source: SiteInterchange | Tensor
    point: HookPoint | None
    rows: Tensor
    cached: Any
    kind: Kind

    def value(self) -> Any:
        """What the step's value becomes, where nothing before it changes."""
        changed = self.source if isinstance(self.source, Tensor) else self.source.activation()
        if self.point is None:
            return changed
        whole: Any = changed
        if self.point.element is not None and not self.point.functions:
            # Of a value without rows nothing but the site is read.
            whole = select_rows(self.cached, self.rows) if self.kind is Kind.ROWS else self.cached
        return returned(changed, whole, self.point)

    def edit(self, value: Any) -> Any:
        """What flows on in place of the value that these rows have come to."""
        assert self.point is not None, "nothing comes before a part's input"
        assert isinstance(self.source, SiteInterchange), "only inputs are replaced as a whole"
        return returned(self.source.edit(presented(value, self.point)), value, self.point)

    def update(self, layer: Layer, value: Tensor) -> Tensor:
        """What the value of a layer right behind the site becomes, from that in the cached run."""
        assert isinstance(self.source, SiteInterchange), "only single units' changes are updated"
        return self.source.update(layer, value)


def at_point(point: HookPoint, edit: ActivationEdit) -> ValueEdit:
    """Turn the edit of a site's activation into one of its step's value."""
    return lambda value: returned(edit(presented(value, point)), value, point)


def replaced(values: Tensor, activation: Tensor) -> Tensor:
    """Return other values in place of an activation."""
    return values.to(activation)


def both(first: ActivationEdit, second: ActivationEdit, activation: Tensor) -> Tensor:
    """Return what two edits make of an activation, one after the other."""
    return second(first(activation))
