"""Level 1 without factors, the effect of changed pixels or features on every latent, every unit and the output.

Costs a forward of the model for each image, and one for each image and manipulation. Memory does not grow with the
number of images.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import xarray as xr

from vaelens.arguments import Progress, Seed, whole_number
from vaelens.data import FactorDataset
from vaelens.effects.chunks import chunks
from vaelens.effects.dataset_rows import check_dataset, dataset_rows
from vaelens.effects.factor_predictions import ReadsFactors
from vaelens.effects.input_sweep import ChangedImages, InputChanges, checked_names, input_record, input_sweep
from vaelens.effects.manipulations import Manipulation, permute, resolved, usual_manipulations
from vaelens.effects.options import checked_options
from vaelens.effects.pixel_manipulations import BLOCK
from vaelens.effects.precision import with_precision
from vaelens.effects.schemas import MANIPULATION_EFFECTS
from vaelens.errors import VaelensError
from vaelens.lens import Lens

Manipulations = Mapping[str, float | Manipulation | None] | Sequence[str] | str | None


@with_precision("unit_effect", images=(), count="n")
def manipulation_effects(
    lens: Lens,
    ds: FactorDataset,
    manipulations: Manipulations = None,
    n: int = 256,
    seed: Seed = 0,
    progress: Progress = True,
    reader: ReadsFactors | None = None,
    tolerance: float | None = None,
) -> xr.Dataset:
    """Manipulates images, or features, in one way at a time and measures what changes inside and at the output.

    The formulas are those of `factor_effects`, x' a manipulation of x.

    Args:
        lens: the lens.
        ds: a dataset of images like the model's.
        manipulations: manipulations by name, with their strength or None for the default one (see `manipulate`), or a
            `vl.Manipulation` under a name of your own. By default of images all six; of vectors the permutation of each
            group of features, or each feature; of series and volumes "mask", "shift" and "noise".
        n: images, each manipulated in every way.
        seed: draws the images, what the manipulations draw, and the bootstrap resamples.
        progress: as in `factor_effects`.
        reader: as in `factor_effects`.
        tolerance: as in `factor_effects`.

    Returns:
        A Dataset as that of `factor_effects`, with the dimension `manipulation` in place of `factor`, the coordinate
        `strength`, and no `matched`.

    Raises:
        VaelensError: an unknown manipulation or feature, or a strength that it cannot have; more images than the
            dataset has; a reader without factors or of images of another shape; a tolerance that is not positive; one
            observation to permute.

    Warns:
        VaelensWarning: n images do not suffice for the tolerance.

    Example:
        >>> import numpy as np, vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=3))
        >>> ds = vl.ArrayDataset(np.random.default_rng(0).random((8, 1, 32, 32)))
        >>> vl.manipulation_effects(lens, ds, {"blur": 1.0, "noise": None}, n=8).strength.values.tolist()
        [1.0, 0.2]
    """
    check_dataset(ds)
    images = whole_number("n", n, low=1)
    lens.check_images(ds.images_at([0]))
    asked = _by_name(usual_manipulations(lens.observation) if manipulations is None else manipulations)
    names = list(asked)
    checked = [resolved(manipulation, lens.observation) for manipulation in asked.values()]
    options = checked_options(lens, seed, progress, tolerance, reader)
    indices = ds.draw(images, options.seed)
    if any(manipulation.function is permute for manipulation in checked) and len(indices) % BLOCK == 1:
        if len(indices) == 1:
            raise VaelensError("permute takes the values of another observation, and there is one; give n of 2 or more")
        indices = indices[:-1]  # which would be permuted alone
    functions = [manipulation.drawing(options.seed) for manipulation in checked]

    def manipulated(wanted: Collection[int]) -> Iterator[ChangedImages]:
        for rows in chunks(len(indices), BLOCK * math.ceil(lens.engine.rows / BLOCK)):
            if not wanted:
                break
            at = indices[rows]
            x = ds.images_at(at)
            changed = {number: change(x) for number, change in enumerate(functions) if number in wanted}
            yield ChangedImages(rows.start, dataset_rows(lens, x, ds.context_at(at)), changed)

    changes = InputChanges("manipulation", names, len(indices), manipulated)
    swept = input_sweep(lens, ds, changes, options)
    coords = {"strength": ("manipulation", [manipulation.strength for manipulation in checked])}
    return input_record(lens, MANIPULATION_EFFECTS, changes, swept, options, coords)


def _by_name(asked: Any) -> dict[str, Manipulation]:
    """Returns the manipulations that were asked for, by the names that they have in the result.

    Raises:
        VaelensError: none, or one twice.
    """
    names = checked_names("manipulation", [asked] if isinstance(asked, str) else list(asked))
    strengths = asked if isinstance(asked, Mapping) else dict.fromkeys(names)
    pairs = ((name, strengths[name]) for name in names)
    return {name: value if isinstance(value, Manipulation) else Manipulation(name, value) for name, value in pairs}
