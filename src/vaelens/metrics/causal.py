"""The three causal metrics: causal effect strength, intervention specificity, circuit modularity.

Specificity and modularity are read off effects (`latent_effects`, `decoder_responses`), whose Datasets carry intervals
besides; memory does not grow with the number of images but for their codes.
"""

from typing import Any

import numpy as np
import xarray as xr

from vaelens.effects import decoder_responses, latent_effects
from vaelens.effects.record import Array
from vaelens.effects.strength import strength
from vaelens.lens import Lens
from vaelens.statistics import half_sample_interval, half_samples

_FEWEST_PARTS = 8  # of the images, that halves can be drawn from
_HALVES = 50
_SHUFFLES = 20


def causal_effect_strength(
    lens: Lens,
    x: Any,
    mode: Any = "range",
    values: Any = None,
    seed: Any = 0,
    positions: Any = "all",
    progress: Any = True,
    tolerance: Any = None,
) -> xr.DataArray:
    """Causal effect strength of each latent: CES_i = E_x ‖D(z) − D(z̃_i)‖₂.

    z = mu(x), z̃_i the same with latent i intervened on. Unnormalised, in pixel-L2, 0 or more; larger is a stronger
    effect. What z̃_i is depends on `mode`; see `latent_effects`, which in more time also gives the intervals, the
    relative CES that can be compared across datasets, and the posterior-calibrated one.

    Args:
        lens: the lens.
        x: images (n, C, H, W) in [0, 1].
        mode: "range", "shift", "posterior", "prior", or "swap" for a quantised latent.
        values: as in `latent_effects`.
        seed: as in `latent_effects`.
        positions: where a latent with positions is set, as in `latent_effects`.
        progress: as in `latent_effects`.
        tolerance: as in `latent_effects`: no more images are used than it takes to know every CES this well.

    Returns:
        (latent); for "swap" (position). With a `tolerance`, the attributes say how many `images` were used of
        `images_given`, and whether `tolerance_reached` is 1 or 0.

    Raises:
        VaelensError: images out of range, an unknown mode, values or positions that do not fit, a tolerance that is not
            positive.

    References:
        A multi-level causal intervention framework for mechanistic interpretability in variational autoencoders
        (arXiv:2505.03530, 2025).
    """
    asked = {"mode": mode, "values": values, "seed": seed, "positions": positions, "progress": progress}
    if tolerance is None:
        return strength(lens, x, **asked)
    effects = latent_effects(lens, x, **asked, tolerance=tolerance)
    used = ("images", "images_given", "tolerance", "tolerance_reached")
    return effects["ces"].assign_attrs({name: effects.attrs[name] for name in used})


def intervention_specificity(
    lens: Lens,
    x: Any,
    over: Any = "pixels",
    mode: Any = "range",
    values: Any = None,
    seed: Any = 0,
    positions: Any = "all",
    progress: Any = True,
    reader: Any = None,
) -> xr.DataArray:
    """Intervention specificity of each latent: S_i = 1 / (H(p_i) + 1e-8).

    p_i(o) ∝ E|Δ_o| over outputs o, H in nats: high when an intervention changes few outputs, at least 1 / log(number of
    outputs), NaN for a latent without effect. `latent_effects` has it normalised to [0, 1], with intervals.

    Args:
        lens: the lens.
        x: images (n, C, H, W) in [0, 1].
        over: "pixels" (every channel of every pixel is an output), "latents" (the re-encoded code of the changed
            image) or "factors" (what `reader` reads off the changed image, by total-variation distance).
        mode: how the latent is intervened on, as in `latent_effects`.
        values: as in `latent_effects`.
        seed: as in `latent_effects`.
        positions: where a latent with positions is set, as in `latent_effects`.
        progress: as in `latent_effects`.
        reader: for `over="factors"` what reads the factors: `vl.factor_reader(ds)`.

    Returns:
        (latent); for "swap" (position).

    Raises:
        VaelensError: images out of range, unknown outputs or mode, values or positions that do not fit, factors without
            a reader.

    References:
        A multi-level causal intervention framework for mechanistic interpretability in variational autoencoders
        (arXiv:2505.03530, 2025).
    """
    effects = latent_effects(
        lens, x, mode=mode, values=values, seed=seed, over=over, positions=positions, progress=progress, reader=reader
    )
    return effects["specificity"]


def circuit_modularity(lens: Lens, x: Any, progress: Any = True) -> float:
    """Circuit modularity: M = 1 − mean over pairs i < j of |ρ(Δa_i, Δa_j)|.

    Δa_i is latent i's response over all decoder units but the output (`decoder_responses`), ρ Pearson's correlation,
    over the active latents that have an effect. In [0, 1]; 1 when latents drive unrelated sets of units.

    Args:
        lens: the lens.
        x: images (n, C, H, W) in [0, 1].
        progress: as in `decoder_responses`.

    Returns:
        M; NaN with fewer than two such latents, or without decoder units between latent and output.

    Raises:
        VaelensError: images out of range.

    References:
        A multi-level causal intervention framework for mechanistic interpretability in variational autoencoders
        (arXiv:2505.03530, 2025).
    """
    return response_modularity(decoder_responses(lens, x, progress=progress))[0]


def response_modularity(responses: xr.Dataset) -> tuple[float, int]:
    """M of recorded responses, and the number of latents it is over.

    Args:
        responses: as `decoder_responses` gives them.

    Returns:
        M as in `circuit_modularity`, and how many active latents with an effect it compares.

    Example:
        >>> flat = xr.Dataset({
        ...     "response": (("latent", "unit"), [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0]]),
        ...     "active": (("latent",), [True, True, False]),
        ... })
        >>> modularity, latents = response_modularity(flat)
        >>> round(modularity, 4), latents
        (0.6667, 2)
    """
    return _modularity(responses["response"].values, responses["active"].values)


def modularity_interval(responses: xr.Dataset, seed: int = 0) -> tuple[float, float]:
    """A 95 % interval of M by random halves of the parts of the images (`half_sample_interval`), within [0, 1].

    Args:
        responses: as `decoder_responses` gives them.
        seed: draws the halves.

    Returns:
        Lower and upper end; NaN for fewer than 8 images, or where M is NaN.
    """
    active, modularity = responses["active"].values, response_modularity(responses)[0]
    parts = responses["response_part"].values.astype(np.float64)  # (part, latent, unit)
    parts = parts[: min(len(parts), responses.attrs["images"])]
    if len(parts) < _FEWEST_PARTS or np.isnan(modularity):
        return float("nan"), float("nan")
    halves = [_modularity(parts[half].mean(axis=0), active)[0] for half in half_samples(len(parts), _HALVES, seed)]
    low, high = half_sample_interval(modularity, halves)
    return float(max(low, 0.0)), float(min(high, 1.0))


def chance_modularity(responses: xr.Dataset, seed: int = 0) -> float:
    """M of latents that drive units at random: the mean over 20 shuffles of each latent's responses within each site.

    Sites of different scale make responses alike that have no unit in common; what is left of it is no modularity of
    the latents.

    Args:
        responses: as `decoder_responses` gives them.
        seed: draws the shuffles.
    """
    generator = np.random.default_rng(seed)
    shuffled = responses["response"].values.copy()
    columns = [np.flatnonzero(responses["site"].values == site) for site in np.unique(responses["site"].values)]
    found = []
    for _ in range(_SHUFFLES):
        for units in columns:
            shuffled[:, units] = generator.permuted(shuffled[:, units], axis=1)
        found.append(_modularity(shuffled, responses["active"].values)[0])
    return float(np.mean(found))


def _modularity(response: Array, active: Array) -> tuple[float, int]:
    # A response that is the same at every unit has no correlation with anything; it is left out like no effect.
    used = response[active & (np.ptp(response, axis=1) > 0)] if response.shape[1] else response[:0]
    if len(used) < 2:
        return float("nan"), len(used)
    correlation = np.abs(np.corrcoef(used))
    return float(1 - correlation[np.triu_indices(len(used), k=1)].mean()), len(used)
