"""Level 2 on a codebook, the effect of the code at each position on the image.

Costs (positions · (values + 1) + 1) decoder rows an image, of those whose codes change; memory does not grow with the
number of images but for their codes.
"""

import xarray as xr

from vaelens.arguments import Progress, Seed
from vaelens.effects.code_swaps import posterior_codes, swap_codes
from vaelens.effects.codes import codes_of
from vaelens.effects.factor_predictions import ReadsFactors
from vaelens.effects.latent_sweep import latent_sweep
from vaelens.effects.options import checked_options
from vaelens.effects.outputs import Over, checked_over
from vaelens.effects.precision import with_precision
from vaelens.effects.record import Variables, record
from vaelens.effects.schemas import SWAP_EFFECTS
from vaelens.lens import ContextLike, ImagesLike, Lens


@with_precision("effect", images=("x", "context"))
def swap_effects(
    lens: Lens,
    x: ImagesLike,
    values: int | None = None,
    seed: Seed = 0,
    over: Over = "pixels",
    progress: Progress = True,
    tolerance: float | None = None,
    reader: ReadsFactors | None = None,
    context: ContextLike | None = None,
) -> xr.Dataset:
    """Swaps the code at one position at a time for another and measures what changes in the image.

    z̃_i has another code at position i, drawn by its frequency among the codes of all positions of these images, given
    that it differs. Effects and scores are those of `latent_effects`, i a position; the paper sets latents only, and
    this definition is decided here. Memory does not grow with the number of images but for their codes.

    Args:
        lens: the lens, on a model with a quantised latent.
        x: images (n, C, H, W) in [0, 1].
        values: how many draws for each image, 4 by default.
        seed: draws codes, other images, pairs and bootstrap resamples.
        over: the outputs of the specificity, as in `latent_effects`.
        progress: as in `latent_effects`.
        tolerance: as in `latent_effects`.
        reader: as in `latent_effects`.
        context: as in `latent_effects`.

    Returns:
        A Dataset as that of `latent_effects`, with the dimension `position` in place of `latent`, and its coordinates
        `row` and `column`. `ces_posterior` is the CES of the code that another image has at the same position, be it
        the same one; `active` says whether more than one code is taken there, `codes_used` (position), how many, and
        `code_entropy` (position) the entropy of which in nats. What is measured of latents only (`scale`, `kl`,
        `information`, `removal_cost`, `support`, `cycle_error`) is left out. `effects.schemas` has the table of all
        variables.

        The attributes say how many `codes` there are, how many of them the images use (`codes_used`; `codes_used_high`
        is how many any number of images would use at most, by Chao's estimate from the codes that one or two images
        use) and their `code_perplexity`, exp(H), with its interval.

    Raises:
        VaelensError: images out of range, a latent that is not quantised, images that use one code only, an unknown
            output, a number of draws below 1, a tolerance that is not positive, a reader as in `latent_effects`.

    Warns:
        VaelensWarning: the images do not suffice for the tolerance.

    References:
        Neural discrete representation learning (van den Oord, Vinyals, Kavukcuoglu, 2017), for the codebook.

    Example:
        >>> import torch, vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vq-vae", image_shape=(1, 16, 16), latent_dim=2, codes=8))
        >>> x = torch.rand(8, 1, 16, 16)
        >>> with torch.no_grad():  # an untrained codebook: codes that these images take
        ...     lens.module.quantiser.codebook.copy_(lens.encode(x).movedim(1, -1).reshape(-1, 2)[:8])
        tensor(...)
        >>> vl.swap_effects(lens, x, progress=False).effect.dims
        ('position', 'value')
    """
    counted = checked_over(over, lens.observation)
    images = lens.batch(x, context)
    options = checked_options(lens, seed, progress, tolerance, reader, outputs=("over", over))
    codes = codes_of(lens, images, "all", options.seed)
    plan = swap_codes(codes, values, options.seed)
    # One image alone has no other to take a code from.
    calibrated = posterior_codes(codes, None, options.seed) if len(codes.z) > 1 else None
    swept = latent_sweep(lens, images, codes, plan, calibrated, counted, options)
    assert swept.codes.codebook is not None, "a latent that is not quantised was refused"
    use = swept.codes.codebook.use
    variables: Variables = swept.variables(use.used > 1, lens.observation.axes) | {
        "active": (("position",), use.used > 1),
        "codes_used": (("position",), use.used),
        "code_entropy": (("position",), use.entropy),
    }
    return record(lens, SWAP_EFFECTS, variables, swept.coords(), mode="swap", **swept.attributes())
