"""Named manipulations of an image's pixels, each with a strength.

Every manipulation is one function of the same signature; a new one is a new function and a line in `MANIPULATIONS`. It
takes a few images at a time, so that many need no memory but their own.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 64  # images that are changed at once


def occlude(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Blacks out a square whose side is `strength` of the image's, at a place drawn for each image."""
    n, _, height, width = images.shape
    side = (max(1, round(strength * height)), max(1, round(strength * width)))
    top = torch.randint(height - side[0] + 1, (n, 1, 1, 1), generator=generator)
    left = torch.randint(width - side[1] + 1, (n, 1, 1, 1), generator=generator)
    rows, columns = torch.arange(height)[None, None, :, None], torch.arange(width)[None, None, None, :]
    covered = (rows >= top) & (rows < top + side[0]) & (columns >= left) & (columns < left + side[1])
    return images.masked_fill(covered.to(images.device), 0.0)


def blur(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Blurs by a Gaussian with a standard deviation of `strength` pixels, edges repeated."""
    radius = max(1, math.ceil(3 * strength))
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / strength) ** 2)
    kernel = kernel / kernel.sum()
    channels = images.shape[1]
    padded = functional.pad(images, (radius,) * 4, mode="replicate")
    across = functional.conv2d(padded, kernel.expand(channels, 1, 1, -1), groups=channels)
    return functional.conv2d(across, kernel[:, None].expand(channels, 1, -1, 1), groups=channels)


def noise(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Adds Gaussian noise of standard deviation `strength`."""
    return images + strength * torch.randn(images.shape, generator=generator).to(images)


def brightness(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Adds `strength` to every pixel."""
    return images + strength


def shift(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Moves the image to the right by `strength` of the width, at least a pixel, black coming in."""
    pixels = max(1, round(strength * images.shape[3]))
    return functional.pad(images, (pixels, -pixels, 0, 0))


def rotate(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Turns the image counter-clockwise about the centre by `strength` degrees, bilinear, black coming in."""
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
