"""How far a model's reconstructions are from its images."""

from collections.abc import Callable

import xarray as xr

from vaelens.effects.record import with_interval
from vaelens.lens import ImagesLike, Lens
from vaelens.progress import reporting
from vaelens.statistics import BootstrapMean


def reconstruction(
    lens: Lens, x: ImagesLike, seed: int, progress: Callable[[float, float], None] | bool = False
) -> xr.Dataset:
    """Measures the mean squared error of a pixel.

    Args:
        lens: the lens.
        x: the images, (n, C, H, W).
        seed: of the bootstrap resamples.
        progress: as in `latent_effects`.

    Returns:
        `error`, 0 or more, with `_low` and `_high`, a 95 % interval over images; `error_resampled` (resample), the mean
        of each bootstrap resample, the partner of another model's on the same images with the same seed.
    """
    error = BootstrapMean((), seed=seed)
    with reporting(progress, len(x), "reconstructions") as report:
        for chunk in lens.batch(x).split(lens.engine.rows):
            squared = (lens.reconstruct(chunk).cpu() - lens.target(chunk.values).cpu()).double().square()
            error.update(squared.flatten(1).mean(dim=1).numpy())
            report.advance(len(chunk))
    variables = with_interval("error", (), error.mean, error.interval())
    variables["error_resampled"] = ("resample",), error.replicates
    return xr.Dataset(variables, attrs={"images": len(x), "seed": seed})
