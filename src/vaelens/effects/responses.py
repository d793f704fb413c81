"""How every unit of the decoder responds when a latent is moved, which is what circuit modularity compares.

Costs latents · values forwards of the decoder an image, but for the images of which no code changes; memory does not
grow with the number of images but for their codes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from vaelens.arguments import Progress, Seed
from vaelens.effects.chunks import chunks
from vaelens.effects.codes import codes_of
from vaelens.effects.modes import replacements
from vaelens.effects.options import checked_options
from vaelens.effects.outcomes import numbers
from vaelens.effects.precision import with_precision
from vaelens.effects.record import RESAMPLES, record, unit_coords, with_interval
from vaelens.effects.schemas import DECODER_RESPONSES
from vaelens.lens import Batch, ContextLike, ImagesLike, Lens
from vaelens.statistics import BootstrapMean

_PARTS = 16  # of the images: the spread over them is what an interval of a score of responses can be drawn from
_RESAMPLED_BYTES = 128 * 2**20


@with_precision("response", images=("x", "context"))
def decoder_responses(
    lens: Lens,
    x: ImagesLike,
    values: Sequence[float] | None = None,
    seed: Seed = 0,
    progress: Progress = True,
    context: ContextLike | None = None,
) -> xr.Dataset:
    """Intervenes on one latent at a time over a range and measures the change of every decoder unit.

        response_iu = E |a_u(z̃_i) − a_u(z)|, the mean over positions, images and values of do(z_i := v).

    A latent with positions is set at all of them; one that is quantised before its quantisation, so that its response
    is 0 where no value takes a code across the boundary to another. Memory does not grow with the number of images but
    for their codes.

    Args:
        lens: the lens.
        x: images (n, C, H, W) in [0, 1].
        values: the values v; by default the 7 of mode "range" of `latent_effects`.
        seed: of the bootstrap resamples.
        progress: whether to show a bar on standard error, or a function of (images decoded, images in all).
        context: as in `latent_effects`.

    Returns:
        A Dataset with `response` (latent, unit), over the units of the decoder's sites but its output (coordinates
        `site`, `index`), with `_low` and `_high`, a 95 % interval over images; `active` (latent), and `response_part`
        (part, latent, unit), the response of every 16th image, the k-th part beginning with the k-th: what intervals of
        scores of it are drawn from. A part without images is NaN. `effects.schemas` has the table of all variables.

    Raises:
        VaelensError: images out of range, values that are no list of finite numbers.
    """
    options = checked_options(lens, seed, progress)
    codes = codes_of(lens, lens.batch(x, context))
    plan = replacements("range", codes, values, seed=0)
    sites = [site for site in lens.sites.of("decoder") if site != lens.sites.output]
    counts = [lens.sites[site].units for site in sites]
    units, n = sum(counts), len(codes.z)
    dtype = torch.promote_types(codes.z.dtype, torch.float32)
    by_part = torch.zeros(_PARTS, lens.latents, units, dtype=dtype, device=codes.z.device)
    parts = torch.arange(_PARTS, device=codes.z.device)[:, None]
    response, low, high = np.zeros((3, lens.latents, units))
    at_once = max(1, _RESAMPLED_BYTES // (4 * RESAMPLES * max(1, units)))  # latents
    with options.reporting(plan.units * n * len(plan.labels), "decoder responses") as report:
        for group in chunks(lens.latents, at_once):
            latents = range(group.start, group.stop)
            totals = [BootstrapMean((units,), RESAMPLES, options.seed) for _ in latents]
            for rows in chunks(n, lens.engine.rows):
                z, batch = codes.z[rows], codes.batch[rows]
                base = lens.engine.decoder_activations(batch, sites, rows.start) if sites else {}
                of_part = (torch.arange(rows.start, rows.stop, device=z.device) % _PARTS == parts).to(dtype)
                for latent, total in zip(latents, totals, strict=True):
                    changes = torch.zeros(len(z), units, dtype=dtype, device=z.device)
                    for k in range(len(plan.labels)):
                        _add_responses(changes, lens, batch, plan.changed(rows, latent, k), base, rows.start)
                        report.advance(len(z))
                    changes /= len(plan.labels)
                    total.update(changes)
                    by_part[:, latent] += of_part @ changes
            response[group] = [total.mean for total in totals]
            low[group], high[group] = zip(*(total.interval() for total in totals), strict=True)
    images = np.bincount(np.arange(n) % _PARTS, minlength=_PARTS)
    with np.errstate(invalid="ignore"):  # fewer images than parts
        of_parts = numbers(by_part) / images[:, None, None]
    variables = {
        **with_interval("response", ("latent", "unit"), response, (low, high)),
        "response_part": (("part", "latent", "unit"), of_parts.astype(np.float32)),
        "active": (("latent",), codes.activity.active),
    }
    coords = {"latent": np.arange(lens.latents), **unit_coords(sites, counts)}
    how = {"images": n, "mode": "range", "values": plan.labels, **plan.attributes}
    return record(lens, DECODER_RESPONSES, variables, coords, **how, **options.attributes())


def _add_responses(
    total: Tensor, lens: Lens, codes: Batch, changed: Tensor, base: Mapping[str, Tensor], first_row: int
) -> None:
    """Adds to `total`, (rows, units), what changed codes change in each unit, the mean size over its positions.

    Args:
        total: what it is added to, in place.
        lens: the lens.
        codes: (rows, d, *positions), in their context.
        changed: the same, changed.
        base: the activations that the codes lead to, (rows, units, *positions), by site.
        first_row: where in the order of all images the rows begin.
    """
    sites = list(base)
    if not lens.quantised or lens.engine.coupled:
        moves = slice(None)
    else:  # the decoder sees other codes in a few rows only
        before, after = (lens.engine.quantise(values).indices for values in (codes.values, changed))
        moves = (before != after).reshape(len(before), -1).any(dim=1).nonzero()[:, 0]
        sites = sites if len(moves) else []
    if sites:
        moved = lens.engine.decoder_activations(codes.with_values(changed)[moves], sites, first_row)
        changes = [(moved[site] - base[site][moves]).abs().to(total) for site in sites]
        total[moves] += torch.cat([change.reshape(*change.shape[:2], -1).mean(dim=2) for change in changes], dim=1)
