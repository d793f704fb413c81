"""What is computed of a view, by runs of one image with the very calls of `vl.Lens` that the copied code makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vaelens.circuits.unit_sets import UnitTable
from vaelens.data import FactorDataset
from vaelens.effects.dataset_rows import rows_at
from vaelens.effects.outcomes import run_cached
from vaelens.errors import VaelensError, unknown
from vaelens.explorer.upload import PACKED, unpacked_picture
from vaelens.explorer.view import Edit, Unit, View
from vaelens.explorer.walk import Walk
from vaelens.lens import (
    IMAGE,
    LATENT,
    Ablate,
    Add,
    Batch,
    Intervention,
    Lens,
    Patch,
    Region,
    Run,
    Scale,
    Set,
    SitePatch,
)

SHOWN = 24  # images to choose from, of which means are too
_KEPT = 16  # runs that are kept for the next request


@dataclass(frozen=True, eq=False)
class Shown:
    """What a view shows. Tensors have one row.

    Attributes:
        base: the reconstruction of the base image.
        source: that of the source image.
        image: what comes of the interventions.
        difference: image − base.
        base_code: the base image's code.
        code: the code after the interventions.
        recoded: the code of the image that came out.
        moved: by site, how far its activation moved, ‖Δ‖ over the norm of the base's.
        changed: ‖image − base‖₂.
        way: how far the image went towards the source's: <image − base, source − base> / ‖source − base‖², NaN where
            base and source look alike.
    """

    base: Tensor
    source: Tensor
    image: Tensor
    difference: Tensor
    base_code: Tensor
    code: Tensor
    recoded: Tensor
    moved: dict[str, float]
    changed: float
    way: float


@dataclass(frozen=True, eq=False)
class UnitCosts:
    """What each unit of a site costs downstream, changed by itself.

    Attributes:
        change: ‖Δ image‖₂, (units,).
        way: how far that takes the image towards the source's, (units,), NaN where base and source look alike.
    """

    change: np.ndarray
    way: np.ndarray


class Scene:
    """A model, the images to look at it by, and circuits of it.

    Args:
        lens: the lens.
        ds: where images come from.
        walks: circuits.
        seed: draws the images to choose from.

    Attributes:
        converts: whether what is decoded is made into something else before it is encoded again, as counts.

    Raises:
        VaelensError: fewer than two images, a circuit of another model, images that do not fit the model.
    """

    def __init__(self, lens: Lens, ds: FactorDataset, walks: Sequence[Walk] = (), seed: int = 0) -> None:
        if len(ds) < 2:
            raise VaelensError(f"{ds.name} has {len(ds)} {ds.observation.noun}; the explorer needs a base and a source")
        for walk in walks:
            walk.check(lens)
        self.lens, self.ds = lens, ds
        self.walks = {walk.factor: walk for walk in walks}
        self.indices = np.sort(ds.draw(min(SHOWN, len(ds)), seed))
        self.images = rows_at(lens, ds, self.indices)
        decoded = lens.reconstruct(self.images[slice(1)])  # a model that they do not fit is refused before the page
        self.converts = lens.observed(decoded) is not decoded
        self.table = UnitTable.of(lens)
        self.spatial = len(lens.sites[LATENT].shape) > 1
        self._observation = lru_cache(_KEPT)(self._find)
        self.run_of = lru_cache(_KEPT)(self._run)
        self.means = lru_cache(_KEPT)(self._means)
        self._unit_costs = lru_cache(_KEPT)(self._costs)

    def observation(self, key: str) -> Batch:
        """Finds the image of a view, in its context where the lens takes one.

        Raises:
            VaelensError: an index that the dataset does not have, or what is neither an index nor a picture.
        """
        return self._observation(key)

    def check(self, view: View) -> None:
        """Refuses a view of another model.

        Raises:
            VaelensError: a latent, site, unit or circuit that this one does not have.
        """
        for latent in view.latents:
            if latent >= self.lens.latents:
                raise VaelensError(f"latent {latent} does not exist; the model has 0 to {self.lens.latents - 1}")
        units: list[Unit] = [(edit.site, unit) for edit in view.edits for unit in edit.units]
        units += [*view.pins, *(unit for members in view.groups.values() for unit in members), *view.names]
        units += [] if view.unit is None else [view.unit]
        for site, unit in units:
            if site not in self.lens.sites:
                raise unknown("site", site, self.lens.sites)
            if unit >= self.lens.sites[site].units:
                raise VaelensError(f"{site} has units 0 to {self.lens.sites[site].units - 1}, not {unit}")
        if view.site and view.site not in self.lens.sites:
            raise unknown("site", view.site, self.lens.sites)
        if view.circuit and view.circuit not in self.walks:
            raise unknown("circuit", view.circuit, self.walks)

    def alone(self, view: View) -> dict[str, tuple[int, ...]]:
        """Lists the units of the set whose circuit run a view shows, by site.

        Raises:
            VaelensError: none is chosen, or it is empty.
        """
        if view.alone == "circuit":
            if not view.circuit:
                raise VaelensError("no circuit is chosen, of which the run could be shown; choose one")
            return {site: tuple(units) for site, units in self.walks[view.circuit].units.items() if units}
        members = view.pins if view.alone == "pins" else view.groups[view.alone]
        inside = {site: tuple(sorted({unit for of, unit in members if of == site})) for site in self.table.sites}
        inside = {site: units for site, units in inside.items() if units}
        if not inside:
            raise VaelensError("no unit is pinned that the source could pass through; pin one")
        return inside

    def outside(self, view: View) -> dict[str, list[int]]:
        """Lists the units that are held at the base's values, by site."""
        inside = self.alone(view)
        rest = {
            site: [unit for unit in range(size) if unit not in inside.get(site, ())]
            for site, size in self.table.sizes.items()
        }
        return {site: units for site, units in rest.items() if units}

    def interventions(self, view: View) -> list[Intervention]:
        """Makes the interventions of a view."""
        if view.alone:
            base = self.run_of(view.base)
            return [Patch(site, units, base) for site, units in self.outside(view).items()]
        move = Add if self.spatial else Set
        latents = [move(LATENT, latent, value) for latent, value in sorted(view.latents.items())]
        return [*latents, *(self._edit(view, edit) for edit in view.edits)]

    def show(self, view: View) -> Shown:
        """Runs a view.

        Raises:
            VaelensError: as `check`, `observation` and `vl.Lens.run`.
        """
        self.check(view)
        base, source = self.run_of(view.base), self.run_of(view.source)
        x = self.observation(view.source if view.alone else view.base)
        edits = self.interventions(view)
        run = self.lens.run(x, edits, capture="all") if edits else base
        image = run.reconstruction
        difference = image - base.reconstruction
        total = source.reconstruction - base.reconstruction
        moved = {site: _ratio(run.activations[site] - start, start) for site, start in base.activations.items()}
        return Shown(
            base.reconstruction,
            source.reconstruction,
            image,
            difference,
            base.code,
            run.code,
            self.lens.encode(x.with_values(self.encodable(image))),
            moved,
            float(difference.double().norm()),
            _way(difference, total),
        )

    def encodable(self, image: Tensor) -> Tensor:
        """Turns what was decoded into what can be encoded, counts for expression, clamped where it has a range."""
        kind, observed = self.lens.observation, self.lens.observed(image)
        return observed if kind.low is None else observed.clamp(kind.low, kind.high)

    def unit_costs(self, view: View) -> UnitCosts:
        """Changes each unit of the view's site by itself, and measures what that does to the image.

        Raises:
            VaelensError: as `check` and `observation`.
        """
        self.check(view)
        factor = view.factor if view.how == "scale" else 0.0
        return self._unit_costs(view.base, view.source, view.site, view.how, factor)

    def _edit(self, view: View, edit: Edit) -> Intervention:
        units = list(edit.units)
        if edit.how == "zero":
            return Ablate(edit.site, units, "zero")
        if edit.how == "scale":
            return Scale(edit.site, units, edit.factor)
        return Patch(edit.site, units, self.run_of(view.source) if edit.how == "patch" else self.means(edit.site))

    def _find(self, key: str) -> Batch:
        if key.startswith(PACKED):
            if self.lens.takes_context:
                raise VaelensError("the model takes a context, which a picture from the browser does not have")
            return self.lens.batch(unpacked_picture(key, self.ds.observation))
        if not key.isdecimal() or int(key) >= len(self.ds):
            raise VaelensError(
                f"{self.ds.name} has {self.ds.observation.noun} 0 to {len(self.ds) - 1}, not {key[:20]!r}"
            )
        return self.lens.batch(rows_at(self.lens, self.ds, np.array([int(key)])))

    def _run(self, key: str) -> Run:
        return self.lens.run(self.observation(key), capture="all")

    def _means(self, site: str) -> Tensor:
        return self.lens.run(self.images, capture=[site]).activations[site].mean(dim=0, keepdim=True)

    def _costs(self, base: str, source: str, site: str, how: str, factor: float) -> UnitCosts:
        before, after = (self.run_of(key) for key in (base, source))
        start = before.activations[site]
        values = {
            "patch": lambda: after.activations[site],
            "zero": lambda: torch.zeros_like(start),
            "mean": lambda: self.means(site),
            "scale": lambda: start * factor,
        }[how]()
        units = self.lens.sites[site].units
        change, way = np.zeros(units), np.zeros(units)
        total = after.reconstruction - before.reconstruction
        cached = run_cached(self.lens, self.observation(base), 0, [site], rerun=True, outcomes=[IMAGE])
        regions = [Region((unit,)) for unit in range(units)]
        for rows in cached.interchange(SitePatch(site, values, regions), IMAGE):
            moved = (rows.values[IMAGE] - cached.image).double().flatten(1)
            groups = rows.rows.groups.cpu().numpy()
            change[groups] = moved.norm(dim=1).cpu().numpy()
            way[groups] = (moved @ total.to(moved).flatten()).cpu().numpy()
        square = float(total.double().square().sum())
        return UnitCosts(change, way / square if square > 0 else np.full(units, np.nan))


def _ratio(change: Tensor, start: Tensor) -> float:
    moved, size = float(change.double().norm()), float(start.double().norm())
    return moved / size if size > 0 else float(moved > 0)


def _way(difference: Tensor, total: Tensor) -> float:
    square = float(total.double().square().sum())
    return float((difference.double() * total.double()).sum()) / square if square > 0 else float("nan")
