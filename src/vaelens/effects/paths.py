"""Level 3 along one path, where some units are patched and one unit of a later site sees it.

Costs three runs of each image, and one forward of the receiver's part for each image and unit whose value changes;
memory does not grow with the number of images.
"""

import xarray as xr
from torch import Tensor

from vaelens.arguments import Progress, Seed
from vaelens.effects.factor_predictions import ReadsFactors
from vaelens.effects.natural_range import NaturalRange
from vaelens.effects.options import checked_options
from vaelens.effects.outcomes import run_cached
from vaelens.effects.pairing import paired
from vaelens.effects.precision import with_precision
from vaelens.effects.unit_scores import UnitScores
from vaelens.errors import VaelensError
from vaelens.lens import CachedRun, ContextLike, Direction, ImagesLike, Lens, Patch, UnitsLike, in_chunks, resolve_units


@with_precision("effect", images=("base", "source", "context"))
def path_effects(
    lens: Lens,
    base: ImagesLike,
    source: ImagesLike,
    sender: str,
    receiver: str,
    units: UnitsLike = "all",
    seed: Seed = 0,
    progress: Progress = True,
    reader: ReadsFactors | None = None,
    context: ContextLike | None = None,
) -> xr.Dataset:
    """Patches units at one site and lets only one unit at a later site see it, for each unit there.

    The receiver's unit v takes the value that it has when the sender's units are patched; everything else, at every
    site, stays as on the base image. Effect and recovered fraction as in `patching_effects`. Memory does not grow with
    the number of images.

    Args:
        lens: the lens.
        base: the images that are intervened on, (n, C, H, W).
        source: the images that values come from, (n, C, H, W).
        sender: the site that is patched.
        receiver: a later site, whose units see the patch one at a time.
        units: the sender's units, or directions, patched together.
        seed: of the bootstrap resamples.
        progress: as in `patching_effects`.
        reader: as in `patching_effects`.
        context: as in `patching_effects`.

    Returns:
        A Dataset over `unit`, the receiver's units, as `patching_effects` returns it.

    Raises:
        VaelensError: images out of range or not paired, unknown sites or units, a receiver that is not later, a reader
            without factors or of images of another shape.

    References:
        Direct and indirect effects (Pearl, 2001). Localizing model behavior with path patching (Goldowsky-Dill,
        MacLeod, Sato, Arora, 2023).

    Example:
        >>> import torch, vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=3))
        >>> images = torch.rand(8, 1, 32, 32)
        >>> effects = vl.path_effects(lens, images[:4], images[4:], sender="latent", receiver="decoder.1", units=0)
        >>> effects.sizes["unit"], set(effects.site.values.tolist())
        (64, {'decoder.1'})
    """
    base_images = lens.batch(base, context)
    options = checked_options(lens, seed, progress, reader=reader)
    source_images = paired(base_images, source, lens)
    order, (sender, receiver) = list(lens.sites), (lens.sites[name].name for name in (sender, receiver))
    members = units if isinstance(units, Direction) else resolve_units(units, lens.sites[sender])
    if order.index(receiver) <= order.index(sender):
        raise VaelensError(f"the receiver {receiver} does not come after the sender {sender}; give a later site")
    scores = UnitScores(lens, [receiver], None, options, "channel", NaturalRange(lens, base_images))

    def runs(rows: slice) -> tuple[CachedRun, CachedRun, Tensor]:
        targets = scores.targets([receiver])
        of_source = run_cached(lens, source_images[rows], rows.start, [sender], outcomes=targets)
        patch = Patch(sender, members, of_source.activation(sender))
        patched = run_cached(lens, base_images[rows], rows.start, [receiver], [patch])
        of_base = run_cached(lens, base_images[rows], rows.start, [receiver], rerun=True)
        return of_base, of_source, patched.activation(receiver)

    with options.reporting(len(base_images) * scores.runs_per_image, "path effects") as report:
        at_once = lens.engine.rows_for([receiver])
        for _, (base_run, source_run, arriving) in in_chunks(len(base_images), at_once, runs):
            scores.add(base_run, source_run, {receiver: arriving}, report.advance)
    sent = list(members.names if isinstance(members, Direction) else members)
    return scores.dataset(method="path", images=len(base_images), sender=sender, sender_units=sent)
