"""The parts of an analysis that compare codes with labels, and its negative controls."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from vaelens.analysis.choice import Share
from vaelens.analysis.controls import controls
from vaelens.analysis.cost import Clock, Cost, Moved
from vaelens.analysis.disentanglement import ScoreOptions, disentanglement, disentanglement_seconds
from vaelens.analysis.image_pool import codes_at
from vaelens.analysis.label_table import label_table
from vaelens.analysis.latent_sets import LatentSetsOf
from vaelens.analysis.part import LEAST, Part
from vaelens.analysis.shares import Shares
from vaelens.analysis.subject import Subject
from vaelens.lens import LATENT

_LEAST_CODES = 256


def labels_part(subject: Subject, most: int) -> Part:
    """Compares labels with latents, on images that have at least one label."""
    lens, ds, seed = subject.lens, subject.ds, subject.seed

    def run(share: Share, moved: Moved) -> xr.Dataset:
        indices = subject.pool.draw(share.images, seed + 2, "any")
        return label_table(codes_at(lens, ds, indices), ds, indices, seed, moved)

    full = min(most, subject.pool.count("any"))
    return Part("labels", full, run, fewest=_LEAST_CODES, trial=_LEAST_CODES // 4)


def controls_part(
    subject: Subject, take: Shares, measured: Mapping[str, xr.Dataset], latent_sets: LatentSetsOf
) -> Part:
    """Measures controls. Where time is short, codes are fewer by the same fraction as images."""
    labelled = subject.pool.count("all") if len(subject.ds.factors) else 0
    codes = 0 if labelled < LEAST else min(take.scored, labelled)

    def run(share: Share, moved: Moved) -> xr.Dataset:
        options = ScoreOptions(take.predicted, latent_sets().informative, subject.seed, subject.dci_estimator)
        fewer = min(codes, max(_LEAST_CODES, codes * share.images // take.controls))
        return controls(subject, share.images, fewer, options, measured, moved)

    return Part("controls", take.controls, run)


def importance_part(subject: Subject, full: int, predicted: int, latent_sets: LatentSetsOf) -> Part:
    """Scores the codes against the factors, by predictors the first `predicted` of them."""
    lens, ds, seed = subject.lens, subject.ds, subject.seed
    what = "codes chosen" if lens.quantised else "means of the posterior"
    origin = f"{'means over positions of the ' if len(lens.sites[LATENT].shape) > 1 else ''}{what}"

    def codes(n: int) -> tuple[np.ndarray, np.ndarray]:
        indices = subject.pool.draw(n, seed + 1, "all")
        return codes_at(lens, ds, indices), ds.factor_values(indices).astype(np.int64)

    def options() -> ScoreOptions:
        informative, whole = latent_sets().informative, subject.score_intervals
        return ScoreOptions(predicted, informative, seed, subject.dci_estimator, values_only=not whole)

    def run(share: Share, moved: Moved) -> xr.Dataset:
        return disentanglement(*codes(share.images), ds.factors.names, options(), origin, moved)

    def cost(patience: float, clock: Clock) -> tuple[Cost, ...]:
        few = min(full, _LEAST_CODES)
        begin = clock()
        sample = codes(few)
        encoded = (clock() - begin) / few
        return (Cost(0.0, encoded + disentanglement_seconds(*sample, full, options()) / full),)

    return Part("importance", full, run, "codes", cost=cost, fewest=_LEAST_CODES)
