"""Circuit modularity of recorded responses, with its interval and its level by chance.

"normalised" compares responses in units of how far the images move each unit, within each site: a property of the
function. "paper" compares raw responses over all sites at once: multiplying a site and dividing the next changes it.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import xarray as xr
from jaxtyping import Float

from vaelens.errors import VaelensError, unknown
from vaelens.statistics import half_sample_interval, half_samples

_FEWEST_PARTS = 8  # of the images, that halves can be drawn from
_HALVES = 50
_SHUFFLES = 20

Responses = Float[np.ndarray, "latents units"]
Spread = Float[np.ndarray, " units"]
Sites = list[np.ndarray]  # the columns of each site's units


class _Measure(Protocol):
    """A form of circuit modularity, which returns M and the number of latents that it compares."""

    def __call__(self, responses: Responses, spread: Spread, sites: Sites) -> tuple[float, int]: ...


def response_modularity(responses: xr.Dataset, form: str = "paper") -> tuple[float, int]:
    """Computes circuit modularity from recorded responses.

    Args:
        responses: as `decoder_responses` returns them; for the normalised form with the spread of each unit, as
            `with_unit_spread` adds it.
        form: "normalised" or "paper", as in `circuit_modularity`.

    Returns:
        M, and how many active latents with an effect it compares; NaN for fewer than two.

    Raises:
        VaelensError: an unknown form, or the normalised one of responses without spreads.

    Example:
        >>> flat = xr.Dataset({
        ...     "response": (("latent", "unit"), [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0]]),
        ...     "active": (("latent",), [True, True, False]),
        ...     "unit_spread": (("unit",), [1.0, 2.0, 1.0, 0.0]),
        ... }, {"site": ("unit", ["decoder.0"] * 4)})
        >>> response_modularity(flat, "normalised")
        (1.0, 2)
        >>> modularity, latents = response_modularity(flat, "paper")
        >>> round(modularity, 4), latents
        (0.6667, 2)
    """
    return _measured(responses, form, responses["response"].values)


def modularity_interval(responses: xr.Dataset, seed: int = 0, form: str = "paper") -> tuple[float, float]:
    """Computes a 95 % interval of circuit modularity by random halves of the parts of the images.

    The spread of each unit is that of the same half.

    Args:
        responses: as in `response_modularity`.
        seed: of the halves.
        form: as in `response_modularity`.

    Returns:
        Lower and upper end within [0, 1]; NaN for fewer than 8 images, or where M is NaN.

    Raises:
        VaelensError: as `response_modularity`.
    """
    modularity = response_modularity(responses, form)[0]
    parts = responses["response_part"].values.astype(np.float64)  # (part, latent, unit)
    parts = parts[: min(len(parts), responses.attrs["images"])]
    if len(parts) < _FEWEST_PARTS or np.isnan(modularity):
        return float("nan"), float("nan")
    variances = responses["unit_spread_part"].values ** 2 if form == "normalised" else None
    halves = []
    for half in half_samples(len(parts), _HALVES, seed):
        spread = None if variances is None else np.sqrt(variances[half].mean(axis=0))
        halves.append(_measured(responses, form, parts[half].mean(axis=0), spread)[0])
    low, high = half_sample_interval(modularity, halves)
    return float(max(low, 0.0)), float(min(high, 1.0))


def chance_modularity(responses: xr.Dataset, seed: int = 0, form: str = "paper") -> float:
    """Computes the circuit modularity of latents that drive units at random.

    The mean over 20 shuffles of each latent's responses within each site, for the normalised form among the units that
    images move. Latents that all drive many units at random are alike to some degree; only what lies above this level
    is modularity of the latents.

    Args:
        responses: as in `response_modularity`.
        seed: of the shuffles.
        form: as in `response_modularity`.

    Raises:
        VaelensError: as `response_modularity`.
    """
    generator = np.random.default_rng(seed)
    response, spread = responses["response"].values, _spread(responses, form)
    moved = spread > 0
    comparable = np.where(moved, response / np.where(moved, spread, 1), 0)
    groups = [columns[moved[columns]] for columns in _sites(responses)]
    unit_spread = np.where(moved, 1.0, 0.0)
    shuffles = []
    for _ in range(_SHUFFLES):
        for columns in groups:
            comparable[:, columns] = generator.permuted(comparable[:, columns], axis=1)
        shuffles.append(_measured(responses, form, comparable, unit_spread)[0])
    return float(np.mean(shuffles))


def _measured(responses: xr.Dataset, form: str, response: Responses, spread: Spread | None = None) -> tuple[float, int]:
    """Measures M of other responses of the same latents and units, and how many latents it compares."""
    spread = _spread(responses, form) if spread is None else spread
    active = response[responses["active"].values]
    return FORMS[form](active, spread, _sites(responses))


def _spread(responses: xr.Dataset, form: str) -> Spread:
    """Returns what each unit's responses are measured in, which is 1 throughout for the paper's form."""
    if form not in FORMS:
        raise unknown("form of circuit modularity", form, FORMS)
    if form == "paper":
        return np.ones(responses.sizes["unit"])
    if "unit_spread" not in responses:
        raise VaelensError(
            "these responses have no unit_spread, in which the normalised form measures them; add it with "
            "with_unit_spread(lens, x, responses), or take form='paper'"
        )
    return responses["unit_spread"].values


def _sites(responses: xr.Dataset) -> Sites:
    """Returns the columns of each site's units, all as one site where none is named."""
    if "site" not in responses.coords:
        return [np.arange(responses.sizes["unit"])]
    names = responses["site"].values
    return [np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())]


def _normalised(responses: Responses, spread: Spread, sites: Sites) -> tuple[float, int]:
    effective = np.any(responses[:, spread > 0] > 0, axis=1)  # (latents,)
    scores = []
    for columns in sites:
        moved = columns[spread[columns] > 0]
        vectors = responses[effective][:, moved] / spread[moved]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        # A latent that moves nothing at this site has no direction here, whatever it does at others.
        directions = vectors[lengths[:, 0] > 0] / lengths[lengths > 0][:, None]
        if len(directions) > 1:
            scores.append(1 - _mean_over_pairs(directions @ directions.T))
    modularity = float(np.clip(np.mean(scores), 0, 1)) if scores else float("nan")
    return modularity, int(effective.sum())


def _paper(responses: Responses, spread: Spread, sites: Sites) -> tuple[float, int]:
    # A response that is the same at every unit has no correlation with anything; it is left out like no effect.
    vectors = responses[np.ptp(responses, axis=1) > 0] if responses.shape[1] else responses[:0]
    if len(vectors) < 2:
        return float("nan"), len(vectors)
    return float(1 - _mean_over_pairs(np.abs(np.corrcoef(vectors)))), len(vectors)


def _mean_over_pairs(matrix: Float[np.ndarray, "a a"]) -> float:
    return float(matrix[np.triu_indices(len(matrix), k=1)].mean())


FORMS: Mapping[str, _Measure] = {"normalised": _normalised, "paper": _paper}
