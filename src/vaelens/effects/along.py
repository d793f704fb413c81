"""Lenses along directions, for effects whose units are directions, and how much of a patch no next layer sees."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.outcomes import products
from vaelens.effects.record import Array, Interval, Variables, with_interval
from vaelens.errors import VaelensError
from vaelens.lens import LATENT, Direction, Lens, Region, direction_at
from vaelens.statistics import BootstrapMean, ratio_interval


def along_latents(lens: Lens, units: Any) -> Lens:
    """Builds a lens along directions of the latent.

    Raises:
        VaelensError: no directions, of another site, or taken together: a subspace has no one value to be set to.
    """
    place, _ = direction_at(lens.sites, units, None if getattr(units, "site", None) else LATENT)
    if place.name != LATENT:
        raise VaelensError(
            f"the directions are of {place.name}, and a code is set along directions of the latent; patch them with "
            "vl.patching_effects(lens, base, source, units=direction)"
        )
    if units.together:
        raise VaelensError(
            "directions taken together have no one coordinate to set; leave together out, or patch them with "
            "vl.patching_effects(lens, base, source, units=direction)"
        )
    return lens.along(_with_site(units, LATENT))


def along_sites(lens: Lens, units: Any, sites: Collection[str] | str | None) -> tuple[Lens, tuple[str, ...]]:
    """Builds a lens along directions of one site or several, and returns it with these sites in order.

    Args:
        lens: the lens.
        units: a `Direction`, or several of different sites.
        sites: the sites that were asked for; one alone is that of directions that name none.

    Raises:
        VaelensError: no directions, or other sites than theirs.
    """
    several: Sequence[Any] = units if isinstance(units, list | tuple) else [units]
    asked = None if sites is None else lens.sites.select(sites)
    alone = asked[0] if asked is not None and len(asked) == 1 else None
    placed = []
    for each in several:
        place, _ = direction_at(lens.sites, each, None if getattr(each, "site", None) else alone)
        placed.append(_with_site(each, place.name))
    along = lens.along(*placed)
    names = tuple(name for name in lens.sites if name in {each.site for each in placed})
    if asked is not None and asked != names:
        raise VaelensError(
            f"sites are {', '.join(asked)}, and the directions are of {', '.join(names)}; leave sites out"
        )
    return along, names


def direction_groups(direction: Direction) -> tuple[list[Region], list[str]]:
    """Returns the regions that are one unit each, every direction of a site or all together, and their names."""
    if direction.together:
        return [Region(tuple(range(len(direction))))], ["+".join(direction.names)]
    return [Region((k,)) for k in range(len(direction))], list(direction.names)


class UnseenSums:
    """How much of the patched changes comes from what nothing after a site sees, summed over images.

    With Δ the difference of source and base at the site, Q Δ what a patch of the unit moves it by, and P the projector
    on what the next linear layers do not see,

        unseen_change = Σ <Q P Δ, Q Δ> / Σ ‖Q Δ‖²,   sums over images and positions.

    Args:
        lens: a lens along directions.
        site: where they are.
        groups: which of them is one unit.
        seed: of the bootstrap.
    """

    def __init__(self, lens: Lens, site: str, groups: Sequence[Region], seed: int):
        direction = lens.directions[site]
        self.share = lens.unseen_share(direction)
        self._groups, count = groups, (len(groups),)
        self._unseen, self._whole = (BootstrapMean(count, seed=seed) for _ in range(2))
        projector = lens.engine.parts.unseen(site)
        basis = direction.basis
        whole = basis.completed
        self._vectors = basis.vectors
        # Of coordinates in the whole basis: those of the part that is not seen, for the directions alone.
        self._hidden = None if projector is None else basis.dual @ projector @ whole.vectors.T

    def add(self, difference: Tensor) -> None:
        """Adds the difference of source and base along the directions, (c, units, *positions)."""
        if self._hidden is None:
            return
        moved = difference.reshape(*difference.shape[:2], -1)
        moved = moved.to(torch.promote_types(moved.dtype, torch.float32))
        hidden = self._hidden.to(moved) @ moved  # (c, directions, positions)
        unseen, whole = [], []
        for group in self._groups:
            vectors = self._vectors[list(group.units)].to(moved).T  # (units, directions of the group)
            change, part = ((vectors @ each[:, group.index]).flatten(1) for each in (moved, hidden))
            unseen.append(products(part, change))
            whole.append(products(change, change))
        self._unseen.update(torch.stack(unseen, dim=1))
        self._whole.update(torch.stack(whole, dim=1))

    def change(self) -> tuple[Array, Interval]:
        """Computes the share of the changes and its interval. NaN if nothing changes or the next layer is not known."""
        if self._hidden is None:
            nothing = np.full(len(self._groups), np.nan)
            return nothing, (nothing, nothing)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._unseen.mean / self._whole.mean, ratio_interval(self._unseen, self._whole)


def unseen_variables(sums: Sequence[UnseenSums]) -> Variables:
    """Returns the variables that stand beside patches of directions, one site after the other."""
    shares = np.concatenate([each.share for each in sums])
    means, intervals = zip(*(each.change() for each in sums), strict=True)
    low, high = (np.concatenate([interval[end] for interval in intervals]) for end in range(2))
    change = with_interval("unseen_change", ("unit",), np.concatenate(means), (low, high))
    return {"unseen_share": (("unit",), shares), **change}


def _with_site(direction: Direction, site: str) -> Direction:
    return direction if direction.site == site else direction.at(site)
