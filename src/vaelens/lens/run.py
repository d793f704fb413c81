"""Records of a run that hold what came out, what was captured, and whether every intervention took place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens.sites import Sites
from vaelens.markup import table


@dataclass(frozen=True, eq=False)
class Hit:
    """A report that an intervention took place, and of how much it changed.

    Attributes:
        intervention: the record that was applied.
        hits: how often it was applied in one forward of the model.
        change: ‖Δ‖₂ at its site over all images, its units and positions; 0 when it set what was there already.
    """

    intervention: Any
    hits: int
    change: float

    def __repr__(self) -> str:
        kind = type(self.intervention).__name__
        return f"Hit({kind} at {self.intervention.site}, hits={self.hits}, change={self.change:.4g})"


class Activations(dict[str, Tensor]):
    """Captured activations by the names of their sites, which can be looked up by the path of a module too.

    Args:
        by_site: the activations.
        sites: the sites of the model.
    """

    def __init__(self, by_site: Mapping[str, Tensor], sites: Sites):
        super().__init__(by_site)
        self._sites = sites

    def __missing__(self, name: str) -> Tensor:
        site = self._sites[name].name
        if not dict.__contains__(self, site):
            captured = ", ".join(self) or "nothing"
            raise VaelensError(f"the activation of {name} was not captured, only {captured}; give capture={name!r}")
        return dict.__getitem__(self, site)

    def __contains__(self, name: object) -> bool:
        site = self._sites.get(name)
        return site is not None and dict.__contains__(self, site.name)

    def get(self, name: Any, default: Any = None) -> Any:
        """Returns the activation at a site, or the default."""
        site = self._sites.get(name)
        return default if site is None else dict.get(self, site.name, default)


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a lens.

    Attributes:
        code: (n, d, *positions), after the interventions on the latent.
        reconstruction: the decoder's mean image, (n, C, H, W).
        activations: captured activations by site, each (n, units, *positions), after the interventions.
        hits: one report for each intervention, in the order given.
    """

    code: Tensor
    reconstruction: Tensor
    activations: Mapping[str, Tensor] = field(default_factory=dict)
    hits: tuple[Hit, ...] = ()

    def __repr__(self) -> str:
        captured = ", ".join(self.activations) or "nothing"
        return f"Run({len(self.code)} images, captured {captured}, hits={list(self.hits)})"

    def _repr_html_(self) -> str:
        captured = {"code": self.code, "reconstruction": self.reconstruction, **self.activations}
        shapes = table(["of the run", "shape"], [(name, _shape(value)) for name, value in captured.items()])
        hits = [
            (type(hit.intervention).__name__, hit.intervention.site, hit.hits, f"{hit.change:.4g}") for hit in self.hits
        ]
        return shapes + (table(["intervention", "site", "hits", "‖Δ‖₂"], hits) if hits else "")


def _shape(value: Tensor) -> str:
    return "×".join(map(str, value.shape))
