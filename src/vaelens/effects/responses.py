"""How every unit of the decoder responds when a latent is moved: what circuit modularity compares.

Costs latents · values forwards of the decoder an image, but for the images of which no code changes; memory does not
grow with the number of images but for their codes.
"""

from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from vaelens.effects.codes import codes_of
from vaelens.effects.modes import replacements
from vaelens.effects.precision import with_precision
from vaelens.effects.record import Array, record, unit_coords
from vaelens.effects.sweep import chunks
from vaelens.lens import Lens
from vaelens.progress import check_progress, reporting

_PARTS = 16  # of the images: the spread over them is what an interval of a response can be drawn from


@with_precision("response", images=("x",))
def decoder_responses(lens: Lens, x: Any, values: Any = None, progress: Any = True) -> xr.Dataset:
    """Intervene on one latent at a time over a range and measure the change of every decoder unit.

        response_iu = E |a_u(z̃_i) − a_u(z)|, the mean over positions, images and values of do(z_i := v).

    A latent with positions is set at all of them; one that is quantised before its quantisation, so that its response
    is 0 where no value takes a code across the boundary to another. Memory does not grow with the number of images but
    for their codes.

    Args:
        lens: the lens.
        x: images (n, C, H, W) in [0, 1].
        values: the values v; 7 from −3 to 3 by default.
        progress: whether to show a bar on standard error, or a function of (images decoded, images in all).

    Returns:
        A Dataset with `response` (latent, unit), over the units of the decoder's sites but its output (coordinates
        `site`, `index`), `active` (latent), and `response_part` (part, latent, unit), the same of every 16th image, the
        k-th part beginning with the k-th: what intervals of scores of it are drawn from. A part without images is NaN.

    Raises:
        VaelensError: images out of range, values that are no list of finite numbers.
    """
    check_progress(progress)
    codes = codes_of(lens, x)
    plan = replacements("range", codes, values, seed=0)
    sites = [site for site in lens.sites.of("decoder") if site != lens.sites.output]
    counts = [lens.sites[site].units for site in sites]
    response = np.zeros((_PARTS, lens.latents, sum(counts)))
    with reporting(progress, plan.units * len(codes.z) * len(plan.labels), "decoder responses") as report:
        for rows in chunks(len(codes.z), lens.rows):
            here = codes.z[rows]
            parts = np.arange(rows.start, rows.stop) % _PARTS
            base = lens.responding_rows(here, sites) if sites else {}
            for latent in range(lens.latents):
                for k in range(len(plan.labels)):
                    changed = plan.changed(rows, latent, k)
                    moves = _moves(lens, here, changed)
                    if sites and moves.any():
                        moved = lens.responding_rows(changed[moves], sites)
                        change = [(moved[site] - base[site][moves]).abs().double() for site in sites]
                        each = np.concatenate([_by_unit(c) for c in change], axis=1)  # (rows that move, units)
                        np.add.at(response[:, latent], parts[moves.cpu().numpy()], each)
                    report.advance(len(here))
    images = np.bincount(np.arange(len(codes.z)) % _PARTS, minlength=_PARTS)
    with np.errstate(invalid="ignore"):  # fewer images than parts
        by_part = response / (images * len(plan.labels))[:, None, None]
    variables = {
        "response": (("latent", "unit"), response.sum(axis=0) / (len(codes.z) * len(plan.labels))),
        "response_part": (("part", "latent", "unit"), by_part.astype(np.float32)),
        "active": (("latent",), codes.activity.active),
    }
    coords = {"latent": np.arange(lens.latents), **unit_coords(sites, counts)}
    return record(lens, variables, coords, images=len(codes.z), mode="range", values=plan.labels)


def _by_unit(change: Tensor) -> Array:
    """Means over positions, (rows, units)."""
    return change.reshape(*change.shape[:2], -1).mean(dim=2).cpu().numpy()


def _moves(lens: Lens, codes: Tensor, changed: Tensor) -> Tensor:
    """Which images the decoder sees another code of, (n,): the others need not be decoded again."""
    if lens.quantised:
        codes, changed = lens.quantise(codes).indices, lens.quantise(changed).indices
    return (codes != changed).reshape(len(codes), -1).any(dim=1)
