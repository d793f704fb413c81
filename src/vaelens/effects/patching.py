"""Level 3, activation patching and ablation of every unit.

Costs one forward of the unit's part for each image and unit whose value changes, and two of the model for each image;
memory does not grow with the number of images.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import xarray as xr
from torch import Tensor

from vaelens.arguments import Progress, Seed
from vaelens.effects.ablations import ABLATIONS, Ablation, ablation
from vaelens.effects.along import along_sites
from vaelens.effects.factor_predictions import ReadsFactors
from vaelens.effects.natural_range import NaturalRange
from vaelens.effects.options import checked_options
from vaelens.effects.outcomes import checked_outcome, numbers, run_cached
from vaelens.effects.pairing import paired
from vaelens.effects.precision import with_precision
from vaelens.effects.record import Variables
from vaelens.effects.stopping import GroupStopping
from vaelens.effects.unit_scores import UnitScores
from vaelens.errors import VaelensError, unknown
from vaelens.lens import (
    CODE,
    Batch,
    CachedRun,
    ContextLike,
    Direction,
    ImagesLike,
    Lens,
    checked_unit,
    has_units,
    in_chunks,
    unit_name,
)
from vaelens.observation import Observation

METHODS = ("patch", *ABLATIONS)
Method = Literal["patch", "zero", "mean", "resample"]
Unit = Literal["channel", "position", "site"] | Sequence[int]  # what counts as one unit; numbers for the size of a box


@with_precision("effect", images=("base", "source", "context"))
def patching_effects(
    lens: Lens,
    base: ImagesLike,
    source: ImagesLike | None = None,
    sites: str | Collection[str] | None = None,
    method: Method = "patch",
    outcome: Literal["image", "code"] | None = None,
    seed: Seed = 0,
    progress: Progress = True,
    unit: Unit = "channel",
    reader: ReadsFactors | None = None,
    tolerance: float | None = None,
    context: ContextLike | None = None,
    units: Direction | Sequence[Direction] | None = None,
) -> xr.Dataset:
    """Replaces one unit at a time, do(a[u] := a[u](source)), and measures what changes downstream.

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
        sites: names of sites, paths of modules, or patterns such as "decoder.*"; every site but the decoder's output by
            default.
        method: "patch", or an ablation: "zero", "mean" (over `base`, position by position) or "resample" (the unit's
            value on another image of `base`).
        outcome: f for every site: "image", or "code" for encoder sites; by default as above.
        seed: draws the other images of "resample" and the bootstrap resamples.
        progress: whether to show a bar on standard error, or a function of (images run, images in all), an image
            counting once for each unit.
        unit: what one unit is. "channel": one at all its positions. "position": all channels at one position. "site":
            the whole site, which in a chain recovers 1. (h, w): all channels in one of the boxes of that size that tile
            the positions, the last ones smaller where it does not divide. Sites without such units are left out, unless
            they are named themselves, not by a pattern.
        reader: predicts factors from the image, as `vl.factor_reader(ds)` does: which of them each unit changes is then
            measured too, for every site. Sites whose outcome is the code run once more for it, as far as the image.
        tolerance: how far, in pixel-L2, an effect may be from its estimate: images are then taken in a random order, by
            `seed`, until all effects of a site are known that well, and no further at this site. None for all images.
            It needs outcomes that are images: those of encoder sites are by default codes.
        context: what encoder and decoder are given besides, one row for each base observation, where the lens takes
            one. The other observations are run in it too: what changes comes of them alone.
        units: directions that are patched in place of units: a `Direction`, or several of different sites. Each is a
            unit by itself, or with `together` all of one `Direction` are, as a subspace. Their sites are the sites.

    Returns:
        A Dataset over `unit`, with coordinates `site` and `index`, and for positions and boxes `row` and `column` of
        the first corner: `effect` in L2 of the outcome, `recovered` (1 where the unit carries all the difference; it
        can leave [0, 1], and the units of a site need not sum to 1), `outside_range`, the share of the values that a
        unit is given that lie outside those that its channels take on the base images, in [0, 1], and, with a reader,
        `factor_effect` (unit, factor), the mean total-variation distance, in [0, 1], between what is predicted from the
        patched image and from the base image (see `latent_effects`). Each has `_low` and `_high`, a 95 % interval over
        images. `recovered` is NaN where source and base have the same outcome. `recovered_best` marks the units that
        may recover most of those of their site, at 95 % for all of the site at once, by the paired differences of their
        resamples; fractions of different sites are not compared. Beside them as their baseline
        `effect_chance` and `recovered_chance`: those of a typical unit of the same site, the mean over its units.
        `effects.schemas` has the table of all variables.

        Of directions the coordinate `direction` has their names, and beside every effect stands which part of it lies
        in what the next linear layers cannot see. With P the projector on their null space, Δ = a(source) − a(base)
        and Q Δ = Σ y_i(Δ) w_i what the patch moves the site by: `unseen_share`, ‖P w‖² / ‖w‖² of a direction and
        tr(P P_W) / k of a subspace (`Lens.unseen_share`), and `unseen_change`, Σ <Q P Δ, Q Δ> / Σ ‖Q Δ‖² over images
        and positions. Where that is near 1 the patch takes what differs in activity that nothing sees, and writes it
        where something does: a large effect is then the known illusion, since the model has no such path. Where the
        site is read by something else than linear layers both are NaN.

        With a `tolerance`, `effect_low` and `effect_high` are a 95 % confidence sequence instead, which holds for all
        units of all sites at once and at whatever number of images each site stops, if the images are a random sample
        and the model decodes to images in [0, 1]; `images_used` (unit) says after how many that was, and everything
        else is of these images, but for what "mean" and "resample" set and for the range. The attributes are as those
        of `latent_effects`.

    Raises:
        VaelensError: images out of range or not paired, an unknown site or method, an outcome before the site, a site
            that has no units of the kind asked for, a reader without factors or of images of another shape, a tolerance
            that is not positive or of effects on a code; directions that do not fit their site, or a `unit` or other
            sites beside them.

    Warns:
        VaelensWarning: the images do not suffice for the tolerance.

    References:
        Estimating means of bounded random variables by betting (Waudby-Smith, Ramdas, 2024), for the tolerance. Is this
        the subspace you are looking for? An interpretability illusion for subspace activation patching (Makelov, Lange,
        Nanda, 2023), for what stands beside directions.

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
    base_images = lens.batch(base, context)
    options = checked_options(lens, seed, progress, tolerance, reader)
    source_images = None if source is None else paired(base_images, source, lens)
    if method == "patch" and source_images is None:
        raise VaelensError("method 'patch' takes values from source images, and none were given; give source=")
    if units is None:
        names = _chosen_sites(lens, sites, unit)
    else:
        if unit != "channel":
            raise VaelensError(f"units are directions, and unit is {unit!r}; leave unit out")
        lens, names = along_sites(lens, units, sites)
    if outcome is not None:
        checked_outcome(outcome, lens, names)

    scores = UnitScores(lens, names, outcome, options, unit, NaturalRange(lens, base_images))
    stopping = None
    if options.tolerance is not None:
        stopping = _stopping(scores, lens.observation, len(base_images), options.tolerance, options.seed)
        base_images = base_images[stopping.order]
        source_images = None if source_images is None else source_images[stopping.order]

    with options.reporting(len(base_images) * scores.runs_per_image, "patching") as report:
        ablated = None if method == "patch" else ablation(method, lens, base_images, names, options.seed)
        runner = _Runner(lens, base_images, source_images, ablated, scores)
        for group in lens.engine.site_groups(names):
            wanted, at_once = list(group), lens.engine.rows_for(group)
            if stopping is not None:
                at_once = min(at_once, stopping.rows)
            for _, chunk in in_chunks(len(base_images), at_once, partial(runner.runs, sites=group)):
                sources = {site: chunk.sources[site] for site in wanted}
                by_site = scores.add(chunk.base, chunk.source, sources, report.advance)
                if stopping is None:
                    continue
                for site, effects in by_site.items():
                    stopping.update(site, numbers(effects))
                wanted = stopping.going(wanted)
                if not wanted:
                    break

    how: dict[str, Any] = {"method": method, "unit": unit_name(unit)}
    if stopping is None:
        return scores.dataset(images=len(base_images), **how)
    stopping.warn("effect of {group}, unit {}")
    low, high = stopping.interval
    more: Variables = {
        "effect_low": (("unit",), low),
        "effect_high": (("unit",), high),
        "images_used": (("unit",), stopping.used),
    }
    return scores.dataset(more, **how, **stopping.attributes("effect"))


@dataclass(frozen=True, eq=False)
class _ChunkRuns:
    """The runs of one chunk of images.

    Attributes:
        base: of the base images, which can be run again from some sites.
        source: of the source images, if there are any.
        sources: by site what its units take their values from, (c, units, *positions).
    """

    base: CachedRun
    source: CachedRun | None
    sources: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class _Runner:
    """Runs chunks of base and source images, and finds what each unit is given."""

    lens: Lens
    base: Batch
    source: Batch | None
    ablation: Ablation | None
    scores: UnitScores

    def runs(self, rows: slice, sites: Sequence[str]) -> _ChunkRuns:
        """Runs the images `rows`, base and source, for some sites."""
        targets = self.scores.targets(sites)
        source = None
        if self.source is not None:
            source = run_cached(self.lens, self.source[rows], rows.start, sites, outcomes=targets)
        base = run_cached(self.lens, self.base[rows], rows.start, sites, rerun=True, outcomes=targets)
        if self.ablation is None:
            assert source is not None, "patching was refused without source images"
            return _ChunkRuns(base, source, {site: source.activation(site) for site in sites})
        ablated = self.ablation.activations(rows, sites)
        present = {site: base.activation(site) for site in sites}
        return _ChunkRuns(
            base, source, {site: ablated[site].to(values).expand_as(values) for site, values in present.items()}
        )


def _stopping(scores: UnitScores, observation: Observation, images: int, tolerance: float, seed: int) -> GroupStopping:
    """Builds what stops each site, for effects that have a bound.

    Raises:
        VaelensError: effects on a code.
    """
    coded = [site for site, target in scores.outcomes.items() if target == CODE]
    if coded:
        raise VaelensError(
            f"a tolerance needs bounded effects, such as those on images in [0, 1]; the outcome of {coded[0]} "
            "is the code: give outcome='image', or leave tolerance out"
        )
    return GroupStopping(images, scores.units, observation, tolerance, seed)


def _chosen_sites(lens: Lens, sites: str | Collection[str] | None, unit: Any) -> tuple[str, ...]:
    """Chooses the sites that were asked for, without those that have no such units and are not named themselves."""
    checked = checked_unit(unit)
    asked = lens.sites.select(sites)
    if sites is None:
        asked = tuple(name for name in asked if name != lens.sites.output)
    if not asked:
        raise VaelensError("no site was named; name at least one, or leave sites out for all")
    named = {
        lens.sites[name].name for name in ([sites] if isinstance(sites, str) else sites or ()) if name in lens.sites
    }
    chosen = tuple(name for name in asked if name in named or has_units(lens.sites[name], checked))
    if not chosen:
        raise VaelensError(f"of {', '.join(asked)} none has units of the kind {checked!r}; use unit='channel'")
    return chosen
