"""Level 4: how much of a treatment's effect passes through a unit, Pearl's direct and indirect effects.

Costs two forwards of the mediator's part for each image and mediator; memory does not grow with the number of images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from vaelens.arguments import check_seed
from vaelens.effects.outcomes import OUTCOMES, add_rows, cells, changes, checked_outcome, products, run_cached
from vaelens.effects.patching import paired
from vaelens.effects.precision import with_precision
from vaelens.effects.reading import FACTORS, needed_reading
from vaelens.effects.record import Array, random_unit, record, with_interval
from vaelens.effects.treatments import ChunkedTreatment
from vaelens.errors import VaelensError
from vaelens.lens import (
    IMAGE,
    CachedRun,
    Group,
    Intervention,
    Lens,
    Region,
    Regions,
    Site,
    SitePatch,
    in_chunks,
    regions,
    resolve_units,
    unit_name,
)
from vaelens.progress import check_progress, reporting
from vaelens.statistics import BootstrapMean, percentile_interval, ratio_interval


@with_precision("indirect", images=("base", "treated"))
def mediation_effects(
    lens: Lens,
    base: Any,
    treated: Any,
    site: str,
    units: Any = None,
    outcome: str = "image",
    seed: Any = 0,
    progress: Any = True,
    unit: Any = "channel",
    reader: Any = None,
) -> xr.Dataset:
    """Split a treatment's effect on the outcome into what passes through a mediator and what does not.

    With Y(t, m) the outcome under treatment t with the mediator held at m, and M(t) the mediator under t,

        TE = Y(x') − Y(x),  NDE = Y(x', M(x)) − Y(x),  NIE = Y(x, M(x')) − Y(x),  interaction = TE − NDE − NIE,

    each reported as a fraction of the total by projection, Σ<·, TE> / Σ‖TE‖², sums over images: direct, indirect and
    interaction add to 1. A quantised latent mediates as it is before quantisation, and so it is as an outcome. Memory
    does not grow with the number of images.

    Args:
        lens: the lens.
        base: images x, (n, C, H, W).
        treated: images x', (n, C, H, W), image by image; or an intervention or a list of them, such as
            `vl.Set("latent", 3, 2.0)`, on the base images.
        site: where the mediators are; after the sites of a treatment by interventions.
        units: None: every unit by itself. A list of indices: each by itself. A list of lists: each group as one
            mediator. "all": the whole site as one.
        outcome: "image", "code" for encoder sites, or "factors": the probabilities of each factor's values that
            `reader` reads off the image, side by side.
        seed: of the bootstrap resamples.
        progress: whether to show a bar on standard error, or a function of (images run, images in all), an image
            counting once for each mediator.
        unit: what one unit, which `units` count, is. "channel": one at all its positions. "position": all channels at
            one position, counted along the rows. (h, w): all channels in one of the boxes of that size that tile the
            positions.
        reader: for `outcome="factors"` what reads the factors: `vl.factor_reader(ds)`.

    Returns:
        A Dataset over `unit` (one row for each mediator; coordinates `site` and `index`, `members` for groups, `row`
        and `column` of the first corner for single positions and boxes): `direct`, `indirect`, `interaction`, fractions
        of the total, and `total_norm`, E‖TE‖₂ in L2 of the outcome, each with `_low` and `_high`, a 95 % interval over
        images. Fractions are NaN where the treatment has no effect. Where every unit of the site is a mediator by
        itself, `indirect_chance` is the baseline: that of one of them drawn at random. The attributes say how well a
        reader reads each factor.

    Raises:
        VaelensError: images out of range or not paired, unknown site or units, a mediator before the treatment, factors
            without a reader, or a reader without them.

    References:
        Direct and indirect effects (Pearl, 2001). Investigating gender bias in language models using causal mediation
        analysis (Vig et al., 2020).

    Example:
        >>> import torch, vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=3))
        >>> images = torch.rand(8, 1, 32, 32)
        >>> effects = vl.mediation_effects(lens, images[:4], images[4:], site="latent", units="all")
        >>> round(float(effects.indirect[0]), 6), round(abs(float(effects.direct[0])), 6)
        (1.0, 0.0)
    """
    base, seed = lens.check_images(base), check_seed(seed)
    check_progress(progress)
    checked_outcome(outcome, lens, [site], (*OUTCOMES, FACTORS))
    if reader is not None and outcome != FACTORS:
        raise VaelensError(
            f"a reader was given, and outcome={outcome!r} reads no factors; give outcome='factors', or no reader"
        )
    reading = needed_reading(reader, lens, "outcome='factors'") if outcome == FACTORS else None
    kind, measured = (outcome, cells) if reading is None else (IMAGE, reading.probabilities)
    groups, coords = _mediators(units, lens.sites[site], unit)
    given = [treated] if isinstance(treated, Intervention) else treated
    if isinstance(given, list | tuple):
        treatment, others = ChunkedTreatment(lens, given, base, before=site), base
    else:
        treatment, others = None, paired(base, treated, lens)
    sums = _Sums(*(BootstrapMean(shape, seed=seed) for shape in ((), (), (len(groups),), (len(groups),))))

    def two_runs(rows: slice) -> tuple[CachedRun, CachedRun]:
        forced = () if treatment is None else treatment.of(rows)
        untreated = run_cached(lens, base[rows], rows.start, [site], again=True, outcomes=[kind])
        return untreated, run_cached(lens, others[rows], rows.start, [site], forced, again=True, outcomes=[kind])

    with reporting(progress, len(base) * len(groups), "mediation") as report:
        for _, (untreated, under) in in_chunks(len(base), lens.engine.rows_for([site]), two_runs):
            starts = {run: measured(run.value(kind)) for run in (untreated, under)}
            effect = starts[under] - starts[untreated]  # (c, cells)
            squares = products(effect, effect)
            sums.total.update(squares)
            sums.norm.update(squares.sqrt())

            def projected(
                seen: CachedRun,
                giver: CachedRun,
                unchanged: Tensor,
                starts: Mapping[CachedRun, Tensor] = starts,
                effect: Tensor = effect,
            ) -> Tensor:
                """<Y − Y(x), TE>, (c, groups), Y the outcome of `seen` with the mediator as it is in `giver`."""
                # Of the treated world Y − Y(x) is TE and what the mediator takes from it.
                projections = unchanged[:, None].repeat(1, len(groups))
                for rows in seen.interchange(SitePatch(site, giver.activation(site), groups), kind):
                    change = changes(rows, kind, starts[seen], measured)
                    add_rows(projections, rows, products(change, effect.index_select(0, rows.images)))
                return projections

            # A mediator that the treatment leaves alone passes on nothing: NDE = TE, NIE = 0.
            sums.direct.update(projected(under, untreated, unchanged=squares))
            sums.indirect.update(projected(untreated, under, unchanged=torch.zeros_like(squares)))
            report.advance(len(groups) * len(squares))
    made = {"outcome": outcome, "unit": unit_name(unit), "images": len(base), "seed": seed}
    variables = sums.variables(len(base))
    if units is None:
        variables["indirect_chance"] = ("unit",), random_unit(sums.indirect_fraction, [len(groups)])
    return record(lens, variables, coords, **made, **({} if reading is None else reading.made()))


@dataclass(frozen=True, eq=False)
class _Sums:
    """Over images: ‖TE‖², ‖TE‖, and for each mediator <NDE, TE> and <NIE, TE>."""

    total: BootstrapMean
    norm: BootstrapMean
    direct: BootstrapMean
    indirect: BootstrapMean

    @property
    def indirect_fraction(self) -> Array:
        """Σ<NIE, TE> / Σ‖TE‖² of each mediator; NaN for a treatment without effect."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.indirect.mean / self.total.mean)

    def variables(self, images: int) -> dict[str, tuple[Sequence[str], Any]]:
        with np.errstate(invalid="ignore", divide="ignore"):  # a treatment without effect has no fractions: NaN
            direct, indirect = self.direct.mean / self.total.mean, self.indirect_fraction
            rest = 1 - (self.direct.replicates + self.indirect.replicates) / self.total.replicates[:, None]
        return {
            **with_interval("direct", ("unit",), direct, ratio_interval(self.direct, self.total)),
            **with_interval("indirect", ("unit",), indirect, ratio_interval(self.indirect, self.total)),
            **with_interval(
                "interaction",
                ("unit",),
                1 - direct - indirect,
                percentile_interval(rest, images=images),
            ),
            **with_interval("total_norm", (), self.norm.mean, self.norm.interval()),
        }


def _mediators(units: Any, site: Site, unit: Any) -> tuple[Sequence[Group], dict[str, Any]]:
    """What mediates, each a unit, a group or the whole site, and its coordinates."""
    every, places = regions(site, unit)
    counted = replace(site, units=len(every))  # by which indices of units are checked
    members = None
    if isinstance(units, str):
        resolve_units(units, counted)
        groups, index, members = [Region(tuple(range(site.units)))], [0], [units]
    elif isinstance(units, Sequence) and any(isinstance(group, Sequence) for group in units):
        if not all(isinstance(group, Sequence) for group in units):
            raise VaelensError(f"units {units!r} mixes indices and groups; give a list of indices or a list of lists")
        inside = [resolve_units(group, counted) for group in units]
        groups = [Region(g) if unit == "channel" else Regions(tuple(every[k] for k in g)) for g in inside]
        index = [group[0] if len(group) == 1 else k for k, group in enumerate(inside)]
        members = [",".join(map(str, group)) for group in inside]
    else:
        index = list(resolve_units(units, counted))
        groups = [every[k] for k in index]
    coords: dict[str, Any] = {"site": ("unit", [site.name] * len(groups)), "index": ("unit", index)}
    if members is not None:
        return groups, coords | {"members": ("unit", members)}
    return groups, coords | {name: ("unit", [where[k] for k in index]) for name, where in places.items()}
