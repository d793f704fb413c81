"""The parts of an analysis, with what each measures, on how many images if time allows, and what that costs."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr

from vaelens.analysis.choice import Share
from vaelens.analysis.circuits_part import circuits_part, varying_factors
from vaelens.analysis.cost import Moved
from vaelens.analysis.factor_parts import controls_part, importance_part, labels_part
from vaelens.analysis.latent_sets import LatentSetsOf, with_informative
from vaelens.analysis.part import LEAST, PARTS, Part
from vaelens.analysis.patching_part import patching_part
from vaelens.analysis.pictures import pictures
from vaelens.analysis.reading import reading
from vaelens.analysis.reconstruction import reconstruction
from vaelens.analysis.shares import shares
from vaelens.analysis.subject import Subject
from vaelens.analysis.untrained import why_not_untrained
from vaelens.effects import code_effects, decoder_responses, input_effects, latent_effects, mediation_effects
from vaelens.effects.ces_by_mode import ces_by_mode
from vaelens.effects.dataset_rows import dataset_rows
from vaelens.effects.record import Array
from vaelens.lens import LATENT, ImagesLike, Lens
from vaelens.metrics.unit_spread import with_unit_spread
from vaelens.progress import reporting

_CODES, _IMAGES_EACH = 24, 16  # that are looked at one by one, those used most; images that each is tried on
_HUNDREDTHS = 100  # that a treatment's progress is told in


def parts_of(subject: Subject, measured: Mapping[str, xr.Dataset]) -> tuple[dict[str, Part], dict[str, str]]:
    """Lists the parts that an analysis of this subject can have, and why it can't have the others.

    Args:
        subject: what is analysed.
        measured: the parts that are done, which later ones look at.

    Returns:
        The parts by name in the order of `PARTS`, and the reason for each that is missing.
    """
    lens, ds, x, seed = subject.lens, subject.ds, subject.x, subject.seed
    latent_sets = LatentSetsOf(lens, x, seed, measured)
    take = shares(len(x), lens.latents, subject.positions)
    parts = [
        Part("reconstruction", len(x), lambda share, moved: reconstruction(lens, x[slice(share.images)], seed, moved)),
        Part(
            "latent",
            take.latent,
            lambda share, moved: with_informative(
                latent_effects(lens, x[slice(share.images)], seed=seed, progress=moved)
            ),
        ),
        Part(
            "modes",
            take.modes,
            lambda share, moved: ces_by_mode(
                lens, x[slice(share.images)], seed, progress=moved, active=latent_sets().active
            ),
        ),
        Part(
            "recoded",
            take.recoded,
            lambda share, moved: _recoded(lens, x[slice(share.images)], seed, moved, latent_sets().active),
        ),
        Part(
            "input",
            take.changed,
            lambda share, moved: input_effects(lens, ds, n=share.images, seed=seed, progress=moved),
            "pairs for each factor" if len(ds.factors) else "images",
        ),
        patching_part(subject, min(take.patched, len(x) // 2)),
        Part(
            "mediation",
            take.mediated if len(ds.factors) else min(take.mediated, len(x) // 2),
            partial(_mediation, subject),
            "pairs for each factor" if len(ds.factors) else "pairs",
        ),
        Part(
            "responses",
            take.responses,
            lambda share, moved: _responses(lens, x[slice(share.images)], seed, moved, latent_sets().active),
        ),
    ]
    missing = {}
    if lens.takes_context:
        missing["circuits"] = "circuits are not searched in a model that takes a context"
    elif varying_factors(subject):
        parts.append(circuits_part(subject, take.patched))
    else:
        missing["circuits"] = "the dataset has no factor with several values"
    if subject.reader is None:
        missing["read"] = "no reader was given"
    else:
        parts.append(Part("read", take.read, partial(_read, subject, latent_sets)))
    if not lens.quantised:
        missing |= dict.fromkeys(("one_position", "swap", "codes"), "the latent has no codebook")
    else:
        if subject.positions == 1:
            missing["one_position"] = "the latent has one position"
        else:
            parts.append(
                Part(
                    "one_position",
                    take.modes,
                    lambda share, moved: ces_by_mode(
                        lens, x[slice(share.images)], seed, "one", progress=moved, active=latent_sets().active
                    ),
                )
            )
        # One code alone, as of a dead codebook, can't be swapped for another in use.
        codes = lens.code_indices(x[slice(take.swapped)]).reshape(take.swapped, -1)
        varied = (codes != codes[0, 0]).any(dim=1).nonzero().flatten().tolist()  # images with a second code
        if not varied:
            missing |= dict.fromkeys(("swap", "codes"), "the images take one code alone")
        else:
            parts.append(
                Part(
                    "swap",
                    take.swapped,
                    lambda share, moved: latent_effects(
                        lens, x[slice(share.images)], mode="swap", seed=seed, progress=moved
                    ),
                    fewest=max(LEAST, varied[0] + 1),
                    trial=max(2, varied[0] + 1),
                )
            )
            parts.append(
                Part(
                    "codes",
                    take.swapped,
                    lambda share, moved: code_effects(
                        lens, x[slice(share.images)], _CODES, _IMAGES_EACH, seed=seed, progress=moved
                    ),
                    fewest=max(LEAST, varied[0] + 1),
                    trial=max(2, varied[0] + 1),
                )
            )
    if len(lens.observation.shape) == 1:
        missing["pictures"] = "one number stands beside another, which makes no picture"
    else:
        parts.append(Part("pictures", 1, lambda _, __: pictures(lens, x, measured.get("swap"), seed), counted=""))
    if not len(ds.factors):
        missing |= dict.fromkeys(("labels", "importance"), "the dataset has no factors")
    else:
        parts.append(labels_part(subject, take.associated))
        labelled = subject.pool.count("all")
        if labelled < LEAST:
            missing["importance"] = f"{labelled} images have all their labels, and it needs {LEAST}"
        else:
            parts.append(importance_part(subject, min(take.scored, labelled), take.predicted, latent_sets))
    reason = why_not_untrained(lens)
    if reason:
        missing["controls"] = reason
    else:
        parts.append(controls_part(subject, take, measured, latent_sets))
    worded = lens.observation.worded
    by_name = {part.name: replace(part, counted=worded(part.counted)) for part in parts}
    missing = {name: worded(reason) for name, reason in missing.items()}
    assert by_name.keys() | missing.keys() == PARTS.keys(), "a part is there or there is a reason why not"
    return {name: by_name[name] for name in PARTS if name in by_name}, missing


def _recoded(lens: Lens, x: ImagesLike, seed: int, moved: Moved, active: Array) -> xr.Dataset:
    """Measures specificity over the re-encoded latents."""
    scores = [
        f"{name}{of}" for name in ("specificity", "specificity_normalised") for of in ("", "_mean", "_active_mean")
    ]
    names = [f"{score}{end}" for score in scores for end in ("", "_low", "_high")]
    return latent_effects(lens, x, over="latents", seed=seed, progress=moved, active=active)[names]


def _responses(lens: Lens, x: ImagesLike, seed: int, moved: Moved, active: Array) -> xr.Dataset:
    """Measures responses and spread of the decoder's units, with the analysis's active latents."""
    responses = with_unit_spread(lens, x, decoder_responses(lens, x, seed=seed, progress=moved))
    return responses.assign(active=responses["active"].copy(data=active))


def _read(subject: Subject, latent_sets: LatentSetsOf, share: Share, moved: Moved) -> xr.Dataset:
    labels, names, active = subject.labels.numpy(), subject.ds.factors.names, latent_sets().active
    return reading(subject.lens, subject.x, labels, names, subject.reader, share.images, subject.seed, moved, active)


def _mediation(subject: Subject, share: Share, moved: Moved) -> xr.Dataset:
    """Measures the fraction of each treatment's effect on the image that passes through each latent."""
    lens, ds, seed = subject.lens, subject.ds, subject.seed
    treatments: dict[str, tuple[ImagesLike, ImagesLike]] = {
        "another image": (subject.x[slice(share.images)], subject.x[share.images : 2 * share.images])
    }
    if len(ds.factors):
        pairs = {name: ds.pairs(name, share.images, seed=seed) for name in ds.factors.names}
        treatments = {name: (dataset_rows(lens, pair.x, pair.context), pair.x2) for name, pair in pairs.items()}
    rows: list[xr.Dataset] = []
    with reporting(moved, _HUNDREDTHS * len(treatments), "mediation") as report:
        for name, (base, treated) in treatments.items():
            progress = report.part(_HUNDREDTHS, name)
            effects = mediation_effects(lens, base, treated, LATENT, seed=seed, progress=progress)
            rows.append(effects.drop_vars(["site", "index"]).rename(unit="latent"))
    names = xr.Variable("treatment", np.array(list(treatments)))
    return xr.concat(rows, names, combine_attrs="drop_conflicts", join="exact")
