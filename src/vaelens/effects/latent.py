"""Level 2: what each latent does to the image, do(z_i := v), and what the code at each position does.

Costs (latents · values + 1) decoder rows an image, and as many encoder rows for `over="latents"`; memory does not
grow with the number of images but for their codes.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from vaelens.arguments import check_seed
from vaelens.effects.activity import active_count_interval, divergences
from vaelens.effects.code_use import codes_used_high, perplexity_interval
from vaelens.effects.codes import Codebook, Codes, codes_of, position_coords
from vaelens.effects.modes import POSTERIOR, replacements
from vaelens.effects.precision import with_precision
from vaelens.effects.reading import FACTORS, needed_reading
from vaelens.effects.record import RESAMPLES, Array, Interval, record, with_interval
from vaelens.effects.reference_distance import reference_distance
from vaelens.effects.stopping import Stopping, check_tolerance
from vaelens.effects.sweep import mean_over_values, sweep
from vaelens.errors import VaelensError, unknown
from vaelens.lens import Lens
from vaelens.progress import check_progress, reporting
from vaelens.statistics import BootstrapMean, percentile_interval

EPSILON = 1e-8
OUTPUTS = ("pixels", "latents", FACTORS)


@with_precision("effect", images=("x",))
def latent_effects(
    lens: Lens,
    x: Any,
    mode: Any = "range",
    values: Any = None,
    seed: Any = 0,
    over: Any = "pixels",
    positions: Any = "all",
    progress: Any = True,
    tolerance: Any = None,
    reader: Any = None,
) -> xr.Dataset:
    """Intervene on one latent at a time, do(z_i := v), and measure what changes in the image.

    With z = mu(x) and z̃_i the same code with latent i replaced,

        effect_iv = E_x ‖D(z) − D(z̃_iv)‖₂,   CES_i = mean over v of effect_iv,   in pixel-L2,
        ces_relative_i = CES_i / E_{x,x'} ‖D(mu(x)) − D(mu(x'))‖₂,
        specificity_i = 1 / (H(p_i) + 1e-8),   p_i(o) ∝ E|Δ_o| over outputs o, H in nats,
        specificity_normalised_i = 1 − H(p_i) / log(number of outputs), in [0, 1].

    The paper's abstract leaves open the values v, the relative form and the normalised form; they are decided here.
    Memory does not grow with the number of images but for their codes.

    A quantised latent is set before its quantisation, and what is decoded is quantised again, as in the paper: the
    effect is 0 until a code crosses the boundary to another. Mode "swap" goes beyond the paper, and its definition is
    decided here: i is then a position, and z̃_i has another code there, drawn by its frequency among the codes of all
    positions of these images, given that it differs.

    Args:
        lens: the lens.
        x: images (n, C, H, W) in [0, 1].
        mode: "range" (v over `values`), "shift" (z_i + δ·s_i, δ over `values`), "posterior" (z_i of another image),
            "prior" (a draw from N(0, 1)), or, for a quantised latent, "swap" (a position's code by another).
        values: for "range" and "shift" the list of numbers; for the others how many draws for each image, 1 by
            default, and 4 for "swap".
        seed: draws other images, noise, codes, positions, pairs and bootstrap resamples.
        over: the outputs of the specificity: "pixels" (every channel of every pixel), or "latents" (the re-encoded
            code of the changed image against that of the unchanged one, of a quantised latent before quantisation;
            needs no labels), or "factors" (what `reader` reads off the changed image against what it reads off the
            unchanged one: |Δ_k| = ½ Σ_v |p_k(v | D(z̃)) − p_k(v | D(z))|, the total-variation distance, in [0, 1] and so
            comparable across factors; decided here).
        positions: where a latent with positions is set: "all" of them, "one" (a position for each image, drawn
            uniformly, the same for every latent and value), or a position's indices, (row, column).
        progress: whether to show a bar on standard error, or a function of (images decoded, images in all).
        tolerance: how far, in pixel-L2, a CES may be from its estimate: images are then taken in a random order, by
            `seed`, until every CES is known that well, and no further. None for all images.
        reader: for `over="factors"` what reads the factors: `vl.factor_reader(ds)`.

    Returns:
        A Dataset with `effect` (latent, value), `ces`, `ces_relative`, `ces_posterior` (the CES of mode "posterior"),
        `specificity`, `specificity_normalised` (latent), the mean of each of these scores over all latents, such as
        `ces_mean`, and over the active ones, such as `ces_active_mean`, each with `_low` and `_high`, a 95 % interval
        over images (for the specificities reflected about the estimate, because resampling roughens a picture and so
        lowers its entropy, and wide enough to hold it); `active` (latent); `scale` (latent), the code's (population)
        standard deviation s_i; `active_count`, how many latents are active, with its interval; `kl` (latent) and their
        sum `kl_total` in nats, with intervals, where the encoder gives a variance; `effect_map` (latent, channel,
        height, width), E|Δ| of each pixel. Specificities of a latent without effect are NaN.

        For "swap", `position` takes the place of `latent`, with coordinates `row` and `column`; `ces_posterior` is the
        CES of the code that another image has at the same position, be it the same one; `active` says whether more
        than one code is taken there; in place of `scale` there are `codes_used` (position), how many, and
        `code_entropy` (position), the entropy of which in nats.

        Over factors there is also `factor_effect` (latent, factor), E|Δ_k| over images and values, in [0, 1], with its
        interval; the attributes hold the reader's held-out accuracies of the factors that it reads (`reader_accuracy`)
        and of those that are not read well enough (`reader_left_out`), as JSON.

        Of a quantised latent the attributes say how many `codes` there are, how many of them the images use
        (`codes_used`; `codes_used_high` is how many any number of images would use at most, by Chao's estimate from the
        codes that one or two images use) and their `code_perplexity`, exp(H), with its interval.

        With a `tolerance`, `ces_low` and `ces_high` are a 95 % confidence sequence instead, which holds for all latents
        at once and at whatever number of images it stops, if the images are a random sample and the model draws images
        in [0, 1] (effects between 0 and √(C·H·W)); work stops when no half-width is above the tolerance. Everything
        else is of the images used (the other intervals as if their number had been fixed), but for what interventions
        set: s_i of "shift", the other images of "posterior" and `ces_posterior`, and the frequencies of "swap" are of
        all images given. The attributes say how many `images` were used of `images_given`, and whether the
        `tolerance_reached` is 1 or 0.

    Raises:
        VaelensError: images out of range, an unknown mode or output, values that do not fit the mode, positions that
            the latent does not have, a swap of codes where there are none or the images use one only, a tolerance that
            is not positive; factors without a reader, or a reader without them, or one that reads none well enough or
            images of another shape.

    Warns:
        VaelensWarning: the images do not suffice for the tolerance.

    References:
        Estimating means of bounded random variables by betting (Waudby-Smith, Ramdas, 2024), for the tolerance.

    Example:
        >>> import torch, vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=3))
        >>> effects = vl.latent_effects(lens, torch.rand(4, 1, 32, 32))
        >>> effects.effect.dims, effects.sizes["value"]
        (('latent', 'value'), 7)
    """
    if over not in OUTPUTS:
        raise unknown("output of the specificity", over, OUTPUTS)
    seed = check_seed(seed)
    check_progress(progress)
    tolerance = check_tolerance(tolerance)
    if reader is not None and over != FACTORS:
        raise VaelensError(f"a reader was given, and over={over!r} reads no factors; give over='factors', or no reader")
    codes = codes_of(lens, x, positions, seed, variances=True)
    reading = needed_reading(reader, lens, "over='factors'") if over == FACTORS else None
    n, plan = len(codes.z), replacements(mode, codes, values, seed)
    unit, until, z = plan.over, None, codes.z
    if tolerance is not None:
        until = Stopping(n, plan.units, math.prod(lens.image_shape), tolerance, seed)
    # One image alone has no other to take a value from.
    calibrated = POSTERIOR[unit](codes, None, seed) if n > 1 else None
    decoded = n * plan.units * (len(plan.labels) + (0 if calibrated is None else 1))
    with reporting(progress, decoded, "latent effects") as report:
        swept = sweep(lens, z, plan, over, seed, report.advance, calibrated, until, reading)
        if until is not None:
            # Resamples weigh images in the order of the sweep; what is not compared with them is of the order given.
            codes, z, n = codes.take(until.used.sort().values), z[until.used], len(until.used)
        distance, distances = reference_distance(lens, z, seed)
    ces, replicates = mean_over_values(swept.effect)
    posterior, posteriors = np.full_like(ces, np.nan), np.full_like(replicates, np.nan)
    if calibrated is not None:
        posterior, posteriors = mean_over_values(swept.beside)
    widest = np.log(swept.outputs) if swept.outputs > 1 else np.nan
    specificity, specificities = 1 / (swept.entropy + EPSILON), 1 / (swept.entropy_replicates + EPSILON)
    normalised, normaliseds = 1 - swept.entropy / widest, 1 - swept.entropy_replicates / widest
    with np.errstate(invalid="ignore", divide="ignore"):  # identical reconstructions have no distance to compare with
        relative, relatives = ces / distance, replicates / distances[:, None]
    known = _known(codes, unit, seed)
    scores = [
        ("ces", ces, replicates, _interval),
        ("ces_relative", relative, relatives, _interval),
        ("ces_posterior", posterior, posteriors, _interval),
        ("specificity", specificity, specificities, _pivotal),
        ("specificity_normalised", normalised, normaliseds, _pivotal),
    ]
    variables = {
        **with_interval("effect", (unit, "value"), *_stacked(swept.effect)),
        **_scored(scores, unit, known["active"][1], n),
        **({} if until is None else with_interval("ces", (unit,), ces, until.interval)),
        **known,
        "effect_map": ((unit, *lens.observation.axes), swept.pictures),
    }
    coords = {unit: np.arange(plan.units), "value": plan.labels, **position_coords(codes, unit)}
    made = {"images": n, "seed": seed, "mode": mode, "specificity_over": over, "reference_distance": distance}
    made["positions"] = codes.positions.asked
    if until is not None:
        made |= until.made
        until.warn(f"CES of {unit} " + "{}")
    if reading is not None:
        variables |= with_interval("factor_effect", (unit, "factor"), *_stacked(swept.factors))
        coords["factor"] = list(reading.factors)
        made |= reading.made()
    if codes.codebook is not None:
        made |= _use(codes.codebook, seed)
    return record(lens, variables, coords, **made)


def _scored(
    scores: list[tuple[str, Array, Array, Callable[[Array, Array, int], Interval]]], unit: str, active: Array, n: int
) -> dict[str, Any]:
    """Each score, its mean over all units and that over the active ones, with intervals of the same kind."""
    variables: dict[str, Any] = {}
    for name, values, replicates, interval in scores:
        variables |= with_interval(name, (unit,), values, interval(values, replicates, n))
        for label, of in (("mean", np.ones_like(active)), ("active_mean", active)):
            of_these = values[of], replicates[:, of]
            with np.errstate(invalid="ignore"):  # a score that is infinite for one unit and -infinite for another
                mean, means = (
                    np.asarray(one.mean(axis=-1)) if of.any() else np.full(one.shape[:-1], np.nan) for one in of_these
                )
            variables |= with_interval(f"{name}_{label}", (), mean, interval(mean, means, n))
    return variables


def _known(codes: Codes, unit: str, seed: int) -> dict[str, Any]:
    """What is known of each unit before anything is changed."""
    if unit == "latent":
        found = codes.activity
        known: dict[str, Any] = {"active": ((unit,), found.active), "scale": ((unit,), found.scale)}
        count = active_count_interval(codes.z, codes.logvar, seed)
        known |= with_interval("active_count", (), int(found.active.sum()), count)
        if codes.logvar is None:
            return known
        kl, total = BootstrapMean((len(found.scale),), RESAMPLES, seed), BootstrapMean((), RESAMPLES, seed)
        for block in divergences(codes.z, codes.logvar):
            kl.update(block)
            total.update(block.sum(axis=1))
        known |= with_interval("kl", (unit,), found.kl, kl.interval())
        return known | with_interval("kl_total", (), total.mean, total.interval())
    assert codes.codebook is not None, "only the codes of a codebook are swapped"
    use = codes.codebook.use
    return {
        "active": ((unit,), use.used > 1),
        "codes_used": ((unit,), use.used),
        "code_entropy": ((unit,), use.entropy),
    }


def _use(book: Codebook, seed: int) -> dict[str, float]:
    """How many codes all positions together take, and how evenly."""
    low, high = perplexity_interval(book.indices, book.use, seed)
    return {
        "codes_used": book.use.codes_used,
        "codes_used_high": codes_used_high(book.indices, len(book.codes)),
        "code_perplexity": book.use.perplexity,
        "code_perplexity_low": low,
        "code_perplexity_high": high,
    }


def _interval(_: Array, replicates: Array, images: int) -> Interval:
    return percentile_interval(replicates, images=images)


def _pivotal(estimate: Array, replicates: Array, images: int) -> Interval:
    """The reflected percentile interval: a resampled picture is rougher, so its entropy is too low on average.

    Of few images the estimate itself is too rough by so much that it would fall outside; it is then taken in.
    """
    low, high = percentile_interval(replicates, images=images)
    ends = np.minimum(2 * estimate - high, estimate), np.maximum(2 * estimate - low, estimate)
    return np.asarray(ends[0]), np.asarray(ends[1])


def _stacked(means: list[BootstrapMean]) -> tuple[Array, Interval]:
    intervals = [one.interval() for one in means]
    low, high = (np.stack([interval[end] for interval in intervals]) for end in range(2))
    return np.stack([one.mean for one in means]), (low, high)
