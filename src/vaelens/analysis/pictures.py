"""The pictures of an analysis, which show a few images, their reconstructions, and these under interventions."""

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from vaelens.effects.codes import codes_of
from vaelens.effects.modes import RANGE, replacements
from vaelens.lens import ImagesLike, Lens

_SHOWN = 16
_POSITIONS = 8  # whose swaps are shown: those of largest effect


def pictures(lens: Lens, x: ImagesLike, swap: xr.Dataset | None, seed: int) -> xr.Dataset:
    """Makes originals and reconstructions of some images, and the first one under interventions.

    Args:
        lens: the lens.
        x: the images, (n, C, H, W).
        swap: the effects of the swaps on the first of these images, or None where none are made.
        seed: that the swaps were made with.

    Returns:
        `original` and `reconstruction` (image, …), `traversal` (latent, value, …) of the first image; with swaps
        `swapped` (position, swap, …), that image with the position's code swapped: the first positions by CES. Of
        volumes the slice in the middle of their first axis, whose index is the attribute `slice`.
    """
    pixels, middle = lens.observation.axes, None
    if len(pixels) == 4:
        pixels, middle = (pixels[0], *pixels[2:]), lens.observation.shape[1] // 2

    def kept(values: Tensor) -> np.ndarray:
        return _array(values if middle is None else values[..., middle, :, :])

    shown = lens.batch(x)[:_SHOWN]
    code = lens.encode(shown)
    rows = code[:1].repeat(lens.latents * len(RANGE), *[1] * (code.ndim - 1))
    for row in range(len(rows)):
        rows[row, row // len(RANGE)] = RANGE[row % len(RANGE)]
    first = torch.zeros(len(rows), dtype=torch.int64)
    traversal = lens.decode(shown[first].with_values(rows)).reshape(lens.latents, len(RANGE), *lens.image_shape)
    variables = {
        "original": (("image", *pixels), kept(lens.target(shown.values))),
        "reconstruction": (("image", *pixels), kept(lens.decode(shown.with_values(code)))),
        "traversal": (("latent", "value", *pixels), kept(traversal)),
    }
    coords = {"latent": np.arange(lens.latents), "value": list(RANGE)}
    if swap is not None:
        positions = np.sort(np.argsort(-swap["ces"].values, kind="stable")[:_POSITIONS])
        variables["swapped"] = (
            ("position", "swap", *pixels),
            kept(_swapped(lens, x, positions, int(swap.attrs["images"]), seed)),
        )
        coords["position"] = positions
    return xr.Dataset(variables, coords, attrs={} if middle is None else {"slice": middle})


def _swapped(lens: Lens, x: ImagesLike, positions: np.ndarray, images: int, seed: int) -> Tensor:
    """Decodes the first image under the very swaps whose effects were measured, which depend on all images."""
    batch = lens.batch(x)[:images]
    plan = replacements("swap", codes_of(lens, batch, seed=seed), None, seed)
    swaps = len(plan.labels)
    return torch.stack(
        [
            torch.cat(
                [lens.decode(batch[:1].with_values(plan.changed(slice(0, 1), position, k))) for k in range(swaps)]
            )
            for position in positions.tolist()
        ]
    )


def _array(pictures: Tensor) -> np.ndarray:
    """Turns pictures to single precision, since NumPy has no bfloat16."""
    return pictures.float().cpu().numpy()
