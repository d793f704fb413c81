"""Level 2: what each latent does to the image, do(z_i := v).

Costs (latents · values + 1) decoder rows an image, and as many encoder rows for `over="latents"`; memory does not
grow with the number of images but for their codes.
"""

from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from vaelens.arguments import check_seed
from vaelens.effects.activity import activity
from vaelens.effects.contrast import contrast
from vaelens.effects.modes import MODES, replacements
from vaelens.effects.record import Array, Interval, record, with_interval
from vaelens.effects.sweep import effect_sizes, sweep
from vaelens.errors import unknown
from vaelens.lens import Lens
from vaelens.lens.images import checked_images
from vaelens.statistics import BootstrapMean, percentile_interval

EPSILON = 1e-8
OUTPUTS = ("pixels", "latents")


def latent_effects(
    lens: Lens, x: Any, mode: str = "range", values: Any = None, seed: Any = 0, over: str = "pixels"
) -> xr.Dataset:
    """Intervene on one latent at a time, do(z_i := v), and measure what changes in the image.

    With z = mu(x) and z̃_i the same code with latent i replaced,

        effect_iv = E_x ‖D(z) − D(z̃_iv)‖₂,   CES_i = mean over v of effect_iv,   in pixel-L2,
        ces_relative_i = CES_i / E_{x,x'} ‖D(mu(x)) − D(mu(x'))‖₂,
        specificity_i = 1 / (H(p_i) + 1e-8),   p_i(o) ∝ E|Δ_o| over outputs o, H in nats,
        specificity_normalised_i = 1 − H(p_i) / log(number of outputs), in [0, 1].

    The paper's abstract leaves open the values v, the relative form and the normalised form; they are decided here.

    Args:
        lens: the lens.
        x: images (n, C, H, W) in [0, 1].
        mode: "range" (v over `values`), "shift" (z_i + δ·s_i, δ over `values`), "posterior" (z_i of another image)
            or "prior" (a draw from N(0, 1)). A latent with positions is set at all of them.
        values: for "range" and "shift" the list of numbers; for "posterior" and "prior" how many draws for each
            image, 1 by default.
        seed: draws other images, noise, pairs and bootstrap resamples.
        over: the outputs of the specificity: "pixels" (every channel of every pixel), or "latents" (the re-encoded
            code of the changed image against that of the unchanged one; needs no labels).

    Returns:
        A Dataset with `effect` (latent, value), `ces`, `ces_relative`, `ces_posterior` (the CES of mode "posterior"),
        `specificity`, `specificity_normalised` (latent), `ces_mean` (over all latents), each with `_low` and `_high`, a
        95 % interval over images (for the specificities reflected about the estimate, because resampling roughens a
        picture and so lowers its entropy); `active` (latent); `scale` (latent), the code's (population) standard
        deviation s_i; `kl` (latent) in nats where the encoder gives a variance; `effect_map` (latent, channel, height,
        width), E|Δ| of each pixel. Specificities of a latent without effect are NaN.

    Raises:
        VaelensError: images out of range, an unknown mode or output, values that do not fit the mode.

    Example:
        >>> import torch, vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=3))
        >>> effects = vl.latent_effects(lens, torch.rand(4, 1, 32, 32))
        >>> effects.effect.dims, effects.sizes["value"]
        (('latent', 'value'), 7)
    """
    if over not in OUTPUTS:
        raise unknown("output of the specificity", over, OUTPUTS)
    images, seed = checked_images(x, lens.image_shape), check_seed(seed)
    codes, logvar = lens.posterior(images)
    n, known = len(codes), activity(codes, logvar)
    plan = replacements(mode, codes, known.scale, values, seed)
    swept = sweep(lens, codes, plan, over, seed)
    ces, replicates = _mean_over_values(swept.effect)
    posterior, posterior_interval = _posterior_ces(lens, codes, known.scale, seed)
    distance, distances = contrast(lens, codes, seed)
    widest = np.log(swept.outputs) if swept.outputs > 1 else np.nan
    specificity, specificities = 1 / (swept.entropy + EPSILON), 1 / (swept.entropy_replicates + EPSILON)
    normalised = 1 - swept.entropy / widest
    with np.errstate(invalid="ignore", divide="ignore"):  # identical reconstructions have no distance to compare with
        relative, relatives = ces / distance, replicates / distances[:, None]
    variables = {
        **with_interval("effect", ("latent", "value"), *_stacked(swept.effect)),
        **with_interval("ces", ("latent",), ces, _interval(replicates, n)),
        **with_interval("ces_relative", ("latent",), relative, _interval(relatives, n)),
        **with_interval("ces_posterior", ("latent",), posterior, posterior_interval),
        **with_interval("ces_mean", (), ces.mean(), _interval(replicates.mean(axis=1), n)),
        **with_interval("specificity", ("latent",), specificity, _pivotal(specificity, specificities, n)),
        **with_interval(
            "specificity_normalised",
            ("latent",),
            normalised,
            _pivotal(normalised, 1 - swept.entropy_replicates / widest, n),
        ),
        "active": (("latent",), known.active),
        "scale": (("latent",), known.scale),
        "effect_map": (("latent", "channel", "height", "width"), swept.pictures),
    }
    if known.kl is not None:
        variables["kl"] = (("latent",), known.kl)
    coords = {"latent": np.arange(lens.latents), "value": plan.labels}
    made = {"images": n, "seed": seed, "mode": mode, "specificity_over": over, "reference_distance": distance}
    return record(lens, variables, coords, **made)


def ces_by_mode(lens: Lens, x: Any, seed: Any = 0) -> xr.Dataset:
    """CES of every mode at its default values, side by side, without the maps and specificities of `latent_effects`.

    Args:
        lens: the lens.
        x: at least two images (n, C, H, W) in [0, 1].
        seed: draws other images, noise and bootstrap resamples.

    Returns:
        A Dataset with `ces` (mode, latent), its `_low` and `_high`.

    Raises:
        VaelensError: images out of range, or one alone.
    """
    images, seed = checked_images(x, lens.image_shape), check_seed(seed)
    codes, logvar = lens.posterior(images)
    scale = activity(codes, logvar).scale
    plans = [replacements(mode, codes, scale, None, seed) for mode in MODES]
    ces, replicates = zip(*(_mean_over_values(effect_sizes(lens, codes, plan, seed)) for plan in plans), strict=True)
    variables = with_interval(
        "ces", ("mode", "latent"), np.stack(ces), percentile_interval(np.stack(replicates, axis=1))
    )
    return record(
        lens, variables, {"mode": list(MODES), "latent": np.arange(lens.latents)}, images=len(codes), seed=seed
    )


def _mean_over_values(effect: list[BootstrapMean]) -> tuple[Array, Array]:
    """CES by latent, (d,), and its replicates, (resamples, d)."""
    replicates = np.stack([one.replicates.mean(axis=1) for one in effect], axis=1)
    return np.array([one.mean.mean() for one in effect]), replicates


def _posterior_ces(lens: Lens, codes: Tensor, scale: Array, seed: int) -> tuple[Array, Interval]:
    if len(codes) < 2:  # there is no other image to take a value from
        nothing = np.full(lens.latents, np.nan)
        return nothing, (nothing, nothing)
    plan = replacements("posterior", codes, scale, None, seed)
    ces, replicates = _mean_over_values(effect_sizes(lens, codes, plan, seed))
    return ces, percentile_interval(replicates)


def _interval(replicates: Array, images: int) -> Interval:
    """NaN for one image alone, whose replicates are all alike."""
    return percentile_interval(replicates if images > 1 else replicates[:0])


def _pivotal(estimate: Array, replicates: Array, images: int) -> Interval:
    """The reflected percentile interval: a resampled picture is rougher, so its entropy is too low on average."""
    low, high = _interval(replicates, images)
    return 2 * estimate - high, 2 * estimate - low


def _stacked(means: list[BootstrapMean]) -> tuple[Array, Interval]:
    intervals = [one.interval() for one in means]
    low, high = (np.stack([interval[end] for interval in intervals]) for end in range(2))
    return np.stack([one.mean for one in means]), (low, high)
