"""Level 2, the effect of each latent on the image, do(z_i := v).

Costs (latents · (values + 1.5) + 1) decoder rows an image, an encoder row for every 16th of them, and as many encoder
rows as decoder rows for `over="latents"`; memory does not grow with the number of images but for their codes.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaelens.arguments import Progress, Seed
from vaelens.effects.activity import active_count_interval, checked_active, divergences
from vaelens.effects.along import along_latents
from vaelens.effects.codes import Codes, codes_of
from vaelens.effects.factor_predictions import ReadsFactors
from vaelens.effects.information import information, likelihood_of
from vaelens.effects.latent_scores import stacked
from vaelens.effects.latent_sweep import LatentSweep, latent_sweep
from vaelens.effects.modes import POSTERIOR, LatentMode, Values, replacements
from vaelens.effects.options import checked_options
from vaelens.effects.outputs import Over, checked_over
from vaelens.effects.precision import with_precision
from vaelens.effects.record import RESAMPLES, Variables, record, with_interval
from vaelens.effects.schemas import DIRECTION_EFFECTS, LATENT_EFFECTS
from vaelens.effects.swap import swap_effects
from vaelens.errors import VaelensError
from vaelens.lens import LATENT, ContextLike, Direction, ImagesLike, Lens
from vaelens.statistics import BootstrapMean

PositionsLike = Literal["all", "one"] | Sequence[int]


def latent_effects(
    lens: Lens,
    x: ImagesLike,
    mode: LatentMode = "range",
    values: Values = None,
    seed: Seed = 0,
    over: Over = "pixels",
    positions: PositionsLike = "all",
    progress: Progress = True,
    tolerance: float | None = None,
    reader: ReadsFactors | None = None,
    active: Sequence[bool] | NDArray[np.bool_] | None = None,
    context: ContextLike | None = None,
    units: Direction | None = None,
) -> xr.Dataset:
    """Intervenes on one latent at a time, do(z_i := v), and measures what changes in the image.

    With z = mu(x) and z̃_i the same code with latent i replaced,

        effect_iv = E_x ‖D(z) − D(z̃_iv)‖₂,   CES_i = mean over v of effect_iv,   in pixel-L2,
        ces_relative_i = CES_i / E_{x,x'} ‖D(mu(x)) − D(mu(x'))‖₂,
        specificity_i = 1 / (H(p_i) + 1e-8),   p_i(o) ∝ E|Δ_o| over outputs o, H in nats,
        specificity_normalised_i = 1 − H(p_i) / log(number of outputs), in [0, 1],
        specificity_per_image_i = E_x[1 − H(|Δ_x|) / log(number of outputs)], over the images that change.

    The paper's abstract leaves open the values v, the relative form and the normalised form; they are decided here. A
    mean over images smears what an image alone has in one place, so compare latents by `specificity_per_image`, and it
    with `specificity_baseline`, the same with all latents replaced at once: on a small object every change is
    concentrated. Memory does not grow with the number of images but for their codes.

    An intervention can take the code to where no image's code is, and the decoder was never trained: `support` says how
    many of the codes stay near those of images, `cycle_error` whether the encoder sees in the changed image what was
    set. Modes "posterior" and "conditional" stay nearest to the data.

    A quantised latent is set before its quantisation, and what is decoded is quantised again, as in the paper: the
    effect is 0 until a code crosses the boundary to another. Mode "swap" is `swap_effects`.

    Args:
        lens: the lens.
        x: images (n, C, H, W) in [0, 1].
        mode: "range" (v over `values`), "shift" (z_i + δ·s_i, δ over `values`), "posterior" (a sample μ_i + σ_i·ε of
            another image's posterior; z_i of another image where the encoder returns no variance), "prior" (a draw from
            N(0, 1)), "conditional" (z_i of an image drawn among the 10 that are nearest in the other latents, each in
            its own standard deviations), or, for a quantised latent, "swap" (a position's code by another).
        values: for "range" and "shift" the list of numbers; for the others how many draws for each image, 1 by
            default. The default range goes from −3 to 3 where the code is on the scale of its prior, or quantised.
            Where it is not (the root mean square over active latents of √(Var μ_i + E σ_i²) lies outside [1/3, 3], as
            an AutoencoderKL's does), it goes from m_i − 3 s_i to m_i + 3 s_i, mean and standard deviation of the
            latent's own code, and the attribute `range_in` is "standard deviations" instead of "code".
        seed: draws other images, noise, codes, positions, pairs and bootstrap resamples.
        over: the outputs of the specificity: "pixels" (every channel of every pixel; of what is no image every value),
            "groups" (the mean over each named group of features; with Gower's distance each feature and group counts by
            what it adds to that), or "latents" (the re-encoded code of the changed image against that of the unchanged
            one, in standard deviations of the latent's posterior, √E σ_k², or of its code where the encoder returns no
            variance; of a quantised latent before quantisation; needs no labels), or "factors" (what `reader`
            predicts from the changed image against what it predicts from the unchanged one:
            |Δ_k| = ½ Σ_v |p_k(v | D(z̃)) − p_k(v | D(z))|, the total-variation
            distance, in [0, 1] and so comparable across factors; decided here).
        positions: where a latent with positions is set: "all" of them, "one" (a position for each image, drawn
            uniformly, the same for every latent and value), or a position's indices, (row, column).
        progress: whether to show a bar on standard error, or a function of (images decoded, images in all).
        tolerance: how far, in pixel-L2, a CES may be from its estimate: images are then taken in a random order, by
            `seed`, until every CES is known that well, and no further. None for all images.
        reader: for `over="factors"` what predicts the factors: `vl.factor_reader(ds)`.
        active: the latents that means over active ones are over, (d,) of True and False, as another result on more
            images has them; by default those that are active on these images. Mode "swap" has no latents.
        context: what encoder and decoder are given besides, one row for each observation, where the lens takes one;
            held fixed between base and intervened runs.
        units: directions of the latent that are intervened on in place of latents, one at a time: a `Direction`, such
            as `vl.Direction.principal(lens, x)`. Everything said of z_i is then of the coordinate along the direction,
            with N(0, 1) as prior of what points nowhere but along it, and the dimension `direction` takes the place
            of `latent`.

    Returns:
        A Dataset of the variables below; `effects.schemas` has the table of all, with units and ranges.

        - `effect` (latent, value), `ces`, `ces_relative`, `ces_posterior` (the CES of mode "posterior"), `specificity`,
          `specificity_normalised` (latent), the mean of each of these scores over all latents, such as `ces_mean`, and
          over the active ones, such as `ces_active_mean`; `specificity_per_image`, `specificity_baseline` (latent, the
          same for each).
        - `ces_best`, `ces_posterior_best`, `specificity_normalised_best` (latent), the active latents that may have the
          largest of these scores, at 95 % for all of them at once: none of the set is excluded by the paired
          differences of its resamples (`vaelens.statistics.best_set`). Of one image nothing can be excluded.
        - `support` (latent, value), the share of intervened codes whose distance to the nearest code mu(x) of an image,
          in standard deviations of the code, is within the 95th percentile of the distances between such codes and
          their nearest; `cycle_error` (latent, value), |re-encoded z_i − value set| in standard deviations of the
          posterior, or of the code where there is no variance, on some of the images (attribute `cycle_images`).
        - `active` (latent); `active_count`, how many are; `scale` (latent), the code's (population) standard deviation
          s_i; `kl` (latent) and their sum `kl_total`, in nats, where the encoder returns a variance.
        - `information` (latent), the mutual information of latent and image in nats, E log q(z_i|x) / q(z_i) with the
          mixture q(z_i) over the images, where the encoder returns a variance; never above log n (attribute
          `information_limit`). `removal_cost` (latent), by how many nats −log p(x|mu(x)) grows when z_i is set to its
          mean, on every second image, the KL term left as it is: what the ELBO loses. The attribute `likelihood` says
          which p is: the model's own of a vaelens VAE, of another model squared error / 2, which is none of rows with
          Gower's distance: there it is left out.
        - `effect_map` (latent, channel, height, width), E|Δ| of each pixel.
        - `ces_mean_resampled` (resample), and the same of the means over active latents of `ces_relative`
          and `ces_posterior`, and of `kl_total`: the mean of each bootstrap resample, of which another model's on the
          same images with the same seed is the partner (`vl.compare`).
        - Over factors `factor_effect` (latent, factor), E|Δ_k| over images and values; the attributes hold the reader's
          held-out accuracies of the factors that it predicts (`reader_accuracy`) and of those that are not predicted
          well enough (`reader_left_out`), as JSON.

        - Of directions besides `unseen_share` (direction), as `Lens.unseen_share` says it; and no `kl_total`, which is
          not the sum over directions.

        Every mean has `_low` and `_high`, a 95 % interval over images (for the specificities of the mean picture
        reflected about the estimate, because resampling roughens a picture and so lowers its entropy, and wide enough
        to hold it). Specificities of a latent without effect are NaN. Of a quantised latent the attributes say how many
        `codes` there are, and of those used what `swap_effects` says.

        With a `tolerance`, `ces_low` and `ces_high` are a 95 % confidence sequence instead, which holds for all latents
        at once and at whatever number of images it stops, if the images are a random sample and the model decodes to
        images in [0, 1] (effects between 0 and √(C·H·W)); work stops when no half-width is above the tolerance.
        Everything else is of the images used (the other intervals as if their number had been fixed), but for what
        interventions set and are compared with: s_i of "shift", the other images of "posterior" and `ces_posterior`,
        and the codes of `support` are of all images given. The attributes say how many `images` were used of
        `images_given`, and whether the `tolerance_reached` is 1 or 0.

    Raises:
        VaelensError: images out of range, an unknown mode or output, values that do not fit the mode, positions that
            the latent does not have, a swap of codes where there are none or the images use one only, a tolerance that
            is not positive; factors without a reader, or a reader without them, or one that predicts none well enough
            or takes images of another shape; directions that are not of the latent, or that are taken together.

    Warns:
        VaelensWarning: the images do not suffice for the tolerance.

    References:
        Estimating means of bounded random variables by betting (Waudby-Smith, Ramdas, 2024), for the tolerance. ELBO
        surgery (Hoffman, Johnson, 2016), for the information.

    Example:
        >>> import torch, vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=3))
        >>> effects = vl.latent_effects(lens, torch.rand(4, 1, 32, 32))
        >>> effects.effect.dims, effects.sizes["value"]
        (('latent', 'value'), 7)
    """
    if isinstance(mode, str) and mode == "swap":
        if not isinstance(positions, str) or positions != "all":
            raise VaelensError(
                f"mode 'swap' goes over the positions one by one, and positions is {positions!r}; leave it out"
            )
        if units is not None:
            raise VaelensError("mode 'swap' swaps codes at positions, which have no directions; leave units out")
        return swap_effects(lens, x, values, seed, over, progress, tolerance, reader, context)  # pyright: ignore[reportArgumentType]
    along = lens if units is None else along_latents(lens, units)
    return _latent_effects(along, x, mode, values, seed, over, positions, progress, tolerance, reader, active, context)


@with_precision("effect", images=("x", "context"))
def _latent_effects(
    lens, x, mode, values, seed, over, positions, progress, tolerance=None, reader=None, active=None, context=None
) -> xr.Dataset:
    """Measures `latent_effects` of every mode but "swap", from arguments as a user gives them."""
    over = checked_over(over, lens.observation)
    images = lens.batch(x, context)
    options = checked_options(lens, seed, progress, tolerance, reader, outputs=("over", over))
    codes = codes_of(lens, images, positions, options.seed)
    averaged = checked_active(active, codes.units)
    plan = replacements(mode, codes, values, options.seed)
    # One image alone has no other to take a value from.
    calibrated = POSTERIOR["latent"](codes, None, options.seed) if len(codes.z) > 1 else None
    swept = latent_sweep(lens, images, codes, plan, calibrated, over, options)
    unit = plan.over
    averaged = swept.codes.activity.active[: codes.units] if averaged is None else averaged
    variables = swept.variables(averaged, lens.observation.axes) | _measured_codes(swept, options.seed)
    if swept.cycle is not None:
        variables |= with_interval("cycle_error", (unit, "value"), *swept.cycle)
    if swept.support is not None:
        variables |= with_interval("support", (unit, "value"), *stacked(swept.support))
    if swept.removal is not None:
        variables |= with_interval("removal_cost", (unit,), swept.removal.mean, swept.removal.interval())
    how = {"mode": mode, "likelihood": likelihood_of(lens).name, **swept.attributes(), **plan.attributes}
    told = information(swept.codes, options.seed)
    if told is not None:
        variables |= with_interval("information", (unit,), told.nats, (told.low, told.high))
        how["information_limit"] = told.limit
    if codes.directions is None:
        return record(lens, LATENT_EFFECTS, variables, swept.coords(), **how)
    unseen = lens.unseen_share(lens.directions[LATENT])
    variables["unseen_share"] = ("direction",), np.broadcast_to(unseen, codes.units)
    return record(lens, DIRECTION_EFFECTS, variables, swept.coords(), **how)


def _measured_codes(swept: LatentSweep, seed: int) -> Variables:
    """Measures what the codes say about each latent before anything is changed."""
    codes: Codes = swept.codes
    activity, unit, units = codes.activity, (swept.plan.over,), slice(codes.units)
    active, (means, logvars) = activity.active[units], codes.standardised
    variables: Variables = {"active": (unit, active), "scale": (unit, activity.scale[units])}
    count = active_count_interval(means, logvars, seed, codes.units)
    variables |= with_interval("active_count", (), int(active.sum()), count)
    if logvars is None or activity.kl is None:
        return variables
    kl, total = BootstrapMean((codes.units,), RESAMPLES, seed), BootstrapMean((), RESAMPLES, seed)
    for block in divergences(means, logvars):
        kl.update(block[:, units])
        total.update(block.sum(axis=1))
    variables |= with_interval("kl", unit, activity.kl[units], kl.interval())
    if codes.directions is not None:  # which are not independent: what they add up to is no divergence
        return variables
    variables["kl_total_resampled"] = ("resample",), total.replicates
    return variables | with_interval("kl_total", (), total.mean, total.interval())
