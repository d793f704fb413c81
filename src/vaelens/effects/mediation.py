"""Level 4, how much of a treatment's effect passes through a unit, by Pearl's direct and indirect effects.

Costs two forwards of the mediator's part for each image and mediator; memory does not grow with the number of images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from vaelens.arguments import Progress, Seed
from vaelens.effects.along import UnseenSums, along_sites, unseen_variables
from vaelens.effects.best import best
from vaelens.effects.factor_predictions import FACTORS, ReadsFactors
from vaelens.effects.mediators import Mediators, mediators
from vaelens.effects.options import checked_options
from vaelens.effects.outcomes import OUTCOMES, add_rows, cells, changes, checked_outcome, products, run_cached
from vaelens.effects.pairing import paired
from vaelens.effects.patching import Unit
from vaelens.effects.precision import with_precision
from vaelens.effects.record import Array, Variables, record, typical_unit, with_interval
from vaelens.effects.schemas import MEDIATION_EFFECTS
from vaelens.effects.treatments import ChunkedTreatment
from vaelens.errors import VaelensError
from vaelens.lens import (
    IMAGE,
    CachedRun,
    ContextLike,
    Direction,
    Group,
    ImagesLike,
    Intervention,
    Lens,
    SitePatch,
    in_chunks,
    unit_name,
)
from vaelens.statistics import BootstrapMean, percentile_interval, ratio_interval


@with_precision("indirect", images=("base", "treated", "context"))
def mediation_effects(
    lens: Lens,
    base: ImagesLike,
    treated: ImagesLike | Intervention | Sequence[Intervention],
    site: str,
    units: Mediators = None,
    outcome: Literal["image", "code", "factors"] = "image",
    seed: Seed = 0,
    progress: Progress = True,
    unit: Unit = "channel",
    reader: ReadsFactors | None = None,
    context: ContextLike | None = None,
) -> xr.Dataset:
    """Splits a treatment's effect on the outcome into what passes through a mediator and what does not.

    With Y(t, m) the outcome under treatment t with the mediator set to m, and M(t) the mediator under t,

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
            mediator. "all": the whole site as one. A `Direction`: each of its directions by itself, or with `together`
            the subspace as one.
        outcome: "image", "code" for encoder sites, or "factors": the probabilities of each factor's values that
            `reader` predicts from the image, side by side.
        seed: of the bootstrap resamples.
        progress: whether to show a bar on standard error, or a function of (images run, images in all), an image
            counting once for each mediator.
        unit: what one unit, which `units` count, is. "channel": one at all its positions. "position": all channels at
            one position, counted along the rows. "site": the whole site. (h, w): all channels in one of the boxes of
            that size that tile the positions.
        reader: for `outcome="factors"` what predicts the factors: `vl.factor_reader(ds)`.
        context: what encoder and decoder are given besides, one row for each base observation, where the lens takes
            one. The other observations are run in it too: what changes comes of them alone.

    Returns:
        A Dataset over `unit` (one row for each mediator; coordinates `site` and `index`, `members` for groups, `row`
        and `column` of the first corner for single positions and boxes): `direct`, `indirect`, `interaction`, fractions
        of the total, and `total_norm`, E‖TE‖₂ in L2 of what comes out, each with `_low` and `_high`, an interval over
        images. `indirect_best` marks the mediators that may have the largest indirect fraction, at 95 % for all of them
        at once, by the paired differences of their resamples. Fractions are NaN where the treatment has no effect, and
        no mediator is then marked. Where every unit of the site is a mediator by itself, `indirect_chance` is the
        baseline: that of a typical one of them. Of directions the coordinate `direction` has their names, and
        `unseen_share` and `unseen_change` say, as in `patching_effects`, which part of each the next layer cannot see;
        a change is here what the treatment makes of the mediator. The attributes say how well a reader predicts each
        factor.
        `effects.schemas` has the table of all variables.

    Raises:
        VaelensError: images out of range or not paired, unknown site or units, a mediator before the treatment, factors
            without a reader, or a reader without them; directions that do not fit the site.

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
    base_images, site = lens.batch(base, context), lens.sites[site].name
    if isinstance(units, Direction):
        if unit != "channel":
            raise VaelensError(f"units are directions, and unit is {unit!r}; leave unit out")
        lens, _ = along_sites(lens, units, site)
    checked_outcome(outcome, lens, [site], (*OUTCOMES, FACTORS))
    options = checked_options(lens, seed, progress, reader=reader, outputs=("outcome", outcome))
    groups, coords = mediators(units, lens.sites[site], unit, lens.directions.get(site))
    interventions = [treated] if isinstance(treated, Intervention) else treated
    if isinstance(interventions, list | tuple):
        treatment, treated_images = ChunkedTreatment(lens, interventions, base_images, before=site), base_images
    else:
        treatment, treated_images = None, paired(base_images, interventions, lens)

    predictions = options.predictions
    outputs = _Outputs(outcome, cells) if predictions is None else _Outputs(IMAGE, predictions.probabilities)
    sums = _Sums.of(len(groups), options.seed)
    unseen = UnseenSums(lens, site, groups, options.seed) if site in lens.directions else None  # pyright: ignore

    def runs(rows: slice) -> tuple[CachedRun, CachedRun]:
        """Runs the chunk without and with the treatment."""
        edits = () if treatment is None else treatment.chunk(rows)
        targets = [outputs.target]
        untreated = run_cached(lens, base_images[rows], rows.start, [site], rerun=True, outcomes=targets)
        images = treated_images[rows]
        return untreated, run_cached(lens, images, rows.start, [site], edits, rerun=True, outcomes=targets)

    with options.reporting(len(base_images) * len(groups), "mediation") as report:
        for _, (untreated, under) in in_chunks(len(base_images), lens.engine.rows_for([site]), runs):
            _add_chunk(sums, untreated, under, site, groups, outputs)
            if unseen is not None:
                unseen.add(under.activation(site) - untreated.activation(site))
            report.advance(len(groups) * len(untreated.images))

    variables = sums.variables(len(base_images))
    if unseen is not None:
        variables |= unseen_variables([unseen])
    if units is None and unseen is None:
        variables["indirect_chance"] = ("unit",), typical_unit(sums.indirect_fraction, [len(groups)])
    how = {"outcome": lens.observation.worded(outcome), "unit": unit_name(unit), "images": len(base_images)}
    return record(lens, MEDIATION_EFFECTS, variables, coords, **how, **options.attributes())


@dataclass(frozen=True, eq=False)
class _Outputs:
    """The outcome, as a target of the run and the function that turns its value into numbers, (n, cells)."""

    target: str
    measured: Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class _Sums:
    """The sums over images of ‖TE‖² and ‖TE‖, and for each mediator of <NDE, TE> and <NIE, TE>."""

    total: BootstrapMean
    norm: BootstrapMean
    direct: BootstrapMean
    indirect: BootstrapMean

    @classmethod
    def of(cls, mediators: int, seed: int) -> "_Sums":
        """Builds empty sums for a number of mediators."""
        return cls(*(BootstrapMean(shape, seed=seed) for shape in ((), (), (mediators,), (mediators,))))

    @property
    def indirect_fraction(self) -> Array:
        """Σ<NIE, TE> / Σ‖TE‖² of each mediator, NaN for a treatment without effect."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.indirect.mean / self.total.mean)

    def variables(self, images: int) -> Variables:
        """Returns the variables of the result."""
        with np.errstate(invalid="ignore", divide="ignore"):  # a treatment without effect has no fractions: NaN
            direct, indirect = self.direct.mean / self.total.mean, self.indirect_fraction
            total, indirects = self.total.replicates[:, None], self.indirect.replicates
            rest = 1 - (self.direct.replicates + indirects) / total
            indirects = indirects / total
        unit = ("unit",)
        return {
            **with_interval("direct", unit, direct, ratio_interval(self.direct, self.total)),
            **with_interval("indirect", unit, indirect, ratio_interval(self.indirect, self.total)),
            **with_interval("interaction", unit, 1 - direct - indirect, percentile_interval(rest, images=images)),
            **with_interval("total_norm", (), self.norm.mean, self.norm.interval()),
            "indirect_best": (unit, best(indirect, indirects, images)),
        }


def _add_chunk(
    sums: _Sums, untreated: CachedRun, under: CachedRun, site: str, groups: Sequence[Group], outputs: _Outputs
) -> None:
    """Adds the two runs of a chunk to the sums."""
    starts = {run: outputs.measured(run.value(outputs.target)) for run in (untreated, under)}
    effect = starts[under] - starts[untreated]  # TE, (c, cells)
    squares = products(effect, effect)
    sums.total.update(squares)
    sums.norm.update(squares.sqrt())

    def projected(run: CachedRun, mediating: CachedRun, unchanged: Tensor) -> Tensor:
        """Computes <Y − Y(x), TE>, (c, groups), Y the outcome of a run with the mediator as it is in another."""
        projections = unchanged[:, None].repeat(1, len(groups))
        for rows in run.interchange(SitePatch(site, mediating.activation(site), groups), outputs.target):
            change = changes(rows, outputs.target, starts[run], outputs.measured)
            add_rows(projections, rows, products(change, effect.index_select(0, rows.images)))
        return projections

    # A mediator that the treatment leaves alone passes on nothing: NDE = TE, NIE = 0.
    sums.direct.update(projected(under, untreated, unchanged=squares))
    sums.indirect.update(projected(untreated, under, unchanged=torch.zeros_like(squares)))
