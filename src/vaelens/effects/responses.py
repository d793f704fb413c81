"""How every unit of the decoder responds when a latent is moved: what circuit modularity compares."""

from typing import Any

import numpy as np
import xarray as xr

from vaelens.effects.codes import codes_of
from vaelens.effects.modes import replacements
from vaelens.effects.record import record, unit_coords
from vaelens.effects.sweep import chunks
from vaelens.lens import Lens
from vaelens.lens.images import checked_images


def decoder_responses(lens: Lens, x: Any, values: Any = None) -> xr.Dataset:
    """Intervene on one latent at a time over a range and measure the change of every decoder unit.

        response_iu = E |a_u(z̃_i) − a_u(z)|, the mean over positions, images and values of do(z_i := v).

    A latent with positions is set at all of them; one that is quantised before its quantisation, so that its response
    is 0 where no value takes a code across the boundary to another.

    Args:
        lens: the lens.
        x: images (n, C, H, W) in [0, 1].
        values: the values v; 7 from −3 to 3 by default.

    Returns:
        A Dataset with `response` (latent, unit), over the units of the decoder's sites but its output (coordinates
        `site`, `index`), and `active` (latent).

    Raises:
        VaelensError: images out of range, values that are no list of finite numbers.
    """
    codes = codes_of(lens, checked_images(x, lens.image_shape))
    plan = replacements("range", codes, values, seed=0)
    sites = [site for site in lens.sites.of("decoder") if site != lens.sites.output]
    counts = [lens.sites[site].units for site in sites]
    response = np.zeros((lens.latents, sum(counts)))
    for rows in chunks(len(codes.z), lens.rows):
        base = lens.decode_rows(codes.z[rows], capture=sites).activations
        for latent in range(lens.latents):
            for k in range(len(plan.labels)):
                moved = lens.decode_rows(plan.changed(rows, latent, k), capture=sites).activations
                change = [(moved[site] - base[site]).abs().double() for site in sites]
                summed = [c.reshape(*c.shape[:2], -1).mean(dim=2).sum(dim=0).cpu().numpy() for c in change]  # (units)
                response[latent] += np.concatenate(summed or [np.zeros(0)])
    response /= len(codes.z) * len(plan.labels)
    variables = {"response": (("latent", "unit"), response), "active": (("latent",), codes.activity.active)}
    coords = {"latent": np.arange(lens.latents), **unit_coords(sites, counts)}
    return record(lens, variables, coords, images=len(codes.z), mode="range", values=plan.labels)
