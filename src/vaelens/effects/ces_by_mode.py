"""CES of every mode of level 2 side by side: how much a latent's effect hangs on what it is set to.

Costs a decoder row for each latent, value and image, 13 for each latent at the defaults.
"""

from typing import Any

import numpy as np
import xarray as xr

from vaelens.arguments import check_seed
from vaelens.effects.codes import codes_of
from vaelens.effects.modes import LATENT_MODES, replacements
from vaelens.effects.precision import with_precision
from vaelens.effects.record import record, with_interval
from vaelens.effects.reference_distance import reference_distance
from vaelens.effects.sweep import effect_sizes, mean_over_values
from vaelens.lens import Lens
from vaelens.progress import check_progress, reporting
from vaelens.statistics import percentile_interval


@with_precision("ces", images=("x",))
def ces_by_mode(lens: Lens, x: Any, seed: Any = 0, positions: Any = "all", progress: Any = True) -> xr.Dataset:
    """CES of every mode over latents at its default values, side by side, without `latent_effects`' maps and scores.

    Memory does not grow with the number of images but for their codes.

    Args:
        lens: the lens.
        x: at least two images (n, C, H, W) in [0, 1].
        seed: draws other images, noise, positions and bootstrap resamples.
        positions: as in `latent_effects`.
        progress: as in `latent_effects`.

    Returns:
        A Dataset with `ces` and `ces_relative` (mode, latent), and their means over the active latents,
        `ces_active_mean` and `ces_relative_active_mean` (mode), each with `_low` and `_high`.

    Raises:
        VaelensError: images out of range, or one alone; positions that the latent does not have.
    """
    seed = check_seed(seed)
    check_progress(progress)
    codes = codes_of(lens, x, positions, seed)
    plans = [replacements(mode, codes, None, seed) for mode in LATENT_MODES]
    total = len(codes.z) * lens.latents * sum(len(plan.labels) for plan in plans)
    with reporting(progress, total, "CES by mode") as report:
        effects = [effect_sizes(lens, codes.z, plan, seed, report.advance) for plan in plans]
        distance, distances = reference_distance(lens, codes.z, seed)
    ces, replicates = zip(*(mean_over_values(effect) for effect in effects), strict=True)
    every, resampled = np.stack(ces), np.stack(replicates, axis=1)  # (mode, latent), (resamples, mode, latent)
    with np.errstate(invalid="ignore", divide="ignore"):  # identical reconstructions have no distance to compare with
        relative, relatives = every / distance, resampled / distances[:, None, None]
    variables, active = {}, codes.activity.active
    for name, values, many in (("ces", every, resampled), ("ces_relative", relative, relatives)):
        interval = percentile_interval(many, images=len(codes.z))
        variables |= with_interval(name, ("mode", "latent"), values, interval)
        mean, means = (
            one[..., active].mean(axis=-1) if active.any() else np.full(one.shape[:-1], np.nan)
            for one in (values, many)
        )
        interval = percentile_interval(means, images=len(codes.z))
        variables |= with_interval(f"{name}_active_mean", ("mode",), mean, interval)
    coords = {"mode": list(LATENT_MODES), "latent": np.arange(lens.latents)}
    made = {"images": len(codes.z), "seed": seed, "reference_distance": distance}
    return record(lens, variables, coords, **made, positions=codes.positions.asked)
