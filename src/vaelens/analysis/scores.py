"""The table of scores: one row for each, with its interval, which direction is better, and how it was made."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd
import xarray as xr
from torch import Tensor

from vaelens.effects.record import Array
from vaelens.lens import Lens
from vaelens.metrics.causal import response_modularity
from vaelens.statistics import BootstrapMean

_NONE = float("nan")


@dataclass(frozen=True)
class _Score:
    score: str
    value: float
    better: str
    made: str
    low: float = _NONE
    high: float = _NONE


def score_table(lens: Lens, x: Tensor, effects: Mapping[str, xr.Dataset], seed: int) -> pd.DataFrame:
    """The scores that are read off an analysis's effects.

    Args:
        lens: the lens.
        x: the images that were analysed.
        effects: the Datasets of an `Analysis`, `importance` among them where there are factors.
        seed: of the bootstrap resamples.

    Returns:
        Indexed by score; columns value, low, high (95 % interval over images, NaN where there is none), better
        ("higher", "lower" or nothing) and made.
    """
    rows = [*_of_model(lens, x, effects["latent"], seed), *_causal(effects, len(x))]
    if "importance" in effects:
        rows += _disentanglement(effects["importance"])
    table = pd.DataFrame([asdict(row) for row in rows]).set_index("score")
    return table[["value", "low", "high", "better", "made"]]


def _of_model(lens: Lens, x: Tensor, latent: xr.Dataset, seed: int) -> list[_Score]:
    error = BootstrapMean((), seed=seed)
    for chunk in x.split(lens.rows):
        error.update((lens.reconstruct(chunk).cpu() - chunk.cpu()).double().square().flatten(1).mean(dim=1).numpy())
    low, high = error.interval()
    images = f"{len(x)} images"
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
        _Score("active latents", float(active.sum()), "", f"of {len(active)}: {rule}, {images}"),
    ]
    if "kl" in latent:
        rows.append(_Score("KL", float(latent["kl"].sum()), "", f"KL(q(z|x) || N(0, I)) in nats, {images}"))
    return rows


def _causal(effects: Mapping[str, xr.Dataset], images: int) -> list[_Score]:
    latent = effects["latent"]
    active = latent["active"].values
    over_active = f"mean over active latents, {images} images"
    modularity, compared = response_modularity(effects["responses"])
    made = f"{compared} active latents, {effects['responses'].attrs['images']} images"
    if effects["responses"].sizes["unit"] == 0:
        made = "the decoder has no unit between the latent and its output"
    ends = (float(latent["ces_mean_low"]), float(latent["ces_mean_high"]))
    mode = f"mean over all latents, mode {latent.attrs['mode']}, pixel-L2, {images} images"
    return [
        _Score("CES", float(latent["ces_mean"]), "", mode, *ends),
        *(
            _Score(label, _mean(latent[name].values, active), better, over_active)
            for label, name, better in (
                ("relative CES", "ces_relative", ""),
                ("posterior CES", "ces_posterior", ""),
                ("specificity over pixels", "specificity", "higher"),
                ("normalised specificity over pixels", "specificity_normalised", "higher"),
            )
        ),
        _Score(
            "normalised specificity over latents",
            _mean(effects["recoded"]["specificity_normalised"].values, active),
            "higher",
            f"mean over active latents, {effects['recoded'].attrs['images']} images",
        ),
        _Score("circuit modularity", modularity, "higher", made),
    ]


def _disentanglement(scored: xr.Dataset) -> list[_Score]:
    rows = [
        _Score(f"DCI {name}", float(scored[name]), "higher", scored.attrs["dci_made"])
        for name in ("disentanglement", "completeness", "informativeness")
    ]
    return [*rows, _Score("MIG", float(scored["mig"]), "higher", scored.attrs["mig_made"])]


def _mean(values: Array, of: Array) -> float:
    return float(values[of].mean()) if of.any() else _NONE
