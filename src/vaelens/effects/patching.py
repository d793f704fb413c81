"""Level 3: activation patching and ablation of every unit, and path-specific patching.

Costs one forward of the unit's part for each image and unit whose value changes; memory does not grow with the number
of images.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from vaelens.arguments import check_seed
from vaelens.effects.outcomes import checked_outcome, numbers, run_cached
from vaelens.effects.precision import with_precision
from vaelens.effects.reading import reading_of
from vaelens.effects.stopping import GroupStopping, check_tolerance
from vaelens.effects.sweep import chunks
from vaelens.effects.unit_scores import UnitScores
from vaelens.errors import VaelensError, unknown
from vaelens.float64 import to_float64
from vaelens.lens import (
    ABLATIONS,
    CODE,
    CachedRun,
    Lens,
    Patch,
    checked_unit,
    has_units,
    in_chunks,
    other_images,
    resolve_units,
    unit_name,
)
from vaelens.progress import check_progress, reporting

METHODS = ("patch", *ABLATIONS)


@with_precision("effect", images=("base", "source"))
def patching_effects(
    lens: Lens,
    base: Any,
    source: Any = None,
    sites: str | Collection[str] | None = None,
    method: str = "patch",
    outcome: str | None = None,
    seed: Any = 0,
    progress: Any = True,
    unit: Any = "channel",
    reader: Any = None,
    tolerance: Any = None,
) -> xr.Dataset:
    """Replace one unit at a time, do(a[u] := a[u](source)), and measure what changes downstream.

        effect_u = E ‖f_u − f_base‖₂,
        recovered_u = Σ <f_u − f_base, f_source − f_base> / Σ ‖f_source − f_base‖²,

    sums over images, f the code for encoder sites and the image for the latent and the decoder's. Of a quantised latent
    the code is the embedding before quantisation, also at the site `latent`; the image is of what it is quantised to.
    Memory does not grow with the number of images.

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
        progress: whether to show a bar on standard error, or a function of (images run, images in all), an image
            counting once for each unit.
        unit: what one unit is. "channel": one at all its positions. "position": all channels at one position. (h, w):
            all channels in one of the boxes of that size that tile the positions, the last ones smaller where it does
            not divide. Sites without such units are left out, unless they are named themselves, not by a pattern.
        reader: reads factors off the image, as `vl.factor_reader(ds)` does: which of them each unit changes is then
            measured too, for every site. Sites whose outcome is the code run once more for it, as far as the image.
        tolerance: how far, in pixel-L2, an effect may be from its estimate: images are then taken in a random order, by
            `seed`, until all effects of a site are known that well, and no further at this site. None for all images.
            It needs outcomes that are images: those of encoder sites are by default codes.

    Returns:
        A Dataset over `unit`, with coordinates `site` and `index`, and for positions and boxes `row` and `column` of
        the first corner: `effect` in L2 of the outcome, `recovered` (1 where the unit carries all the difference; it
        can leave [0, 1]) and, with a reader, `factor_effect` (unit, factor), the mean total-variation distance, in
        [0, 1], between what is read off the patched image and off the base image (see `latent_effects`). Each has
        `_low` and `_high`, a 95 % interval over images. `recovered` is NaN where source and base have the same outcome.
        Beside them as their baseline `effect_chance` and `recovered_chance`: those of a unit drawn at random from the
        same site, the mean over its units.

        With a `tolerance`, `effect_low` and `effect_high` are a 95 % confidence sequence instead, which holds for all
        units of all sites at once and at whatever number of images each site stops, if the images are a random sample
        and the model draws images in [0, 1]; `images_used` (unit) says after how many that was, and everything else is
        of these images, but for what "mean" and "resample" set. The attributes are as those of `latent_effects`.

    Raises:
        VaelensError: images out of range or not paired, an unknown site or method, an outcome before the site, a site
            that has no units of the kind asked for, a reader without factors or of images of another shape, a tolerance
            that is not positive or of effects on a code.

    Warns:
        VaelensWarning: the images do not suffice for the tolerance.

    References:
        Estimating means of bounded random variables by betting (Waudby-Smith, Ramdas, 2024), for the tolerance.

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
    base, seed = lens.check_images(base), check_seed(seed)
    check_progress(progress)
    tolerance = check_tolerance(tolerance)
    source = None if source is None else paired(base, source, lens)
    if method == "patch" and source is None:
        raise VaelensError("method 'patch' takes values from source images, and none were given; give source=")
    names = _chosen(lens, sites, unit)
    if outcome is not None:
        checked_outcome(outcome, lens, names)
    scores = UnitScores(lens, names, outcome, seed, unit, reading_of(reader, lens))
    until = None if tolerance is None else _stopping(scores, base, tolerance, seed)
    if until is not None:
        base, source = base[until.order], None if source is None else source[until.order]
    with reporting(progress, len(base) * scores.runs, "patching") as report:
        giver = _Giver(lens, base, source, names, method, seed)
        for group in lens.engine.site_groups(names):

            def two_runs(rows: slice, group: Sequence[str] = group) -> tuple[CachedRun, CachedRun | None]:
                kinds = scores.outcomes(group)
                of_source = None
                if source is not None:
                    of_source = run_cached(lens, source[rows], rows.start, group, outcomes=kinds)
                return run_cached(lens, base[rows], rows.start, group, again=True, outcomes=kinds), of_source

            going, at_once = list(group), lens.engine.rows_for(group)
            if until is not None:
                at_once = min(at_once, until.rows)
            for rows, (base_run, source_run) in in_chunks(len(base), at_once, two_runs):
                sources = {name: giver.activation(name, base_run, source_run, rows, group) for name in going}
                by_site = scores.add(base_run, source_run, sources, report.advance)
                if until is None:
                    continue
                for name, effects in by_site.items():
                    until.update(name, numbers(effects))
                going = until.going(going)
                if not going:
                    break
    made = {"images": len(base)} if until is None else until.made("effect")
    effects = scores.dataset(method=method, unit=unit_name(unit), seed=seed, **made)
    if until is None:
        return effects
    until.warn("effect of {group}, unit {}")
    low, high = until.interval
    return effects.assign(effect_low=("unit", low), effect_high=("unit", high), images_used=("unit", until.used))


@with_precision("effect", images=("base", "source"))
def path_effects(
    lens: Lens,
    base: Any,
    source: Any,
    sender: str,
    receiver: str,
    units: Any = "all",
    seed: Any = 0,
    progress: Any = True,
    reader: Any = None,
) -> xr.Dataset:
    """Patch units at one site and let only one unit at a later site see it, for each unit there.

    The receiver's unit v takes the value that it has when the sender's units are patched; everything else, at every
    site, stays as on the base image. Effect and recovered fraction as in `patching_effects`. Memory does not grow with
    the number of images.

    Args:
        lens: the lens.
        base: the images that are intervened on, (n, C, H, W).
        source: the images that values come from, (n, C, H, W).
        sender: the site that is patched.
        receiver: a later site, whose units see the patch one at a time.
        units: the sender's units, patched together.
        seed: of the bootstrap resamples.
        progress: as in `patching_effects`.
        reader: as in `patching_effects`.

    Returns:
        A Dataset over `unit`, the receiver's units, as `patching_effects` gives it.

    Raises:
        VaelensError: images out of range or not paired, unknown sites or units, a receiver that is not later, a reader
            without factors or of images of another shape.

    References:
        Direct and indirect effects (Pearl, 2001). Localizing model behavior with path patching (Goldowsky-Dill,
        MacLeod, Sato, Arora, 2023).
    """
    base, seed = lens.check_images(base), check_seed(seed)
    check_progress(progress)
    source = paired(base, source, lens)
    order = list(lens.sites)
    members = resolve_units(units, lens.sites[sender])
    lens.sites[receiver]
    if order.index(receiver) <= order.index(sender):
        raise VaelensError(f"the receiver {receiver} does not come after the sender {sender}; give a later site")
    scores = UnitScores(lens, [receiver], None, seed, "channel", reading_of(reader, lens))

    def runs(rows: slice) -> tuple[CachedRun, CachedRun, Tensor]:
        of_source = run_cached(lens, source[rows], rows.start, [sender], outcomes=scores.outcomes([receiver]))
        patch = Patch(sender, members, of_source.activation(sender))
        patched = run_cached(lens, base[rows], rows.start, [receiver], [patch])
        of_base = run_cached(lens, base[rows], rows.start, [receiver], again=True)
        return of_base, of_source, patched.activation(receiver)

    with reporting(progress, len(base) * scores.runs, "path effects") as report:
        at_once = lens.engine.rows_for([receiver])
        for _, (base_run, source_run, arriving) in in_chunks(len(base), at_once, runs):
            scores.add(base_run, source_run, {receiver: arriving}, report.advance)
    return scores.dataset(method="path", images=len(base), seed=seed, sender=sender, sender_units=list(members))


def paired(base: Tensor, other: Any, lens: Lens) -> Tensor:
    """The partner images, checked to be as many as the base images."""
    images = lens.check_images(other)
    if len(images) != len(base):
        raise VaelensError(f"{len(base)} base images but {len(images)} to pair them with; give one for each")
    return images


def _stopping(scores: UnitScores, base: Tensor, tolerance: float, seed: int) -> GroupStopping:
    """What stops each site, of effects that have a bound.

    Raises:
        VaelensError: effects on a code.
    """
    coded = [site for site, kind in scores.outcome.items() if kind == CODE]
    if coded:
        raise VaelensError(
            f"a tolerance needs effects with a bound, as those on images in [0, 1] have it; the outcome of {coded[0]} "
            "is the code: give outcome='image', or leave tolerance out"
        )
    return GroupStopping(len(base), scores.units, base[0].numel(), tolerance, seed)


def _chosen(lens: Lens, sites: str | Collection[str] | None, unit: Any) -> tuple[str, ...]:
    """The sites that were asked for, without those that have no such units and are not named themselves."""
    unit = checked_unit(unit)
    asked = lens.sites.select(sites)
    if sites is None:
        asked = tuple(name for name in asked if name != lens.sites.output)
    if not asked:
        raise VaelensError("no site was named; name at least one, or leave sites out for all")
    named = {sites} if isinstance(sites, str) else set(sites or ())
    chosen = tuple(name for name in asked if name in named or has_units(lens.sites[name], unit))
    if not chosen:
        raise VaelensError(f"of {', '.join(asked)} none has units of the kind {unit!r}; use unit='channel'")
    return chosen


class _Giver:
    """What each unit is given: the activations of the source, or what an ablation puts in their place."""

    def __init__(self, lens: Lens, base: Tensor, source: Tensor | None, sites: Collection[str], method: str, seed: int):
        self._method = method
        self._lens, self._base, self._sites = lens, base, sites
        self._partners = torch.as_tensor(other_images(len(base), seed)) if method == "resample" else None
        self._means = self._site_means() if method == "mean" else {}
        self._resampled: tuple[tuple[slice, tuple[str, ...]], CachedRun] | None = None

    def activation(
        self, site: str, base: CachedRun, source: CachedRun | None, rows: slice, group: Collection[str]
    ) -> Tensor:
        """What a site's units are given in the images `rows`; `group` are the sites that are asked for together."""
        present = base.activation(site)
        if self._method == "patch":
            assert source is not None, "patching was refused without source images"
            return source.activation(site)
        if self._method == "zero":
            return torch.zeros_like(present)
        if self._method == "mean":
            return self._means[site].to(present).expand_as(present)
        return self._others(rows, group).activation(site)

    def _others(self, rows: slice, group: Collection[str]) -> CachedRun:
        assert self._partners is not None, "only resample ablation asks for other images"
        asked = (rows, tuple(group))
        if self._resampled is None or self._resampled[0] != asked:
            self._resampled = asked, run_cached(self._lens, self._base[self._partners[rows]], rows.start, group)
        return self._resampled[1]

    def _site_means(self) -> dict[str, Tensor]:
        totals: dict[str, Tensor] = {}
        for rows in chunks(len(self._base), self._lens.engine.rows):
            seen = run_cached(self._lens, self._base[rows], rows.start, self._sites)
            for site in self._sites:
                total = to_float64(seen.activation(site)).sum(dim=0)
                totals[site] = totals[site] + total if site in totals else total
        return {site: total / len(self._base) for site, total in totals.items()}
