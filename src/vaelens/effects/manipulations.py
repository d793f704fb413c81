"""Named manipulations of an image's pixels, each with a strength: level 1 for data without factors.

Every manipulation is one function of the same signature; a new one is a new function and a line in `MANIPULATIONS`. It
takes a few images at a time, so that many need no memory but their own.
"""

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vaelens.arguments import check_seed
from vaelens.errors import VaelensError, unknown
from vaelens.observation import checked_images

BLOCK = 64  # images that are changed at once


def occlude(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Black out a square whose side is `strength` of the image's, at a place drawn for each image."""
    n, _, height, width = images.shape
    side = (max(1, round(strength * height)), max(1, round(strength * width)))
    top = torch.randint(height - side[0] + 1, (n, 1, 1, 1), generator=generator)
    left = torch.randint(width - side[1] + 1, (n, 1, 1, 1), generator=generator)
    rows, columns = torch.arange(height)[None, None, :, None], torch.arange(width)[None, None, None, :]
    covered = (rows >= top) & (rows < top + side[0]) & (columns >= left) & (columns < left + side[1])
    return images.masked_fill(covered.to(images.device), 0.0)


def blur(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Blur by a Gaussian with a standard deviation of `strength` pixels, edges repeated."""
    radius = max(1, math.ceil(3 * strength))
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / strength) ** 2)
    kernel = kernel / kernel.sum()
    channels = images.shape[1]
    padded = functional.pad(images, (radius,) * 4, mode="replicate")
    across = functional.conv2d(padded, kernel.expand(channels, 1, 1, -1), groups=channels)
    return functional.conv2d(across, kernel[:, None].expand(channels, 1, -1, 1), groups=channels)


def noise(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise of standard deviation `strength`."""
    return images + strength * torch.randn(images.shape, generator=generator).to(images)


def brightness(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Add `strength` to every pixel."""
    return images + strength


def shift(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Move to the right by `strength` of the width, at least a pixel, black coming in."""
    pixels = max(1, round(strength * images.shape[3]))
    return functional.pad(images, (pixels, -pixels, 0, 0))


def rotate(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Turn counter-clockwise about the centre by `strength` degrees, bilinear, black coming in."""
    cosine, sine = math.cos(math.radians(strength)), math.sin(math.radians(strength))
    aspect = images.shape[2] / images.shape[3]  # the grid's unit is half the image's height, and half its width
    turn = images.new_tensor([[cosine, -sine * aspect, 0], [sine / aspect, cosine, 0]])
    grid = functional.affine_grid(turn.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


# (function, default strength, largest strength)
MANIPULATIONS = {
    "occlude": (occlude, 0.25, 1.0),
    "blur": (blur, 2.0, 16.0),
    "noise": (noise, 0.2, 1.0),
    "brightness": (brightness, 0.3, 1.0),
    "shift": (shift, 0.125, 1.0),
    "rotate": (rotate, 15.0, 360.0),
}


def manipulate(images: Any, name: str, strength: Any = None, seed: Any = 0) -> Tensor:
    """Manipulates images in a named way, within [0, 1].

    Args:
        images: (n, C, H, W) in [0, 1].
        name: "occlude" (a black square, strength = its side as a fraction of the image's), "blur" (standard deviation
            in pixels), "noise" (standard deviation), "brightness" (added), "shift" (to the right, as a fraction of
            the width) or "rotate" (degrees, counter-clockwise).
        strength: how much; each manipulation's own default when None.
        seed: draws the place of "occlude" and the noise of "noise".

    Raises:
        VaelensError: images out of range, an unknown manipulation, or a strength that is not in (0, its largest].

    Example:
        >>> import torch
        >>> manipulate(torch.zeros(1, 1, 4, 4), "brightness", 0.5).mean().item()
        0.5
    """
    amount = checked_strength(name, strength)
    return changing(name, amount, check_seed(seed))(checked_images(images))


def changing(name: str, strength: float, seed: int) -> Callable[[Tensor], Tensor]:
    """A function that manipulates one part of many images after another as `manipulate` does all of them.

    Each part but the last must be a multiple of `BLOCK` images: whatever is drawn is drawn for that many at once.
    """
    function, generator = MANIPULATIONS[name][0], torch.Generator().manual_seed(seed)
    return lambda images: torch.cat([function(block, strength, generator).clamp(0, 1) for block in images.split(BLOCK)])


def checked_strength(name: Any, strength: Any) -> float:
    """The strength of a named manipulation, its own default when None.

    Raises:
        VaelensError: an unknown manipulation, or a strength that is not in (0, its largest].
    """
    if not isinstance(name, str) or name not in MANIPULATIONS:
        raise unknown("manipulation", name, MANIPULATIONS)
    _, default, largest = MANIPULATIONS[name]
    if strength is None:
        return default
    if isinstance(strength, bool) or not isinstance(strength, Real) or not 0 < float(strength) <= largest:
        raise VaelensError(f"the strength of {name!r} is {strength!r}; expected above 0 and at most {largest:g}")
    return float(strength)
