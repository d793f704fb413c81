"""The three causal metrics, which are causal effect strength, intervention specificity and circuit modularity.

Specificity and modularity are read off effects (`latent_effects`, `decoder_responses`), whose Datasets carry intervals
too. Memory grows with the number of images by their codes alone.
"""

from typing import Any

import numpy as np
import xarray as xr

from vaelens.arguments import Progress, Seed
from vaelens.effects import ReadsFactors, decoder_responses, latent_effects
from vaelens.effects.latent import PositionsLike
from vaelens.effects.modes import LatentMode, Values
from vaelens.effects.outputs import Over
from vaelens.effects.strength import strength
from vaelens.errors import VaelensError, unknown
from vaelens.lens import ContextLike, ImagesLike, Lens
from vaelens.metrics.response_modularity import (
    FORMS,
    chance_modularity,
    modularity_interval,
    response_modularity,
)
from vaelens.metrics.unit_spread import with_unit_spread

__all__ = [
    "causal_effect_strength",
    "chance_modularity",
    "circuit_modularity",
    "intervention_specificity",
    "modularity_interval",
    "response_modularity",
]


def causal_effect_strength(
    lens: Lens,
    x: ImagesLike,
    mode: LatentMode = "range",
    values: Values = None,
    seed: Seed = 0,
    positions: PositionsLike = "all",
    progress: Progress = True,
    tolerance: float | None = None,
    context: ContextLike | None = None,
) -> xr.DataArray:
    """Measures how far intervening on each latent moves the image.

    CES_i = E_x ‖D(z) − D(z̃_i)‖₂, with z = mu(x) and z̃_i the same with latent i intervened on. Unnormalised, in
    pixel-L2, 0 or more; larger is a stronger effect. What z̃_i is depends on `mode`; see `latent_effects`, which in more
    time also returns the intervals, the relative CES that can be compared across datasets, and the
    posterior-calibrated one.

    Args:
        lens: the lens.
        x: images (n, C, H, W) in [0, 1].
        mode: "range", "shift", "posterior", "prior", "conditional", or "swap" for a quantised latent.
        values: as in `latent_effects`.
        seed: as in `latent_effects`.
        positions: where a latent with positions is set, as in `latent_effects`.
        progress: as in `latent_effects`.
        tolerance: as in `latent_effects`: no more images are used than it takes to know every CES this well.
        context: as in `latent_effects`.

    Returns:
        (latent); for "swap" (position). With a `tolerance`, the attributes say how many `images` were used of
        `images_given`, and whether `tolerance_reached` is 1 or 0.

    Raises:
        VaelensError: images out of range, an unknown mode, values or positions that do not fit, a tolerance that is not
            positive, a strength that is not finite.

    References:
        A multi-level causal intervention framework for mechanistic interpretability in variational autoencoders
        (arXiv:2505.03530, 2025).
    """
    options: dict[str, Any] = {
        "mode": mode,
        "values": values,
        "seed": seed,
        "positions": positions,
        "progress": progress,
        "context": context,
    }
    if tolerance is None:
        ces = strength(lens, x, **options)
    else:
        effects = latent_effects(lens, x, **options, tolerance=tolerance)
        stopping = ("images", "images_given", "tolerance", "tolerance_reached")
        ces = effects["ces"].assign_attrs({name: effects.attrs[name] for name in stopping})
    _check_finite(ces.values, "causal effect strengths")
    return ces


def intervention_specificity(
    lens: Lens,
    x: ImagesLike,
    over: Over = "pixels",
    mode: LatentMode = "range",
    values: Values = None,
    seed: Seed = 0,
    positions: PositionsLike = "all",
    progress: Progress = True,
    reader: ReadsFactors | None = None,
    context: ContextLike | None = None,
) -> xr.DataArray:
    """Measures how few outputs intervening on each latent changes.

    S_i = 1 / (H(p_i) + 1e-8), with p_i(o) ∝ E|Δ_o| over outputs o and H in nats: high when an intervention changes few
    outputs, at least 1 / log(number of outputs), NaN for a latent without effect. The paper's form: over pixels it
    depends on how many there are, so compare it with that of all latents replaced at once. `latent_effects` has it
    normalised to [0, 1], with intervals.

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
        context: as in `latent_effects`.

    Returns:
        (latent); for "swap" (position).

    Raises:
        VaelensError: images out of range, unknown outputs or mode, values or positions that do not fit, factors without
            a reader.

    References:
        A multi-level causal intervention framework for mechanistic interpretability in variational autoencoders
        (arXiv:2505.03530, 2025).
    """
    options: dict[str, Any] = {"mode": mode, "values": values, "seed": seed, "over": over, "positions": positions}
    effects = latent_effects(lens, x, **options, progress=progress, reader=reader, context=context)
    return effects["specificity"]


def circuit_modularity(
    lens: Lens,
    x: ImagesLike,
    form: str = "normalised",
    progress: Progress = True,
    context: ContextLike | None = None,
) -> float:
    """Measures how far latents drive units of their own, or the same units in the same proportions.

    Δa_iu is latent i's response at decoder unit u (`decoder_responses`: the mean absolute change over positions, images
    and the values of mode "range"), over the decoder's sites but its output and the active latents with an effect.

    - "normalised": r_iu = Δa_iu / sd_u, with sd_u the standard deviation of the unit's activation over the images (the
      root of its variance over images, averaged over positions). At each site M = 1 − mean over pairs i < j of
      cos(r_i, r_j), then averaged over sites: 1 exactly when latents drive disjoint units, 0 when they drive the same
      ones in the same proportions. Multiplying a site's weights and dividing the next one's changes nothing. Units that
      no image moves are left out, and a latent is compared only at sites where it moves a unit. Decided here.
    - "paper": M = 1 − mean over pairs of |ρ(Δa_i, Δa_j)|, ρ Pearson's correlation over all units of all sites: the
      published formula, which rescaling a site changes at will, and which is 1 − 1/(d − 1) for d disjoint latents.

    Latents that drive many units at random are alike to some degree: compare M with `chance_modularity` and with an
    untrained model's.

    Args:
        lens: the lens.
        x: images (n, C, H, W) in [0, 1].
        form: "normalised" or "paper".
        progress: as in `decoder_responses`.
        context: as in `latent_effects`.

    Returns:
        M in [0, 1], larger is more modular; NaN with fewer than two such latents, or without decoder units between
        latent and output.

    Raises:
        VaelensError: images out of range, an unknown form, activations that are not finite.

    References:
        A multi-level causal intervention framework for mechanistic interpretability in variational autoencoders
        (arXiv:2505.03530, 2025), for the form "paper".
    """
    if form not in FORMS:
        raise unknown("form of circuit modularity", form, FORMS)
    batch = lens.batch(x, context)
    responses = decoder_responses(lens, batch, progress=progress)
    _check_finite(responses["response"].values, "responses of decoder units")
    if form == "normalised":
        responses = with_unit_spread(lens, batch, responses)
    return response_modularity(responses, form)[0]


def _check_finite(values: np.ndarray, name: str) -> None:
    """Refuses effects of a model whose numbers are none.

    Raises:
        VaelensError: a value that is NaN or infinite.
    """
    if not np.isfinite(values).all():
        raise VaelensError(
            f"{int((~np.isfinite(values)).sum())} of {values.size} {name} are not finite; expected finite numbers; "
            "check the model's weights and its codes, lens.encode(x)"
        )
