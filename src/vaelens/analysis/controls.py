"""Negative controls, which are the scores of an untrained copy of the model and effects of a label without meaning.

Cost a small share of an analysis: sweeps of a few images, and scores of codes without their intervals.
"""

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from vaelens.analysis.cost import Moved
from vaelens.analysis.disentanglement import ScoreOptions, disentanglement
from vaelens.analysis.image_pool import codes_at
from vaelens.analysis.random_label import RandomLabel
from vaelens.analysis.reconstruction import reconstruction
from vaelens.analysis.scores import score_table
from vaelens.analysis.subject import Subject
from vaelens.analysis.untrained import untrained
from vaelens.effects import decoder_responses, input_effects, latent_effects
from vaelens.effects.schema import ANY, ENDS, POSITIVE, Schema, Variable
from vaelens.errors import VaelensError, VaelensWarning
from vaelens.metrics.informative import informative_latents
from vaelens.metrics.unit_spread import with_unit_spread
from vaelens.progress import reporting

_SD, _POSTERIOR_SD = "standard deviations", "standard deviations of the posterior"
CONTROLS = Schema(
    Variable("untrained", ("score",), "the score's", ANY, "the score of an untrained copy of the model"),
    Variable("shuffled", ("score",), "the score's", ANY, "the score where labels are shuffled", False),
    Variable("output_effect_shuffled", (), "pixel-L2", POSITIVE, "distance of two random images' reconstructions"),
    Variable("latent_effect_shuffled", ("latent",), _SD, POSITIVE, "distance of two random images' codes"),
    Variable(
        "latent_shift_shuffled",
        ("latent",),
        _POSTERIOR_SD,
        POSITIVE,
        "distance of two random images' posteriors",
        True,
        "the encoder returns a variance",
    ),
)
_ALIKE = 0.01  # of the trained model's mean distance of two reconstructions
_SHARES = {"reconstruction": 5, "latent": 30, "responses": 15, "importance": 45, "pairs": 5}  # percent of the work


def controls(
    subject: Subject, images: int, codes: int, options: ScoreOptions, measured: Mapping[str, xr.Dataset], moved: Moved
) -> xr.Dataset:
    """Measures what the same model would score untrained, and what a label without meaning seems to do.

    Args:
        subject: what is analysed; its model is afterwards as it was.
        images: that are swept; half as many for the responses of units, and four times as many random pairs.
        codes: that the scores of codes and factors are computed from; 0 where there are no factors.
        options: as in `disentanglement`.
        measured: the parts of the analysis that are done.
        moved: takes what is done and what there is to do.

    Returns:
        By `score`, the key in the catalogue: `untrained`, that of a copy of the model whose weights were drawn anew,
        all of its latents counted as active (total correlation is of the informative ones), with `_low` and `_high`
        where it is a score of effects; `shuffled`, that of codes whose images were shuffled against their labels. The
        attribute `undefined` holds, as JSON, why a score of the untrained copy is NaN. By latent
        `latent_effect_shuffled` and, with a variance, `latent_shift_shuffled`, and `output_effect_shuffled`: level 1 of
        a label that means nothing, which two random images differ in.
    """
    with reporting(moved, sum(_SHARES.values()), "controls") as report:
        parts = _of_untrained(subject, images, codes, options, report.part)
        table = comparable(score_table(parts, subject.seed), parts.get("latent"), measured.get("latent"))
        pairs = min(4 * images, len(subject.x))
        random_pairs = input_effects(
            subject.lens,
            RandomLabel(subject.x, subject.lens, subject.seed),
            n=pairs,
            seed=subject.seed,
            progress=report.part(_SHARES["pairs"], "controls"),
        ).isel(factor=0)
    scores = list(table.index)
    variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        f"untrained{end}": (("score",), table[end[1:] or "value"].to_numpy()) for end in ("", *ENDS)
    }
    shuffled = [_chance(measured.get("importance"), score) for score in scores]
    variables["shuffled"] = (("score",), np.array(shuffled, dtype=np.float64))
    for effect in ("output_effect", "latent_effect", "latent_shift"):
        for end in ("", *ENDS):
            if effect in random_pairs:
                values = random_pairs[f"{effect}{end}"].values
                variables[f"{effect}_shuffled{end}"] = (() if values.ndim == 0 else ("latent",), values)
    undefined = {score: table.made[score] for score in scores if np.isnan(table.value[score])}
    made = CONTROLS.dataset(variables, {"score": scores, "latent": np.arange(subject.lens.latents)})
    how = {"images": images, "pairs": pairs, "codes": codes, "seed": subject.seed}
    return made.assign_attrs(how, undefined=json.dumps(undefined))


def comparable(table: pd.DataFrame, untrained: xr.Dataset | None, trained: xr.Dataset | None) -> pd.DataFrame:
    """Clears those scores of an untrained copy that are relative to next to nothing.

    The copy may decode all images nearly alike. CES relative to that is in the hundreds, and says nothing of
    interventions, so its value and interval become NaN and the reason is noted.
    """
    if untrained is None or trained is None:
        return table
    distance, expected = (float(effects.attrs["reference_distance"]) for effects in (untrained, trained))
    if distance < _ALIKE * expected:
        relative = table.index.str.startswith("ces_relative")
        table.loc[relative, ["value", "low", "high"]] = np.nan
        table.loc[relative, "made"] = (
            f"its reconstructions are nearly alike, {distance / expected:.1%} as far apart as the trained model's"
        )
    return table


def _of_untrained(
    subject: Subject, images: int, codes: int, options: ScoreOptions, part: Callable[[float, str], Moved]
) -> dict[str, xr.Dataset]:
    """Measures the parts of an untrained copy that scores are read off."""
    lens, ds, x, seed = subject.lens, subject.ds, subject.x[:images], subject.seed
    active = np.ones(lens.latents, dtype=bool)
    few = x[: max(2, images // 2)]
    parts: dict[str, xr.Dataset] = {}

    def responses(told: Moved) -> xr.Dataset:
        measured = with_unit_spread(lens, few, decoder_responses(lens, few, seed=seed, progress=told))
        return measured.assign(active=measured["active"].copy(data=active))

    def importance(told: Moved) -> xr.Dataset:
        indices = subject.pool.draw(codes, seed + 1, "all")
        informative = informative_latents(parts["latent"]) if "latent" in parts else active
        alone = replace(options, informative=informative, values_only=True)
        labels = ds.factor_values(indices).astype(np.int64)
        return disentanglement(codes_at(lens, ds, indices), labels, ds.factors.names, alone, "untrained", told)

    measures: Mapping[str, Callable[[Moved], xr.Dataset]] = {
        "reconstruction": lambda told: reconstruction(lens, x, seed, told),
        "latent": lambda told: latent_effects(lens, x, seed=seed, progress=told, active=active),
        "responses": responses,
        "importance": importance,
    }
    with untrained(lens, seed), warnings.catch_warnings():
        warnings.simplefilter("ignore", VaelensWarning)  # random weights may well give values out of range
        for name, measure in measures.items():
            told = part(_SHARES[name], "controls")
            if name == "importance" and not codes:
                continue
            try:
                parts[name] = measure(told)
            except VaelensError:  # random weights may also give what is no number
                continue
    return parts


def _chance(importance: xr.Dataset | None, score: str) -> float:
    chance = f"{score}_chance"
    return float(importance[chance]) if importance is not None and chance in importance else float("nan")
