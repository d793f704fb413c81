"""The table of the scores that the catalogue knows and the analysis has, each with how it was made.

A score is a function with the catalogue's key for its name, which reads its number off the effects of an analysis. The
scores of codes and factors, which `analysis.disentanglement` computes, are read off by their keys.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vaelens.analysis.score_display import Scores
from vaelens.metrics.catalogue import METRICS
from vaelens.metrics.causal import chance_modularity, modularity_interval, response_modularity

COLUMNS = ("label", "value", "low", "high", "chance", "untrained", "better", "made")
NUMBERS = ("value", "low", "high", "chance", "untrained")
_NONE = float("nan")
_ONE_CODE = "not computed: one code is in use, and there is none to swap it for"
_NO_EFFECT = "not computed: no active latent changes anything"
_ALIKE = "not computed: all reconstructions are alike"


@dataclass(frozen=True)
class Effects:
    """What scores are read off.

    Attributes:
        parts: the Datasets of an analysis by the part's name.
        seed: of resamples.
    """

    parts: Mapping[str, xr.Dataset]
    seed: int

    def images(self, part: str) -> str:
        """Says on how many images a part was measured."""
        return f"{self.parts[part].attrs['images']} images"

    @property
    def are_alike(self) -> bool:
        """Whether all reconstructions are the same image."""
        return "latent" in self.parts and bool(self.parts["latent"].attrs.get("reference_distance") == 0)


@dataclass(frozen=True)
class Score:
    """A score's number, its 95 % interval and level of chance, NaN where there is none, and how it was made."""

    value: float
    made: str
    low: float = _NONE
    high: float = _NONE
    chance: float = _NONE


Scorer = Callable[[Effects], Score | None]  # None where the analysis has not the part that it is read off
SCORERS: dict[str, Scorer] = {}


def score_table(parts: Mapping[str, xr.Dataset], seed: int) -> pd.DataFrame:
    """Reads all scores off an analysis's effects.

    Args:
        parts: the Datasets of an `Analysis`; scores of those that are missing are left out.
        seed: of resamples.

    Returns:
        Indexed by the catalogue's key, in its order; columns label, value, low, high (95 % interval, NaN where there is
        none), chance (the value where nothing but chance is at work, NaN where that has no meaning), untrained (that
        of an untrained copy of the model, NaN where it was not computed), better ("higher", "lower" or nothing) and
        made: how, or why the value is NaN.
    """
    effects = Effects(parts, seed)
    rows, controls = {}, parts.get("controls")

    def baseline(key: str) -> float:
        return (
            _NONE if controls is None or key not in controls["score"] else float(controls["untrained"].sel(score=key))
        )

    for key, metric in METRICS.items():
        score = SCORERS[key](effects) if key in SCORERS else _of_factors(effects, key)
        if score is not None:
            rows[key] = {"label": metric.label, "better": metric.better, **asdict(score), "untrained": baseline(key)}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    return Scores(table.rename_axis(index="score"))


def _of_factors(effects: Effects, key: str) -> Score | None:
    """Reads off a score of codes and factors."""
    scored = effects.parts.get("importance")
    return None if scored is None or key not in scored else _read_off(scored, key, scored.attrs[f"{key}_made"])


def _read_off(dataset: xr.Dataset, variable: str, how: str, undefined: str = "") -> Score:
    """Reads a score off a Dataset, with its interval and level of chance.

    Args:
        dataset: where it stands.
        variable: what it is called there.
        how: it was made.
        undefined: what is said in place of it where the value is NaN.
    """
    low, high, chance = (
        float(dataset[end]) if end in dataset else _NONE
        for end in (f"{variable}_{end}" for end in ("low", "high", "chance"))
    )
    value = float(dataset[variable])
    return Score(value, undefined if undefined and np.isnan(value) else how, low, high, chance)


def _scorer(function: Scorer) -> Scorer:
    assert function.__name__ in METRICS, "a score has its line in the catalogue"
    SCORERS[function.__name__] = function
    return function


@_scorer
def reconstruction_error(effects: Effects) -> Score | None:
    """Reads the mean squared error of a pixel."""
    if "reconstruction" not in effects.parts:
        return None
    return _read_off(effects.parts["reconstruction"], "error", f"mean over {effects.images('reconstruction')}")


@_scorer
def active_latents(effects: Effects) -> Score | None:
    """Counts the active latents."""
    if "latent" not in effects.parts:
        return None
    latent = effects.parts["latent"]
    rule = "KL above 0.01 nat" if "kl" in latent else "spread above a thousandth of the largest"
    return _read_off(latent, "active_count", f"of {latent.sizes['latent']}: {rule}, {effects.images('latent')}")


@_scorer
def kl(effects: Effects) -> Score | None:
    """Reads KL from the prior, where the encoder gives a variance."""
    if "latent" not in effects.parts or "kl_total" not in effects.parts["latent"]:
        return None
    return _read_off(effects.parts["latent"], "kl_total", f"KL(q(z|x) || N(0, I)), {effects.images('latent')}")


@_scorer
def ces(effects: Effects) -> Score | None:
    """Averages CES over all latents."""
    if "latent" not in effects.parts:
        return None
    mode = effects.parts["latent"].attrs["mode"]
    return _read_off(
        effects.parts["latent"], "ces_mean", f"mean over all latents, mode {mode}, {effects.images('latent')}"
    )


@_scorer
def ces_relative(effects: Effects) -> Score | None:
    """Averages CES over the mean distance between two reconstructions."""
    return _over_active(effects, "latent", "ces_relative", _ALIKE if effects.are_alike else _NO_EFFECT)


@_scorer
def ces_posterior(effects: Effects) -> Score | None:
    """Averages CES of mode "posterior"."""
    return _over_active(effects, "latent", "ces_posterior")


@_scorer
def specificity(effects: Effects) -> Score | None:
    """Averages specificity over pixels."""
    return _over_active(effects, "latent", "specificity")


@_scorer
def specificity_normalised(effects: Effects) -> Score | None:
    """Averages normalised specificity over pixels."""
    return _over_active(effects, "latent", "specificity_normalised")


@_scorer
def specificity_normalised_latents(effects: Effects) -> Score | None:
    """Averages normalised specificity over the latents of the changed image."""
    undefined = _NO_EFFECT
    if "recoded" in effects.parts and effects.parts["recoded"].sizes["latent"] == 1:
        undefined = "not computed: one latent alone has no others to leave unchanged"
    return _over_active(effects, "recoded", "specificity_normalised", undefined)


@_scorer
def specificity_normalised_factors(effects: Effects) -> Score | None:
    """Averages normalised specificity over the factors that a reader reads."""
    if "read" not in effects.parts:
        return None
    factors = effects.parts["read"]["factor"].values.tolist()
    undefined = "not computed: one factor alone is read" if len(factors) == 1 else _NO_EFFECT
    return _over_active(effects, "read", "specificity_normalised", undefined, f", read: {', '.join(factors)}")


@_scorer
def circuit_modularity(effects: Effects) -> Score | None:
    """Computes circuit modularity over the decoder's units but its output."""
    if "responses" not in effects.parts:
        return None
    responses = effects.parts["responses"]
    modularity, compared = response_modularity(responses, form="normalised")
    if responses.sizes["unit"] == 0:
        how = "not computed: the decoder has no unit between the latent and its output"
    elif np.isnan(modularity):
        driving = "only 1 active latent drives" if compared == 1 else f"{compared} active latents drive"
        how = f"not computed: it compares latents, and {driving} units"
    else:
        how = f"{compared} active latents, {effects.images('responses')}; chance: units shuffled within each site"
    interval = modularity_interval(responses, effects.seed, form="normalised")
    return Score(modularity, how, *interval, chance_modularity(responses, effects.seed, form="normalised"))


@_scorer
def ces_relative_one_position(effects: Effects) -> Score | None:
    """Averages relative CES where a latent is set at one position."""
    if "one_position" not in effects.parts:
        return None
    how = f"mean over active latents, each set at one position an image, mode range, {effects.images('one_position')}"
    ranged = effects.parts["one_position"].sel(mode="range")
    undefined = _ALIKE if effects.are_alike else _NO_EFFECT
    return _read_off(ranged, "ces_relative_active_mean", how, undefined)


@_scorer
def ces_swap(effects: Effects) -> Score | None:
    """Averages CES of swaps of codes."""
    return _of_swaps(effects, "ces_mean")


@_scorer
def ces_relative_swap(effects: Effects) -> Score | None:
    """Averages CES of swaps over the mean distance between two reconstructions."""
    return _of_swaps(effects, "ces_relative_mean", _ALIKE)


@_scorer
def codes_used(effects: Effects) -> Score | None:
    """Counts the codes that the images take, and bounds how many any number of images would."""
    use = _code_use(effects)
    if use is None:
        return None
    how = (
        f"of {use['codes']}, at any position of {use['images']} images; upper end: of any number of images, by Chao's "
    )
    return Score(float(use["codes_used"]), f"{how}estimate", float(use["codes_used"]), float(use["codes_used_high"]))


@_scorer
def code_perplexity(effects: Effects) -> Score | None:
    """Reads the exponential of the entropy of the codes taken."""
    use = _code_use(effects)
    if use is None:
        return None
    value, low, high = (float(use[f"code_perplexity{end}"]) for end in ("", "_low", "_high"))
    return Score(value, f"exp of their entropy, from 1 to {use['codes_used']}, {use['images']} images", low, high)


def _over_active(
    effects: Effects, part: str, variable: str, undefined: str = _NO_EFFECT, more: str = ""
) -> Score | None:
    """Reads the mean of a variable over the active latents."""
    if part not in effects.parts:
        return None
    how = f"mean over active latents, {effects.images(part)}{more}"
    return _read_off(effects.parts[part], f"{variable}_active_mean", how, undefined)


def _of_swaps(effects: Effects, variable: str, undefined: str = "") -> Score | None:
    """Reads a score of swaps, NaN where the images take one code alone."""
    if "swap" in effects.parts:
        swap = effects.parts["swap"]
        how = (
            f"mean over {swap.sizes['position']} positions, {swap.sizes['value']} swaps each, {effects.images('swap')}"
        )
        return _read_off(swap, variable, how, undefined)
    use = _code_use(effects)
    return Score(_NONE, _ONE_CODE) if use is not None and use["codes_used"] == 1 else None


def _code_use(effects: Effects) -> Mapping[str, Any] | None:
    """Finds how the codebook is used, by the part that was measured on most images."""
    parts = [effects.parts[name] for name in ("swap", "latent") if name in effects.parts]
    return next((part.attrs for part in parts if "codes_used" in part.attrs), None)
