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
from vaelens.effects.record import record, unit_coords
from vaelens.effects.sweep import chunks
from vaelens.lens import Lens
from vaelens.progress import check_progress, reporting


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
        `site`, `index`), and `active` (latent).

    Raises:
        VaelensError: images out of range, values that are no list of finite numbers.
    """
    check_progress(progress)
    codes = codes_of(lens, x)
    plan = replacements("range", codes, values, seed=0)
    sites = [site for site in lens.sites.of("decoder") if site != lens.sites.output]
    counts = [lens.sites[site].units for site in sites]
    response = np.zeros((lens.latents, sum(counts)))
    with reporting(progress, plan.units * len(codes.z) * len(plan.labels), "decoder responses") as report:
        for rows in chunks(len(codes.z), lens.rows):
            here = codes.z[rows]
            base = lens.decode_rows(here, capture=sites).activations
            for latent in range(lens.latents):
                for k in range(len(plan.labels)):
                    changed = plan.changed(rows, latent, k)
                    moves = _moves(lens, here, changed)
                    if sites and moves.any():
                        moved = lens.decode_rows(changed[moves], capture=sites).activations
                        change = [(moved[site] - base[site][moves]).abs().double() for site in sites]
                        summed = [c.reshape(*c.shape[:2], -1).mean(dim=2).sum(dim=0).cpu().numpy() for c in change]
                        response[latent] += np.concatenate(summed)  # (units)
                    report.advance(len(here))
    response /= len(codes.z) * len(plan.labels)
    variables = {"response": (("latent", "unit"), response), "active": (("latent",), codes.activity.active)}
    coords = {"latent": np.arange(lens.latents), **unit_coords(sites, counts)}
    return record(lens, variables, coords, images=len(codes.z), mode="range", values=plan.labels)


def _moves(lens: Lens, codes: Tensor, changed: Tensor) -> Tensor:
    """Which images the decoder sees another code of, (n,): the others need not be decoded again."""
    if lens.quantised:
        codes, changed = lens.quantise(codes).indices, lens.quantise(changed).indices
    return (codes != changed).reshape(len(codes), -1).any(dim=1)
