"""Level 2's modes: what an intervention puts in the place of a latent, or of a position's code.

Every mode is one function of the same signature; a new mode is a new function and a line in `MODES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.codes import Codebook, Codes
from vaelens.effects.record import Array
from vaelens.errors import VaelensError, unknown
from vaelens.lens import other_images

RANGE = tuple(float(v) for v in np.linspace(-3, 3, 7))
SHIFT = (-2.0, -1.0, 1.0, 2.0)
SWAPS = 4
_BLOCK = 1024  # images whose swaps are drawn at once

Rows = slice | Tensor  # which of all images, one after the other or by their indices


@dataclass(frozen=True, eq=False)
class Replacements:
    """The interventions that a mode makes.

    Attributes:
        over: what is intervened on one at a time, and so the dimension of the results: "latent" or "position".
        units: how many latents or positions there are.
        labels: one label for each value, (values,): the value, the shift in standard deviations, or the draw.
        changed: (rows, unit, value index) to the codes of those images after the intervention, (rows, d, *positions).
    """

    over: str
    units: int
    labels: Array
    changed: Callable[[Rows, int, int], Tensor]


Mode = Callable[[Codes, Any, int], Replacements]


def range_values(codes: Codes, values: Any, seed: int) -> Replacements:
    """v over fixed values, 7 from −3 to 3 unless said otherwise: the paper's traversal."""
    labels = _numbers(values, RANGE, "range")
    numbers = codes.z.new_tensor(labels)
    return _over_latents(codes, labels, lambda rows, latent, k: numbers[k])


def shift_values(codes: Codes, values: Any, seed: int) -> Replacements:
    """z_i + δ·s_i, δ in −2, −1, 1, 2 unless said otherwise; s_i the code's standard deviation over the images."""
    labels, scale = _numbers(values, SHIFT, "shift"), codes.activity.scale
    return _over_latents(
        codes, labels, lambda rows, latent, k: codes.z[rows, latent] + float(labels[k] * scale[latent])
    )


def posterior_values(codes: Codes, values: Any, seed: int) -> Replacements:
    """z_i of another of the images: a draw from the aggregated posterior."""
    partners = _partners(codes, _draws(values, "posterior", 1), seed)
    return _over_latents(codes, np.arange(len(partners)), lambda rows, latent, k: codes.z[partners[k][rows], latent])


def prior_values(codes: Codes, values: Any, seed: int) -> Replacements:
    """v drawn from the prior N(0, 1), anew for each image and position."""
    draws = _draws(values, "prior", 1)
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.randn(codes.z.shape, generator=generator).to(codes.z) for _ in range(draws)]
    return _over_latents(codes, np.arange(draws), lambda rows, latent, k: noise[k][rows, latent])


def swap_codes(codes: Codes, values: Any, seed: int) -> Replacements:
    """A position's code replaced by another, drawn by its frequency among all codes of the images.

    P(c → c') = f(c') / (1 − f(c)) for c' ≠ c, f over all positions of all images.
    """
    draws = _draws(values, "swap", SWAPS)
    book = _codebook(codes, "swap")
    if codes.positions.asked != "all":
        raise VaelensError(
            f"mode 'swap' goes over the positions one by one, and positions is {codes.positions.asked!r}; leave it out"
        )
    if book.use.codes_used < 2:
        only = int(np.argmax(book.use.counts))
        raise VaelensError(
            f"all positions of these {len(codes.z)} images take code {only}, so none can be swapped for another in "
            "use: the codebook is dead on these images; train the model further, or use a mode over latents"
        )
    generator = np.random.default_rng(seed)
    chosen = book.indices.reshape(len(codes.z), -1)  # (n, positions)
    drawn = [_others(chosen, book.use.counts, generator) for _ in range(draws)]
    return _over_positions(codes, np.arange(draws), lambda rows, position, k: drawn[k][rows, position])


def posterior_codes(codes: Codes, values: Any, seed: int) -> Replacements:
    """A position's code replaced by the one that another of the images has there, which may be the same."""
    partners = _partners(codes, _draws(values, "posterior", 1), seed)
    chosen = _codebook(codes, "posterior").indices.reshape(len(codes.z), -1)  # (n, positions)
    return _over_positions(
        codes, np.arange(len(partners)), lambda rows, position, k: chosen[partners[k][rows], position]
    )


LATENT_MODES: dict[str, Mode] = {
    "range": range_values,
    "shift": shift_values,
    "posterior": posterior_values,
    "prior": prior_values,
}
MODES: dict[str, Mode] = {**LATENT_MODES, "swap": swap_codes}
# What another image has in the same place: the calibrated counterpart of any mode over the same units.
POSTERIOR: dict[str, Mode] = {"latent": posterior_values, "position": posterior_codes}


def replacements(mode: Any, codes: Codes, values: Any, seed: int) -> Replacements:
    """The interventions that a mode makes on some codes.

    Raises:
        VaelensError: an unknown mode, values that do not fit it, one image alone in "posterior" mode, "swap" on a
            latent that is not quantised or on a codebook of which one code is in use.
    """
    if not isinstance(mode, str) or mode not in MODES:
        raise unknown("mode", mode, MODES)
    return MODES[mode](codes, values, seed)


def _over_latents(codes: Codes, labels: Array, of: Callable[[Rows, int, int], Tensor]) -> Replacements:
    """`of` gives a latent's new values, one number or (rows, *positions)."""

    def changed(rows: Rows, latent: int, k: int) -> Tensor:
        return codes.positions.set(codes.z[rows], rows, latent, of(rows, latent, k))

    return Replacements("latent", codes.z.shape[1], labels, changed)


def _over_positions(codes: Codes, labels: Array, of: Callable[[Rows, int, int], Tensor]) -> Replacements:
    """`of` gives the index of a position's new code in each image, (rows,)."""
    shape = tuple(codes.z.shape[2:])
    book = _codebook(codes, "swap").codes

    def changed(rows: Rows, position: int, k: int) -> Tensor:
        edited = codes.z[rows].clone()
        edited[(slice(None), slice(None), *np.unravel_index(position, shape))] = book[of(rows, position, k).long()]
        return edited

    return Replacements("position", int(np.prod(shape)), labels, changed)


def _codebook(codes: Codes, mode: str) -> Codebook:
    if codes.codebook is None:
        raise VaelensError(
            f"mode {mode!r} replaces codes of a codebook, and this latent is not quantised; use one of "
            f"{', '.join(LATENT_MODES)}"
        )
    return codes.codebook


def _others(chosen: Tensor, counts: Array, generator: np.random.Generator) -> Tensor:
    """For each code chosen, (n, positions), another one, drawn by its frequency.

    All codes chosen are laid out in order, equal ones side by side; one is drawn uniformly among those outside the
    block of the code that is there.
    """
    ends = np.cumsum(counts)
    drawn = torch.empty_like(chosen)
    for rows in torch.arange(len(chosen)).split(_BLOCK):  # what is reckoned on the way is eight bytes a number
        here = chosen[rows].cpu().numpy()
        there = counts[here]
        place = generator.integers(0, ends[-1] - there)
        place = np.where(place >= ends[here] - there, place + there, place)
        drawn[rows] = torch.as_tensor(np.searchsorted(ends, place, side="right")).to(drawn)
    return drawn


def _partners(codes: Codes, draws: int, seed: int) -> list[Tensor]:
    return [torch.as_tensor(other_images(len(codes.z), seed + k), device=codes.z.device) for k in range(draws)]


def _numbers(values: Any, default: Sequence[float], mode: str) -> Array:
    try:
        numbers = np.asarray(default if values is None else values)
    except ValueError:
        numbers = np.empty(0)  # lists of different lengths
    if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        raise VaelensError(f"values of mode {mode!r} are {values!r}; expected a list of finite numbers")
    return numbers.astype(float)


def _draws(values: Any, mode: str, default: int) -> int:
    draws = default if values is None else values
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise VaelensError(
            f"values of mode {mode!r} is {values!r}; expected the number of draws for each image, 1 or more"
        )
    return int(draws)
