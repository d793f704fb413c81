"""Level 3: activation patching and ablation of every unit, and path-specific patching.

Costs one forward of the unit's part for each image and unit whose value changes; memory does not grow with the number
of images.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from vaelens.arguments import check_seed
from vaelens.effects.record import Array, record, unit_coords, with_interval
from vaelens.effects.sweep import chunks
from vaelens.effects.worlds import World, checked_outcome, counterfactuals, world
from vaelens.errors import VaelensError, unknown
from vaelens.lens import Lens, Patch
from vaelens.lens.images import checked_images
from vaelens.lens.interventions import ABLATIONS, other_images
from vaelens.lens.regions import checked_unit, has_units, regions, resolve_units, unit_name
from vaelens.statistics import BootstrapMean, ratio_interval

METHODS = ("patch", *ABLATIONS)


def patching_effects(
    lens: Lens,
    base: Any,
    source: Any = None,
    sites: str | Collection[str] | None = None,
    method: str = "patch",
    outcome: str | None = None,
    seed: Any = 0,
    unit: Any = "channel",
) -> xr.Dataset:
    """Replace one unit at a time, do(a[u] := a[u](source)), and measure what changes downstream.

        effect_u = E ‖f_u − f_base‖₂,
        recovered_u = Σ <f_u − f_base, f_source − f_base> / Σ ‖f_source − f_base‖²,

    sums over images, f the code for encoder sites and the image for the latent and the decoder's. Of a quantised latent
    the code is the embedding before quantisation, also at the site `latent`; the image is of what it is quantised to.

    Args:
        lens: the lens.
        base: the images that are intervened on, (n, C, H, W).
        source: the images that values come from, (n, C, H, W), image by image. Needed for "patch"; for the ablations
            it is only what `recovered` is measured against, and without it there is no `recovered`.
        sites: names of sites, or patterns such as "decoder.*"; every site but the decoder's output by default.
        method: "patch", or an ablation: "zero", "mean" (over `base`, position by position) or "resample" (the unit's
            value on another image of `base`).
        outcome: f for every site: "image", or "code" for encoder sites; by default as above.
        seed: draws the other images of "resample" and the bootstrap resamples.
        unit: what one unit is. "channel": one at all its positions. "position": all channels at one position. (h, w):
            all channels in one of the boxes of that size that tile the positions, the last ones smaller where it does
            not divide. Sites that have no such units are left out, unless they are named.

    Returns:
        A Dataset over `unit`, with coordinates `site` and `index`, and for positions and boxes `row` and `column` of
        the first corner: `effect` in L2 of the outcome, `recovered` (1 where the unit carries all the difference; it
        can leave [0, 1]), each with `_low` and `_high`, a 95 % interval over images. `recovered` is NaN where source
        and base have the same outcome.

    Raises:
        VaelensError: images out of range or not paired, an unknown site or method, an outcome before the site, a site
            that has no units of the kind asked for.

    Example:
        >>> import torch, vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=3))
        >>> images = torch.rand(8, 1, 32, 32)
        >>> effects = vl.patching_effects(lens, images[:4], images[4:], sites=["latent"])
        >>> effects.effect.dims, effects.site.values.tolist()
        (('unit',), ['latent', 'latent', 'latent'])
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    base, seed = checked_images(base, lens.image_shape), check_seed(seed)
    lens.posterior(base[:1])  # a lens on a foreign module finds its sites now, before they are asked for
    source = None if source is None else paired(base, source, lens)
    if method == "patch" and source is None:
        raise VaelensError("method 'patch' takes values from source images, and none were given; give source=")
    names = _chosen(lens, sites, unit)
    if outcome is not None:
        checked_outcome(outcome, lens, names)
    giver = _Giver(lens, base, source, names, method, seed)
    scores = _Scores(lens, names, outcome, seed, unit)
    for rows in chunks(len(base), lens.rows):
        here = world(lens, base[rows], names)
        there = None if source is None else world(lens, source[rows], names)
        scores.add(here, there, {name: giver.activation(name, here, there, rows) for name in names})
    return scores.dataset(method=method, unit=unit_name(unit), images=len(base), seed=seed)


def path_effects(
    lens: Lens, base: Any, source: Any, sender: str, receiver: str, units: Any = "all", seed: Any = 0
) -> xr.Dataset:
    """Patch units at one site and let only one unit at a later site see it, for each unit there.

    The receiver's unit v takes the value that it has when the sender's units are patched; everything else, at every
    site, stays as on the base image. Effect and recovered fraction as in `patching_effects`.

    Args:
        lens: the lens.
        base: the images that are intervened on, (n, C, H, W).
        source: the images that values come from, (n, C, H, W).
        sender: the site that is patched.
        receiver: a later site, whose units see the patch one at a time.
        units: the sender's units, patched together.
        seed: of the bootstrap resamples.

    Returns:
        A Dataset over `unit`, the receiver's units, as `patching_effects` gives it.

    Raises:
        VaelensError: images out of range or not paired, unknown sites or units, a receiver that is not later.

    References:
        Direct and indirect effects (Pearl, 2001). Localizing model behavior with path patching (Goldowsky-Dill,
        MacLeod, Sato, Arora, 2023).
    """
    base, seed = checked_images(base, lens.image_shape), check_seed(seed)
    lens.posterior(base[:1])
    source = paired(base, source, lens)
    order = list(lens.sites)
    members = resolve_units(units, lens.sites[sender])
    lens.sites[receiver]
    if order.index(receiver) <= order.index(sender):
        raise VaelensError(f"the receiver {receiver} does not come after the sender {sender}; give a later site")
    scores = _Scores(lens, (receiver,), None, seed)
    for rows in chunks(len(base), lens.rows):
        here, there = world(lens, base[rows], [receiver]), world(lens, source[rows], [sender])
        patched = world(lens, base[rows], [receiver], [Patch(sender, members, there.activations[sender])])
        scores.add(here, there, {receiver: patched.activations[receiver]})
    return scores.dataset(method="path", images=len(base), seed=seed, sender=sender, sender_units=list(members))


def paired(base: Tensor, other: Any, lens: Lens) -> Tensor:
    """The partner images, checked to be as many as the base images."""
    images = checked_images(other, lens.image_shape)
    if len(images) != len(base):
        raise VaelensError(f"{len(base)} base images but {len(images)} to pair them with; give one for each")
    return images


def _chosen(lens: Lens, sites: str | Collection[str] | None, unit: Any) -> tuple[str, ...]:
    """The sites that were asked for; those by default are the ones that have units of that kind."""
    unit = checked_unit(unit)
    names = lens.sites.select(sites)
    if sites is None:
        names = tuple(name for name in names if name != lens.sites.output)
    if sites is None or sites == "all":
        names = tuple(name for name in names if has_units(lens.sites[name], unit))
    if not names:
        raise VaelensError(
            "no site was named; name at least one, or leave sites out for all"
            if unit == "channel" or sites is not None
            else f"no site of this model has units of the kind {unit!r}; use unit='channel'"
        )
    return names


class _Giver:
    """What each unit is given: the activations of the source, or what an ablation puts in their place."""

    def __init__(self, lens: Lens, base: Tensor, source: Tensor | None, sites: Collection[str], method: str, seed: int):
        self._method = method
        self._lens, self._base, self._sites = lens, base, sites
        self._partners = torch.as_tensor(other_images(len(base), seed)) if method == "resample" else None
        self._means = self._site_means() if method == "mean" else {}
        self._resampled: tuple[slice, World] | None = None

    def activation(self, site: str, here: World, there: World | None, rows: slice) -> Tensor:
        present = here.activations[site]
        if self._method == "patch":
            assert there is not None, "patching was refused without source images"
            return there.activations[site]
        if self._method == "zero":
            return torch.zeros_like(present)
        if self._method == "mean":
            return self._means[site].to(present).expand_as(present)
        return self._others(rows).activations[site]

    def _others(self, rows: slice) -> World:
        assert self._partners is not None, "only resample ablation asks for other images"
        if self._resampled is None or self._resampled[0] != rows:
            self._resampled = rows, world(self._lens, self._base[self._partners[rows]], self._sites)
        return self._resampled[1]

    def _site_means(self) -> dict[str, Tensor]:
        totals: dict[str, Tensor] = {}
        for rows in chunks(len(self._base), self._lens.rows):
            for site, values in world(self._lens, self._base[rows], self._sites).activations.items():
                total = values.double().sum(dim=0)
                totals[site] = totals[site] + total if site in totals else total
        return {site: total / len(self._base) for site, total in totals.items()}


class _Scores:
    """Effects and recovered fractions of every unit of some sites, summed over chunks of images."""

    def __init__(self, lens: Lens, sites: Collection[str], outcome: str | None, seed: int, unit: Any = "channel"):
        self._lens, self._sites = lens, tuple(sites)
        found = {site: regions(lens.sites[site], unit) for site in self._sites}
        self._regions = {site: each for site, (each, _) in found.items()}
        self._places = [places for _, places in found.values()]
        self._outcome = {
            site: outcome or ("code" if lens.sites[site].part == "encoder" else "image") for site in self._sites
        }
        counts = {site: len(each) for site, each in self._regions.items()}
        self._effect = {site: BootstrapMean((count,), seed=seed) for site, count in counts.items()}
        self._shared = {site: BootstrapMean((count,), seed=seed) for site, count in counts.items()}
        self._whole = {kind: BootstrapMean((), seed=seed) for kind in set(self._outcome.values())}
        self._measured = False

    def add(self, here: World, there: World | None, given: dict[str, Tensor]) -> None:
        totals = {}
        if there is not None:
            self._measured = True
            for kind, whole in self._whole.items():
                totals[kind] = (there.outcome(kind) - here.outcome(kind)).double().flatten(1)  # (c, cells)
                whole.update(totals[kind].square().sum(dim=1).cpu().numpy())
        for site in self._sites:
            kind = self._outcome[site]
            each = self._regions[site]
            effect = np.zeros((len(here.images), len(each)))
            shared = np.zeros((len(here.images), len(each)))
            for picked, outcomes in counterfactuals(self._lens, here, site, each, given[site], kind):
                change = (outcomes - here.outcome(kind)).double().flatten(2)  # (picked, c, cells)
                effect[:, picked] = change.norm(dim=2).T.cpu().numpy()
                if there is not None:
                    shared[:, picked] = (change * totals[kind]).sum(dim=2).T.cpu().numpy()
            self._effect[site].update(effect)
            self._shared[site].update(shared)

    def dataset(self, **made: Any) -> xr.Dataset:
        intervals = [self._effect[site].interval() for site in self._sites]
        variables = with_interval(
            "effect",
            ("unit",),
            np.concatenate([self._effect[site].mean for site in self._sites]),
            (np.concatenate([low for low, _ in intervals]), np.concatenate([high for _, high in intervals])),
        )
        if self._measured:
            variables |= with_interval("recovered", ("unit",), *self._recovered())
        coords = unit_coords(self._sites, [len(self._regions[site]) for site in self._sites])
        for name in self._places[0]:
            coords[name] = "unit", np.concatenate([places[name] for places in self._places])
        outcomes = [f"{site}: {kind}" for site, kind in self._outcome.items()]
        return record(self._lens, variables, coords, outcomes=outcomes, **made)

    def _recovered(self) -> tuple[Array, tuple[Array, Array]]:
        means, lows, highs = [], [], []
        for site in self._sites:
            shared, whole = self._shared[site], self._whole[self._outcome[site]]
            with np.errstate(invalid="ignore", divide="ignore"):  # no difference between source and base: NaN
                means.append(shared.mean / whole.mean)
            low, high = ratio_interval(shared, whole)
            lows.append(low)
            highs.append(high)
        return np.concatenate(means), (np.concatenate(lows), np.concatenate(highs))
