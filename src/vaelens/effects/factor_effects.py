"""Level 1, the effect of changing one factor of the image, do(x := x'), on every latent, every unit and the output.

Costs two forwards of the model and an encoder pass more for each factor and pair; on data without a grid twice as much,
for the control pairs, and up to twelve encoder passes for each pair, for the regression on the labels. Memory does not
grow with the number of pairs: their images are made in chunks.
"""

from collections.abc import Collection, Iterator, Sequence

import xarray as xr

from vaelens.arguments import Progress, Seed, whole_number
from vaelens.data import FactorDataset
from vaelens.effects.chunks import chunks
from vaelens.effects.controls import controls
from vaelens.effects.dataset_rows import check_dataset, dataset_rows
from vaelens.effects.factor_levels import FactorLevels
from vaelens.effects.factor_predictions import ReadsFactors
from vaelens.effects.input_sweep import ChangedImages, InputChanges, checked_names, input_record, input_sweep
from vaelens.effects.label_regression import LabelRegression
from vaelens.effects.options import checked_options
from vaelens.effects.precision import with_precision
from vaelens.effects.schemas import FACTOR_EFFECTS
from vaelens.errors import VaelensError
from vaelens.lens import Lens


@with_precision("unit_effect", images=(), count="n")
def factor_effects(
    lens: Lens,
    ds: FactorDataset,
    factors: Sequence[str] | str | None = None,
    n: int = 256,
    seed: Seed = 0,
    progress: Progress = True,
    reader: ReadsFactors | None = None,
    tolerance: float | None = None,
) -> xr.Dataset:
    """Changes one factor of the image at a time and measures what changes inside and at the output.

    Over pairs (x, x') that differ in factor k only,

        latent_effect_kj = E ‖mu_j(x') − mu_j(x)‖₂ / s_j, the norm over positions where the latent has any,
        latent_shift_kj = E |mu_j(x') − mu_j(x)| / √((σ_j(x)² + σ_j(x')²) / 2),
        unit_effect_ku = E ‖a_u(x') − a_u(x)‖₂ / s_u, the norm over positions,
        output_effect_k = E ‖D(mu(x')) − D(mu(x))‖₂, in pixel-L2,

    s the standard deviation (for a unit with positions, the root of the summed variances) over all images of all the
    pairs; 0 for a unit that never changes. The intervals take s as given. A latent that hardly varies has a small s_j,
    and so a large `latent_effect`: compare latents by `latent_shift`, the change in standard deviations of their
    posteriors, or by `latent_divergence`, the median of (KL(q ‖ q') + KL(q' ‖ q)) / 2. Of a quantised latent mu is the
    embedding before quantisation, of which a change need not change a code; how many it changes is

        codes_changed_k = E of the fraction of positions that take another code in x' than in x, in [0, 1].

    Args:
        lens: the lens.
        ds: a dataset of images like the model's.
        factors: names of factors; all of them by default.
        n: pairs for each factor.
        seed: draws the pairs and the bootstrap resamples.
        progress: whether to show a bar on standard error, or a function of (pairs done, pairs in all).
        reader: predicts factors from the model's output, as `vl.factor_reader(ds)` does: which of them change is then
            measured too.
        tolerance: how far, in pixel-L2, an output effect may be from its estimate: pairs are taken until that of a
            factor is known that well, and no further of this one. None for all n pairs of each.

    Returns:
        A Dataset with `latent_effect` and, where the encoder returns a variance, `latent_shift` and `latent_divergence`
        (factor, latent), `unit_effect` (factor, unit; coordinates `site`, `index`), `output_effect` (factor), for a
        quantised latent `codes_changed` (factor) and, with a reader, `factor_read` (factor, read_factor), the mean
        total-variation distance in [0, 1] between what is predicted from D(mu(x')) and from D(mu(x)) (see
        `latent_effects`), each with `_low` and `_high`, a 95 % interval over pairs; as baselines
        `latent_effect_chance` and `unit_effect_chance`, those of a typical latent, or of a typical unit of the same
        site; and `matched` (factor), how many pairs agree on all other factors exactly. `latent_shift_best` and
        `latent_effect_best` (factor, latent) mark the active latents that may be those that a factor moves most, by
        paired differences at 95 %. `effects.schemas` has the table of all variables.

        `output_effect_random` and `latent_shift_random` (latent) are the same between two random images: the level that
        a label without any meaning comes to on data without a grid. There, pairs differ in more than the factor, and
        nothing was intervened on; `output_effect_adjusted` (factor) and `latent_shift_adjusted` (factor, latent) are
        the effects once the second image's code was brought to the first's other labels by regression
        (`effects.label_regression`), less what control pairs show, which share the factor's value
        (`effects.adjustment`; `latent_effect_…` where there is no variance). An interval that holds 0 tells no effect
        from none. What labels do not say stays confounded.

        With a `tolerance`, `output_effect_low` and `output_effect_high` are a 95 % confidence sequence instead, which
        holds for all factors at once and at whatever number of pairs each stops, if the model decodes to images in
        [0, 1]; `pairs_used` (factor) says after how many that was, and everything else is of these pairs. The
        attributes are as those of `latent_effects`.

    Raises:
        VaelensError: an unknown factor; a dataset without factors; a reader without factors or of images of another
            shape; a tolerance that is not positive.

    Warns:
        VaelensWarning: n pairs do not suffice for the tolerance.

    References:
        Signal detection theory and psychophysics (Green, Swets, 1966), for the shift, which is its d′.

    Example:
        >>> import vaelens as vl
        >>> ds = vl.load_dataset("sprites")
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=ds.image_shape, latent_dim=3))
        >>> effects = vl.factor_effects(lens, ds, factors=["shape", "scale"], n=8)
        >>> effects.latent_shift.dims, effects.factor.values.tolist()
        (('factor', 'latent'), ['shape', 'scale'])
    """
    check_dataset(ds)
    pairs = whole_number("n", n, low=1)
    if not len(ds.factors):
        raise VaelensError(f"{ds.name} has no factors, so none can be changed; leave factors out for manipulations")
    asked = ds.factors.names if factors is None else [factors] if isinstance(factors, str) else list(factors)
    names = checked_names("factor", list(asked))
    for name in names:
        ds.factors.index(name)  # an unknown one is refused before any pair is drawn
    lens.check_images(ds.images_at([0]))
    options = checked_options(lens, seed, progress, tolerance, reader)
    draws = [ds.pair_draw(name, pairs, options.seed) for name in names]

    def pairs_of(wanted: Collection[int]) -> Iterator[ChangedImages]:
        for change, draw in enumerate(draws):
            for rows in chunks(len(draw), lens.engine.rows):
                if change not in wanted:
                    break
                block = draw[rows]
                yield ChangedImages(rows.start, dataset_rows(lens, block.x, block.context), {change: block.x2})

    shared = controls(ds, draws, options.seed)
    everything = [*draws, *(each.draw for each in shared if each is not None)]
    is_apart = bool(shared) and any(draw.distance.any() for draw in everything)
    regression = LabelRegression(lens, ds, pairs, options.seed) if is_apart else None
    levels = FactorLevels(lens, draws, shared, regression, options.seed)
    changes = InputChanges("factor", names, pairs, pairs_of, levels)
    swept = input_sweep(lens, ds, changes, options)
    matched = [int(draw.matched[:used].sum()) for draw, used in zip(draws, swept.used, strict=True)]
    return input_record(lens, FACTOR_EFFECTS, changes, swept, options, {}, matched=(("factor",), matched))
