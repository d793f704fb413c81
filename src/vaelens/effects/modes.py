"""The modes of level 2, by what an intervention puts in the place of a latent.

Every mode is one function of the same signature; a new mode is a new function and a line in `LATENT_MODES`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.code_swaps import posterior_codes, swap_codes
from vaelens.effects.codes import Codes
from vaelens.effects.natural_codes import NaturalCodes
from vaelens.effects.record import Array
from vaelens.effects.replacements import DIRECTIONS, LATENTS, Mode, Replacements, Rows, draw_count, partners
from vaelens.errors import VaelensError, unknown

RANGE = tuple(float(v) for v in np.linspace(-3, 3, 7))
SHIFT = (-2.0, -1.0, 1.0, 2.0)
LatentMode = Literal["range", "shift", "posterior", "prior", "conditional", "swap"]
Values = Sequence[float] | int | None  # numbers for "range" and "shift", else how many draws for each image

_NEIGHBOURS = 10  # among which a value given the other latents is drawn
_SAMPLES, _CHOICES = 3, 4  # streams of the seed: what is drawn here is none of the numbers drawn elsewhere

_MOST = 1e30  # of a value: what layers make of it is still a number in fp32


def range_values(codes: Codes, values: Any, seed: int) -> Replacements:
    """Sets v over fixed values, 7 from −3 to 3 unless said otherwise, as the paper traverses latents.

    Of codes that are not on the scale of the prior the 7 are m_i + v·s_i, m_i and s_i the code's mean and standard
    deviation over the images; values of one's own are taken as they are.
    """
    labels = _numbers(values, RANGE, "range")
    numbers = codes.z.new_tensor(labels)
    if values is not None or codes.codebook is not None or codes.activity.unit_scaled:
        return _over_latents(codes, labels, lambda rows, latent, k: numbers[k], {"range_in": "code"})
    means = codes.z.transpose(0, 1).flatten(1).mean(dim=1)
    scales = codes.z.new_tensor(codes.activity.scale)
    own = means[:, None] + scales[:, None] * numbers  # (d, values)
    return _over_latents(codes, labels, lambda rows, latent, k: own[latent, k], {"range_in": "standard deviations"})


def shift_values(codes: Codes, values: Any, seed: int) -> Replacements:
    """Sets z_i + δ·s_i, δ in −2, −1, 1, 2 unless said otherwise, s_i the code's standard deviation over the images."""
    labels, scale = _numbers(values, SHIFT, "shift"), codes.activity.scale
    return _over_latents(
        codes, labels, lambda rows, latent, k: codes.z[rows, latent] + float(labels[k] * scale[latent])
    )


def posterior_values(codes: Codes, values: Any, seed: int) -> Replacements:
    """Sets a sample μ_i + σ_i·ε of another image's posterior, which is a draw from the aggregated posterior.

    Where the encoder returns no variance, it is z_i of another image.
    """
    count = draw_count(values, "posterior", 1)
    donors = partners(codes, count, seed)
    samples = [_samples(codes, seed, k) for k in range(count)]
    return _over_latents(codes, np.arange(count), lambda rows, latent, k: samples[k][donors[k][rows], latent])


def prior_values(codes: Codes, values: Any, seed: int) -> Replacements:
    """Sets v drawn from the prior, N(0, 1) of a latent, anew for each image and position."""
    count = draw_count(values, "prior", 1)
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.randn(codes.z.shape, generator=generator).to(codes.z) for _ in range(count)]
    if codes.prior_scale is not None:
        noise = [draw * codes.prior_scale.reshape(1, -1, *[1] * (draw.ndim - 2)) for draw in noise]
    return _over_latents(codes, np.arange(count), lambda rows, latent, k: noise[k][rows, latent])


def conditional_values(codes: Codes, values: Any, seed: int) -> Replacements:
    """Sets z_i of one of the 10 images that are nearest in the other latents, each in its own scale."""
    count = draw_count(values, "conditional", 1)
    if len(codes.z) < 2:
        raise VaelensError(
            "mode 'conditional' takes values from similar images, but 1 image was given; give at least 2"
        )
    natural = NaturalCodes(codes.z, codes.activity.scale, seed)
    nearest = natural.neighbours(codes.z, _NEIGHBOURS)  # (n, d, neighbours)
    chosen = []
    for k in range(count):
        which = np.random.default_rng((seed, _CHOICES, k)).integers(nearest.shape[2], size=nearest.shape[:2])
        which = torch.as_tensor(which, device=nearest.device)
        chosen.append(nearest.gather(2, which[:, :, None])[:, :, 0].to(codes.z.device))  # (n, d)
    return _over_latents(codes, np.arange(count), lambda rows, latent, k: codes.z[chosen[k][rows, latent], latent])


LATENT_MODES: dict[str, Mode] = {
    "range": range_values,
    "shift": shift_values,
    "posterior": posterior_values,
    "prior": prior_values,
    "conditional": conditional_values,
}
MODES: dict[str, Mode] = {**LATENT_MODES, "swap": swap_codes}
# What another image has in the same place: the calibrated counterpart of any mode over the same units.
POSTERIOR: dict[str, Mode] = {"latent": posterior_values, "position": posterior_codes}


def replacements(mode: Any, codes: Codes, values: Any, seed: int) -> Replacements:
    """Builds the interventions that a mode makes on some codes.

    Raises:
        VaelensError: an unknown mode, values that do not fit it, one image alone where values are another image's,
            "swap" on a latent that is not quantised or on a codebook of which one code is in use.
    """
    if not isinstance(mode, str) or mode not in MODES:
        raise unknown("mode", mode, MODES)
    return MODES[mode](codes, values, seed)


def _over_latents(
    codes: Codes,
    labels: Array,
    new_values: Callable[[Rows, int, int], Tensor],
    attributes: dict[str, str] | None = None,
) -> Replacements:
    """Builds the replacements of latents by new values, one number or (rows, *positions)."""

    def changed(rows: Rows, latent: int, k: int) -> Tensor:
        return codes.positions.set(codes.z[rows], rows, latent, new_values(rows, latent, k))

    over = LATENTS if codes.directions is None else DIRECTIONS
    return Replacements(over, codes.units, labels, changed, codes.positions.cells, attributes or {})


def _samples(codes: Codes, seed: int, k: int) -> Tensor:
    """Draws a sample of each image's posterior, (n, d, *positions), which is its code where there is no variance."""
    if codes.logvar is None:
        return codes.z
    generator = np.random.default_rng((seed, _SAMPLES, k))
    noise = torch.as_tensor(generator.standard_normal(codes.z.shape, dtype=np.float32)).to(codes.z)
    return codes.z + (codes.logvar / 2).exp() * noise


def _numbers(values: Any, default: Sequence[float], mode: str) -> Array:
    try:
        numbers = np.asarray(default if values is None else values)
    except ValueError:
        numbers = np.empty(0)  # lists of different lengths
    if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iuf" or not (abs(numbers) < _MOST).all():
        raise VaelensError(
            f"values of mode {mode!r} are {values!r}; expected a list of finite numbers below {_MOST:.0e}"
        )
    return numbers.astype(float)
