"""CES alone: what `latent_effects` gives as `ces`, to the bit, without maps, intervals and the scores beside it.

Costs a decoder row for each latent, value and image.
"""

from typing import Any

import numpy as np
import xarray as xr

from vaelens.arguments import check_seed
from vaelens.effects.codes import codes_of, position_coords
from vaelens.effects.modes import replacements
from vaelens.effects.sweep import effect_sizes
from vaelens.lens import Lens
from vaelens.progress import check_progress, reporting


def strength(lens: Lens, x: Any, mode: Any, values: Any, seed: Any, positions: Any, progress: Any) -> xr.DataArray:
    """CES of each latent, or position; the arguments are as those of `latent_effects`.

    Raises:
        VaelensError: images out of range, an unknown mode, values or positions that do not fit.
    """
    seed = check_seed(seed)
    check_progress(progress)
    codes = codes_of(lens, x, positions, seed)
    plan = replacements(mode, codes, values, seed)
    with reporting(progress, len(codes.z) * plan.units * len(plan.labels), "causal effect strength") as report:
        effects = effect_sizes(lens, codes.z, plan, seed, report.advance)
    coords = {plan.over: np.arange(plan.units), **position_coords(codes, plan.over)}
    return xr.DataArray([one.mean.mean() for one in effects], coords, (plan.over,), "ces")
