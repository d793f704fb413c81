"""The table of scores: one row for each, with its interval, which direction is better, and how it was made."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd
import xarray as xr
from torch import Tensor

from vaelens.analysis.disentanglement import DCI_SCORES
from vaelens.lens import Lens
from vaelens.metrics.causal import chance_modularity, modularity_interval, response_modularity
from vaelens.statistics import BootstrapMean

_NONE = float("nan")
_SWAPS = ("swap CES", "swap relative CES")


@dataclass(frozen=True)
class _Score:
    score: str
    value: float
    better: str
    made: str
    low: float = _NONE
    high: float = _NONE
    chance: float = _NONE


def _found(score: str, effects: xr.Dataset, name: str, better: str, made: str, scale: float = 1.0) -> _Score:
    """A score that a Dataset has, with its interval and level of chance."""
    ends = (f"{name}_{end}" for end in ("low", "high", "chance"))
    low, high, chance = (float(effects[end]) / scale if end in effects else _NONE for end in ends)
    return _Score(score, float(effects[name]) / scale, better, made, low, high, chance)


def score_table(lens: Lens, x: Tensor, effects: Mapping[str, xr.Dataset], seed: int) -> pd.DataFrame:
    """The scores that are read off an analysis's effects.

    Args:
        lens: the lens.
        x: the images that were analysed.
        effects: the Datasets of an `Analysis`, `importance` among them where there are factors, `read` where
            there is a reader, `swap` and `one_position` where a codebook gives them.
        seed: of the bootstrap resamples.

    Returns:
        Indexed by score; columns value, low, high (95 % interval over images, NaN for counts), chance (the value where
        nothing but chance is at work, NaN where that has no meaning), better ("higher", "lower" or nothing) and made.
    """
    rows = [*_of_model(lens, x, effects["latent"], seed), *_causal(effects, seed), *_of_codebook(effects)]
    if "importance" in effects:
        rows += _disentanglement(effects["importance"])
    table = pd.DataFrame([asdict(row) for row in rows]).set_index("score")
    return table[["value", "low", "high", "chance", "better", "made"]]


def _of_model(lens: Lens, x: Tensor, latent: xr.Dataset, seed: int) -> list[_Score]:
    error = BootstrapMean((), seed=seed)
    for chunk in x.split(lens.engine.rows):
        error.update((lens.reconstruct(chunk).cpu() - chunk.cpu()).double().square().flatten(1).mean(dim=1).numpy())
    low, high = error.interval()
    images, swept = f"{len(x)} images", f"{latent.attrs['images']} images"
    active = latent["active"].values
    rule = "KL above 0.01 nat" if "kl" in latent else "spread above a thousandth of the largest"
    rows = [
        _Score(
            "reconstruction error",
            float(error.mean),
            "lower",
            f"mean squared error a pixel, {images}",
            float(low),
            float(high),
        ),
        _found("active latents", latent, "active_count", "", f"of {len(active)}: {rule}, {swept}"),
    ]
    if "kl" in latent:
        rows.append(_found("KL", latent, "kl_total", "", f"KL(q(z|x) || N(0, I)) in nats, {swept}"))
    return rows


def _causal(effects: Mapping[str, xr.Dataset], seed: int) -> list[_Score]:
    latent = effects["latent"]
    images = latent.attrs["images"]
    over_active = f"mean over active latents, {images} images"
    responses = effects["responses"]
    modularity, compared = response_modularity(responses)
    made = f"{compared} active latents, {responses.attrs['images']} images; chance: units shuffled within each site"
    if responses.sizes["unit"] == 0:
        made = "the decoder has no unit between the latent and its output"
    mode = f"mean over all latents, mode {latent.attrs['mode']}, pixel-L2, {images} images"
    recoded = f"mean over active latents, {effects['recoded'].attrs['images']} images"
    return [
        _found("CES", latent, "ces_mean", "", mode),
        *(
            _found(label, latent, f"{name}_active_mean", better, over_active)
            for label, name, better in (
                ("relative CES", "ces_relative", ""),
                ("posterior CES", "ces_posterior", ""),
                ("specificity over pixels", "specificity", "higher"),
                ("normalised specificity over pixels", "specificity_normalised", "higher"),
            )
        ),
        _found(
            "normalised specificity over latents",
            effects["recoded"],
            "specificity_normalised_active_mean",
            "higher",
            recoded,
        ),
        *_over_factors(effects),
        _Score(
            "circuit modularity",
            modularity,
            "higher",
            made,
            *modularity_interval(responses, seed),
            chance_modularity(responses, seed),
        ),
    ]


def _over_factors(effects: Mapping[str, xr.Dataset]) -> list[_Score]:
    """Specificity over what is read off the image; none without a reader."""
    if "read" not in effects:
        return []
    read = effects["read"]
    made = f"mean over active latents, {read.attrs['images']} images, read: {', '.join(read['factor'].values.tolist())}"
    name = "specificity_normalised_active_mean"
    return [_found("normalised specificity over factors", read, name, "higher", made)]


def _of_codebook(effects: Mapping[str, xr.Dataset]) -> list[_Score]:
    """The codebook's use, and what a swap of codes does beside what a continuous intervention does; none without."""
    latent = effects["latent"]
    if "codes_used" not in latent.attrs:
        return []
    rows = []
    if "one_position" in effects:
        alone = effects["one_position"]
        made = (
            f"mean over active latents, each set at one position an image, mode range, {alone.attrs['images']} images"
        )
        ranged = alone.sel(mode="range")
        rows.append(_found("relative CES at one position", ranged, "ces_relative_active_mean", "", made))
    if "swap" in effects:
        swap = effects["swap"]
        made = f"mean over {swap.sizes['position']} positions, {swap.sizes['value']} swaps each, "
        made += f"{swap.attrs['images']} images"
        rows += [
            _found("swap CES", swap, "ces_mean", "", f"{made}, pixel-L2"),
            _found("swap relative CES", swap, "ces_relative_mean", "", made),
        ]
    else:
        rows += [_Score(name, _NONE, "", "one code is in use, and there is none to swap it for") for name in _SWAPS]
    counted = effects.get("swap", latent).attrs  # swaps are made on more images
    used, images = counted["codes_used"], f"{counted['images']} images"
    value, low, high = (float(counted[f"code_perplexity{end}"]) for end in ("", "_low", "_high"))
    made = f"of {counted['codes']}, at any position of {images}; upper end: of any number of images, by Chao's estimate"
    return [
        *rows,
        _Score("codes in use", float(used), "", made, float(used), float(counted["codes_used_high"])),
        _Score("perplexity of the codes", value, "", f"exp of their entropy, from 1 to {used}, {images}", low, high),
    ]


def _disentanglement(scored: xr.Dataset) -> list[_Score]:
    attributes = scored.attrs
    others = (
        ("MIG", "mig"),
        ("SAP", "sap"),
        ("modularity", "modularity"),
        ("explicitness", "explicitness"),
        ("IRS", "irs"),
    )
    return [
        *(_found(f"DCI {name}", scored, name, "higher", attributes["dci_made"]) for name in DCI_SCORES),
        *(_found(label, scored, name, "higher", attributes[f"{name}_made"]) for label, name in others),
        _found("total correlation", scored, "total_correlation", "lower", attributes["total_correlation_made"]),
    ]
