"""CES of every mode of level 2 side by side, which shows how much a latent's effect depends on what it is set to.

Costs a decoder row for each latent, value and image, 14 for each latent at the defaults.
"""

from typing import Any

import numpy as np
import xarray as xr

from vaelens.effects.activity import checked_active
from vaelens.effects.codes import codes_of
from vaelens.effects.modes import LATENT_MODES, replacements
from vaelens.effects.options import checked_options
from vaelens.effects.precision import with_precision
from vaelens.effects.record import Variables, record, with_interval
from vaelens.effects.reference_distance import in_distances, reference_distance
from vaelens.effects.schemas import CES_BY_MODE
from vaelens.effects.sweep import effect_sizes, mean_over_values
from vaelens.lens import Lens
from vaelens.statistics import percentile_interval


@with_precision("ces", images=("x", "context"))
def ces_by_mode(
    lens: Lens,
    x: Any,
    seed: Any = 0,
    positions: Any = "all",
    progress: Any = True,
    active: Any = None,
    context: Any = None,
) -> xr.Dataset:
    """Measures CES of every mode over latents at its default values, without `latent_effects`' maps and scores.

    Memory does not grow with the number of images but for their codes.

    Args:
        lens: the lens.
        x: at least two images (n, C, H, W) in [0, 1].
        seed: draws other images, noise, positions and bootstrap resamples.
        positions: as in `latent_effects`.
        progress: as in `latent_effects`.
        active: as in `latent_effects`.
        context: as in `latent_effects`.

    Returns:
        A Dataset with `ces` and `ces_relative` (mode, latent), and their means over the active latents,
        `ces_active_mean` and `ces_relative_active_mean` (mode), each with `_low` and `_high`. `effects.schemas` has the
        table of all variables.

    Raises:
        VaelensError: images out of range, or one alone; positions that the latent does not have.
    """
    options = checked_options(lens, seed, progress)
    codes = codes_of(lens, lens.batch(x, context), positions, options.seed)
    averaged = checked_active(active, codes.units)
    plans = [replacements(mode, codes, None, options.seed) for mode in LATENT_MODES]
    total = len(codes.z) * codes.units * sum(len(plan.labels) for plan in plans)
    with options.reporting(total, "CES by mode") as report:
        effects = [effect_sizes(lens, codes.batch, plan, options.seed, report.advance) for plan in plans]
        distance, distances = reference_distance(lens, codes.batch, options.seed)
    by_mode, resampled_by_mode = zip(*(mean_over_values(effect) for effect in effects), strict=True)
    ces, resampled = np.stack(by_mode), np.stack(resampled_by_mode, axis=1)  # (mode, latent), (resamples, mode, latent)
    relative, relatives = in_distances(ces, distance), in_distances(resampled, distances[:, None, None])
    variables: Variables = {}
    averaged, images = codes.activity.active[: codes.units] if averaged is None else averaged, len(codes.z)
    for name, values, replicates in (("ces", ces, resampled), ("ces_relative", relative, relatives)):
        variables |= with_interval(name, ("mode", "latent"), values, percentile_interval(replicates, images=images))
        mean, means = (
            array[..., averaged].mean(axis=-1) if averaged.any() else np.full(array.shape[:-1], np.nan)
            for array in (values, replicates)
        )
        variables |= with_interval(f"{name}_active_mean", ("mode",), mean, percentile_interval(means, images=images))
    coords = {"mode": list(LATENT_MODES), "latent": np.arange(codes.units)}
    how = {"images": images, "reference_distance": distance, "positions": codes.positions.asked}
    how |= {name: value for plan in plans for name, value in plan.attributes.items()}
    return record(lens, CES_BY_MODE, variables, coords, **how, **options.attributes())
