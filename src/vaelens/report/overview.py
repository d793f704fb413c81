"""What is said of a model as a whole, of its self-checks, its reconstructions and what its latents carry."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from vaelens.analysis import Analysis
from vaelens.effects.activity import ACTIVE_NATS
from vaelens.report.numerals import counted, listed, number
from vaelens.report.phrases import NAMED, spoken_score
from vaelens.report.ranking import estimates
from vaelens.report.wording import observation_of

_SHARE = 0.95  # of the information, that the latents carry which are counted where the analysis names none
_NEAR = 0.9  # of the most that an estimate of information can be, above which it is only a lower bound
_IMAGES = {"held out": "held-out images", "seen": "images that the model was trained on"}
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def check_sentence(analysis: Analysis) -> str | None:
    """Says which self-checks failed.

    Printed when one failed. Rests on the analysis's self-checks: patching a site with itself changes no bit, patching
    the whole latent returns the source.
    """
    failed = [name.replace("_", " ") for name, passed in analysis.provenance["checks"].items() if not passed]
    return f"The self-check failed ({listed(failed)}): the numbers below can't be relied on." if failed else None


def reconstruction_sentence(analysis: Analysis) -> str | None:
    """Says how far reconstructions are off, of images seen in training or not, or that they are all alike.

    Printed when the error or the effects of latents were measured; alike means that the mean distance between two
    reconstructions is 0. Rests on the parts "reconstruction" and "latent", and on the record of the training.
    """
    error = spoken_score(analysis, "reconstruction_error")
    if are_alike(analysis):
        off = f" (mean squared error {error} a pixel)" if error else ""
        return (
            f"All reconstructions are alike{off}: the model returns the same image whatever it is shown, so no latent "
            "and no unit can carry a difference between two images."
        )
    if error is None:
        return None
    decided = ", in which columns of large numbers decide" if observation_of(analysis.provenance).weights else ""
    seen = analysis.provenance.get("images_seen_in_training", "unknown")
    if seen in _IMAGES:
        return f"Reconstructions of {_IMAGES[seen]} are off by a mean squared error of {error} a pixel{decided}."
    return (
        f"Reconstructions are off by a mean squared error of {error} a pixel{decided}; whether the model was trained "
        "on these images is not recorded."
    )


def are_alike(analysis: Analysis) -> bool:
    """Says whether all reconstructions are one image."""
    latent = analysis.effects.get("latent")
    return latent is not None and bool(latent.attrs.get("reference_distance") == 0)


def latents_sentence(analysis: Analysis) -> str | None:
    """Says how many latents carry the information about the image, and what the others would cost if removed.

    Printed when the effects of latents were measured. Where the encoder returns a variance: the latents that the
    analysis calls informative, or else the fewest that carry 95 % of the information, summed over latents. Without a
    variance, or in analyses of earlier versions: which are active, and by which rule. Rests on `information`,
    `removal_cost` and `active` of the part "latent".
    """
    latent = analysis.effects.get("latent")
    if latent is None:
        return None
    return _information(latent) if "information" in latent else _activity(latent)


def carries_nothing(analysis: Analysis) -> bool:
    """Says whether no latent is active, or none is informative."""
    latent = analysis.effects.get("latent")
    if latent is None:
        return False
    return not latent["active"].values.any() or ("information" in latent and not informative(latent).any())


def informative(latent: xr.Dataset) -> np.ndarray:
    """Finds the latents that carry the information about the image, (d,)."""
    if "informative" in latent:
        return latent["informative"].values.astype(bool)
    nats = np.nan_to_num(latent["information"].values).clip(min=0)
    order = np.argsort(-nats, kind="stable")
    needed = int(np.searchsorted(np.cumsum(nats[order]), _SHARE * nats.sum() * (1 - 1e-9))) + 1
    return np.isin(np.arange(len(nats)), order[:needed]) & (nats >= ACTIVE_NATS)


def _information(latent: xr.Dataset) -> str:
    nats = np.nan_to_num(latent["information"].values).clip(min=0)
    total, count, bound = float(nats.sum()), len(nats), ""
    if (nats > _NEAR * latent.attrs.get("information_limit", np.inf)).any():
        bound = "at least "  # of so few images no estimate can be larger
    carrying = informative(latent)
    if not carrying.any():
        if count == 1:
            return f"Its one latent is not informative: it carries {number(total)} nat of information about the image."
        largest = int(nats.argmax())
        return (
            f"None of the {count} latents is informative: the most information about the image is "
            f"{number(float(nats[largest]))} nat (latent {largest}), so they are not ranked here."
        )
    if count == 1:
        return (
            f"Its one latent carries {bound}{number(total)} nats of information about the image; there is no other to "
            "compare it with."
        )
    idle = np.flatnonzero(~carrying)
    if not len(idle):
        return f"Each of the {count} latents carries information about the image, {bound}{number(total)} nats in sum."
    carries = "carries" if carrying.sum() == 1 else "carry"
    said = (
        f"{carrying.sum()} of {count} latents {carries} {nats[carrying].sum() / total:.0%} of the information about "
        f"the image, {bound}{number(float(nats[carrying].sum()))} nats in sum"
    ).replace("%", " %")
    return f"{said}; {_removal(latent, idle)}" if "removal_cost" in latent else f"{said}."


def _removal(latent: xr.Dataset, idle: np.ndarray) -> str:
    """Says what it costs to set one of the other latents to its mean."""
    costs = estimates(latent.isel(latent=idle), "removal_cost", [f"latent {k}" for k in idle])
    most = max(costs, key=lambda cost: cost.value)
    if len(idle) == 1:
        return f"removing {most.name} costs {most} nat of the reconstruction."
    count = _WORDS[len(idle)] if len(idle) < len(_WORDS) else f"{len(idle)}"
    return f"removing any one of the other {count} costs at most {most} nat of the reconstruction ({most.name})."


def _activity(latent: xr.Dataset) -> str:
    active = latent["active"].values
    rule = f"KL above {ACTIVE_NATS:g} nat" if "kl" in latent else "code spread above a thousandth of the largest"
    inactive = np.flatnonzero(~active).tolist()
    if not inactive:
        if len(active) > 1:
            return f"All {len(active)} latents are active ({rule})."
        return f"Its one latent is active ({rule}); there is no other to compare it with."
    if not active.any():
        return f"None of the {counted(len(active), 'latent')} is active ({rule}), so they are not ranked here."
    rest = f"{len(inactive)} are not"
    if len(inactive) <= NAMED:
        rest = f"{_numbered(inactive)} {'is' if len(inactive) == 1 else 'are'} not"
    return f"{active.sum()} of {len(active)} latents {'is' if active.sum() == 1 else 'are'} active ({rule}); {rest}."


def _numbered(latents: Sequence[Any]) -> str:
    return f"latent{'' if len(latents) == 1 else 's'} {listed(latents)}"
