"""Changes of a part's steps, which carry out interchanges at sites and edits of their activations."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from vaelens.lens.execution import ActivationEdit
from vaelens.lens.hook_points import HookPoint, presented, returned
from vaelens.lens.incremental.layers import Layer
from vaelens.lens.incremental.observation import Kind
from vaelens.lens.incremental.rows import select_rows
from vaelens.lens.incremental.steps import ValueEdit
from vaelens.lens.interchange import SiteInterchange

INPUT = "the part's input"

Sources = Mapping[str, SiteInterchange | Tensor]  # by site, or INPUT: an interchange, or the rows' new values


@dataclass(frozen=True, eq=False)
class SourceChange:
    """The change of a source's step in a rerun, an interchange at its site or values for all rows."""

    source: SiteInterchange | Tensor
    point: HookPoint | None
    rows: Tensor
    cached: Any
    kind: Kind

    def value(self) -> Any:
        """Returns what the step's value becomes, where nothing before it changes."""
        changed = self.source if isinstance(self.source, Tensor) else self.source.activation()
        if self.point is None:
            return changed
        whole: Any = changed
        if self.point.basis is not None or (self.point.element is not None and not self.point.functions):
            # Of a value without rows nothing but the site is read.
            whole = select_rows(self.cached, self.rows) if self.kind is Kind.ROWS else self.cached
        return returned(changed, whole, self.point)

    def edit(self, value: Any) -> Any:
        """Returns what flows on in place of the value that these rows have come to."""
        assert self.point is not None, "nothing comes before a part's input"
        assert isinstance(self.source, SiteInterchange), "only inputs are replaced as a whole"
        return returned(self.source.edit(presented(value, self.point)), value, self.point)

    def update(self, layer: Layer, value: Tensor) -> Tensor:
        """Returns what the value of a layer right behind the site becomes, from that in the cached run."""
        assert isinstance(self.source, SiteInterchange), "only single units' changes are updated"
        return self.source.update(layer, value)


def at_point(point: HookPoint, edit: ActivationEdit) -> ValueEdit:
    """Turns the edit of a site's activation into one of its step's value."""
    return lambda value: returned(edit(presented(value, point)), value, point)


def edits_at(sources: Sources, clamps: Mapping[str, ActivationEdit]) -> dict[str, ActivationEdit]:
    """Returns for each site the edit that makes its change under hooks, after whatever a treatment has set there."""
    edits = dict(clamps)
    for site, source in sources.items():
        if site != INPUT:
            edit = source.edit if isinstance(source, SiteInterchange) else partial(_replaced, source)
            edits[site] = partial(_both, edits[site], edit) if site in edits else edit
    return edits


def new_values(source: SiteInterchange | Tensor) -> Tensor:
    """Returns the values of the rows after a change, in memory of their own."""
    return source.activation() if isinstance(source, SiteInterchange) else source.clone()


def _replaced(values: Tensor, activation: Tensor) -> Tensor:
    return values.to(activation)


def _both(first: ActivationEdit, second: ActivationEdit, activation: Tensor) -> Tensor:
    return second(first(activation))
