"""CES alone, equal to the bit to `ces` of `latent_effects`, without maps, intervals and the scores beside it.

Costs a decoder row for each latent, value and image.
"""

from typing import Any

import numpy as np
import xarray as xr

from vaelens.effects.codes import codes_of, position_coords
from vaelens.effects.modes import replacements
from vaelens.effects.options import checked_options
from vaelens.effects.schemas import LATENT_EFFECTS
from vaelens.effects.sweep import effect_sizes
from vaelens.lens import Lens


def strength(
    lens: Lens, x: Any, mode: Any, values: Any, seed: Any, positions: Any, progress: Any, context: Any
) -> xr.DataArray:
    """Measures CES of each latent, or position, by the arguments of `latent_effects`.

    Raises:
        VaelensError: images out of range, an unknown mode, values or positions that do not fit.
    """
    options = checked_options(lens, seed, progress)
    codes = codes_of(lens, lens.batch(x, context), positions, options.seed)
    plan = replacements(mode, codes, values, options.seed)
    with options.reporting(len(codes.z) * plan.units * len(plan.labels), "causal effect strength") as report:
        effects = effect_sizes(lens, codes.batch, plan, options.seed, report.advance)
    coords = {plan.over: np.arange(plan.units), **position_coords(codes, plan.over)}
    ces = [total.mean.mean() for total in effects]
    return xr.DataArray(ces, coords, (plan.over,), "ces", LATENT_EFFECTS.attributes("ces"))
