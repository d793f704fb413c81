"""Level 2's modes: what do(z_i := v) sets a latent to.

Every mode is one function of the same signature; a new mode is a new function and a line in `MODES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.record import Array
from vaelens.errors import VaelensError, unknown
from vaelens.lens.interventions import other_images

RANGE = tuple(float(v) for v in np.linspace(-3, 3, 7))
SHIFT = (-2.0, -1.0, 1.0, 2.0)


@dataclass(frozen=True, eq=False)
class Replacements:
    """The values that a mode gives.

    Attributes:
        labels: one label for each value, (values,): the value, the shift in standard deviations, or the draw.
        of: (rows, latent, value index) to the latent's new values for those images, broadcastable to
            (rows, *positions).
    """

    labels: Array
    of: Callable[[slice, int, int], Tensor]


def range_values(codes: Tensor, scale: Array, values: Any, seed: int) -> Replacements:
    """v over fixed values, 7 from −3 to 3 unless said otherwise: the paper's traversal."""
    labels = _numbers(values, RANGE, "range")
    return Replacements(labels, lambda rows, latent, k: codes.new_tensor(labels[k]))


def shift_values(codes: Tensor, scale: Array, values: Any, seed: int) -> Replacements:
    """z_i + δ·s_i, δ in −2, −1, 1, 2 unless said otherwise; s_i the code's standard deviation over the images."""
    labels = _numbers(values, SHIFT, "shift")
    return Replacements(labels, lambda rows, latent, k: codes[rows, latent] + float(labels[k] * scale[latent]))


def posterior_values(codes: Tensor, scale: Array, values: Any, seed: int) -> Replacements:
    """z_i of another of the images: a draw from the aggregated posterior."""
    draws = _draws(values, "posterior")
    partners = [torch.as_tensor(other_images(len(codes), seed + k), device=codes.device) for k in range(draws)]
    return Replacements(np.arange(draws), lambda rows, latent, k: codes[partners[k][rows], latent])


def prior_values(codes: Tensor, scale: Array, values: Any, seed: int) -> Replacements:
    """v drawn from the prior N(0, 1), anew for each image."""
    draws = _draws(values, "prior")
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.randn(codes.shape, generator=generator).to(codes) for _ in range(draws)]
    return Replacements(np.arange(draws), lambda rows, latent, k: noise[k][rows, latent])


MODES = {"range": range_values, "shift": shift_values, "posterior": posterior_values, "prior": prior_values}


def replacements(mode: str, codes: Tensor, scale: Array, values: Any, seed: int) -> Replacements:
    """The values that a mode gives the latents of some codes.

    Raises:
        VaelensError: an unknown mode, values that do not fit it, or one image alone in "posterior" mode.
    """
    if mode not in MODES:
        raise unknown("mode", mode, MODES)
    return MODES[mode](codes, scale, values, seed)


def _numbers(values: Any, default: Sequence[float], mode: str) -> Array:
    try:
        numbers = np.asarray(default if values is None else values)
    except ValueError:
        numbers = np.empty(0)  # lists of different lengths
    if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        raise VaelensError(f"values of mode {mode!r} are {values!r}; expected a list of finite numbers")
    return numbers.astype(float)


def _draws(values: Any, mode: str) -> int:
    draws = 1 if values is None else values
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise VaelensError(
            f"values of mode {mode!r} is {values!r}; expected the number of draws for each image, 1 or more"
        )
    return int(draws)
