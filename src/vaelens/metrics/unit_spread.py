"""How far each decoder unit moves from image to image, which makes responses of different units comparable.

Costs two forwards of the model an image, and holds the mean activation of each site.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from vaelens.float64 import to_float64
from vaelens.lens import ImagesLike, Lens

_ROWS = 64  # images whose activations are held at once
_ROUNDING = 1e-6  # of a unit's size: what rounding may leave of a unit that no image moves


def with_unit_spread(lens: Lens, x: ImagesLike, responses: xr.Dataset) -> xr.Dataset:
    """Adds each unit's standard deviation over the images to its responses.

    With a_up(x) unit u's activation at position p, sd_u² = mean over images and positions of (a_up(x) − E a_up)².
    A pattern that is the same in all images adds nothing.

    Args:
        lens: the lens that the responses were measured with.
        x: the images that they were measured on, (n, C, H, W) in [0, 1].
        responses: as `decoder_responses` returns them.

    Returns:
        The responses with `unit_spread` (unit), and `unit_spread_part` (part, unit), the same about the same mean of
        every 16th image, as `response_part` is. Both are 0 for a unit that no image moves by more than a millionth of
        its size, and NaN in a part without images.
    """
    sites = list(dict.fromkeys(responses["site"].values.tolist()))
    parts = responses.sizes["part"]
    means = _mean_activations(lens, x, sites)
    squared_deviations, squares = np.zeros((2, parts, responses.sizes["unit"]))
    start = 0
    for activations in _activations(lens, x, sites):
        deviation = _mean_square([activations[k] - mean for k, mean in enumerate(means)])
        part = np.arange(start, start + len(deviation)) % parts
        np.add.at(squared_deviations, part, deviation)
        np.add.at(squares, part, _mean_square(activations))
        start += len(deviation)
    images = np.bincount(np.arange(len(x)) % parts, minlength=parts)
    variance = squared_deviations.sum(axis=0) / len(x)
    still = variance <= _ROUNDING**2 * squares.sum(axis=0) / len(x)
    with np.errstate(invalid="ignore"):  # fewer images than parts
        variance_part = squared_deviations / images[:, None]
    return responses.assign(
        unit_spread=("unit", np.where(still, 0, np.sqrt(variance))),
        unit_spread_part=(("part", "unit"), np.where(still & (images > 0)[:, None], 0, np.sqrt(variance_part))),
    )


def _activations(lens: Lens, x: ImagesLike, sites: Sequence[str]) -> Iterator[list[Tensor]]:
    """Yields the activations of a few images at a time, (rows, units, positions) of each site."""
    for start in range(0, len(x) if sites else 0, _ROWS):
        captured = lens.run(x[slice(start, start + _ROWS)], capture=sites).activations
        # A dense unit is one with a single position.
        yield [to_float64(captured[site]).reshape(*captured[site].shape[:2], -1) for site in sites]


def _mean_activations(lens: Lens, x: ImagesLike, sites: Sequence[str]) -> list[Tensor]:
    """Computes the mean over images of every activation, (units, positions) of each site."""
    origins: list[Tensor] = []
    sums: list[Tensor] = []
    for activations in _activations(lens, x, sites):
        # Of differences to the first image: an activation that never changes then has no spread at all.
        origins = origins or [activation[0] for activation in activations]
        sums = sums or [torch.zeros_like(origin) for origin in origins]
        for total, activation, origin in zip(sums, activations, origins, strict=True):
            total += (activation - origin).sum(dim=0)
    return [origin + total / len(x) for origin, total in zip(origins, sums, strict=True)]


def _mean_square(sites: Sequence[Tensor]) -> Float[np.ndarray, "rows units"]:
    """Averages the squares over positions, the units of one site after the other."""
    return torch.cat([values.square().mean(dim=2) for values in sites], dim=1).cpu().numpy()
