"""Level 1 under one name for both of its questions, what a change of factors does and what one of pixels does."""

from collections.abc import Sequence
from typing import Any

import xarray as xr

from vaelens.arguments import Progress, Seed
from vaelens.data import FactorDataset
from vaelens.effects.dataset_rows import check_dataset
from vaelens.effects.factor_effects import factor_effects
from vaelens.effects.factor_predictions import ReadsFactors
from vaelens.effects.manipulation_effects import Manipulations, manipulation_effects
from vaelens.errors import VaelensError
from vaelens.lens import Lens


def input_effects(
    lens: Lens,
    ds: FactorDataset,
    factors: Sequence[str] | str | None = None,
    n: int = 256,
    seed: Seed = 0,
    manipulations: Manipulations = None,
    progress: Progress = True,
    reader: ReadsFactors | None = None,
    tolerance: float | None = None,
) -> xr.Dataset:
    """Changes the input and measures what changes inside, by `factor_effects` or `manipulation_effects`.

    Args:
        lens: the lens.
        ds: a dataset of images like the model's.
        factors: as in `factor_effects`, which is called unless manipulations are named or the dataset has no factors.
        n: how many pairs for each factor, or how many images.
        seed: draws the pairs or images, and the bootstrap resamples.
        manipulations: as in `manipulation_effects`.
        progress: as in `factor_effects`.
        reader: as in `factor_effects`.
        tolerance: as in `factor_effects`.

    Returns:
        The Dataset that the other function returns.

    Raises:
        VaelensError: factors and manipulations at once; whatever the other function refuses.

    Example:
        >>> import vaelens as vl
        >>> ds = vl.load_dataset("sprites")
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=ds.image_shape, latent_dim=3))
        >>> effects = vl.input_effects(lens, ds, factors=["shape", "scale"], n=8)
        >>> effects.latent_effect.dims, effects.factor.values.tolist()
        (('factor', 'latent'), ['shape', 'scale'])
    """
    if factors is not None and manipulations is not None:
        raise VaelensError("factors and manipulations were both given; a call changes one or the other")
    check_dataset(ds)
    options: dict[str, Any] = {"n": n, "seed": seed, "progress": progress, "reader": reader, "tolerance": tolerance}
    if manipulations is None and (len(ds.factors) or factors is not None):
        return factor_effects(lens, ds, factors, **options)
    return manipulation_effects(lens, ds, manipulations, **options)
