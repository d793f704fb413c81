"""Level 2 on a codebook, code by code, with what each code stands for and what it does to the image.

Costs five decoder rows for each code and image that it is tried on; memory does not grow with the number of images but
for the indices of their codes.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from vaelens.arguments import Progress, Seed, whole_number
from vaelens.effects.code_changes import CodeChanges, CodeGrid, CodeSums
from vaelens.effects.code_occurrences import NONE, Exemplars, occurrence, occurrences
from vaelens.effects.codes import Codebook, codes_elsewhere
from vaelens.effects.options import checked_options
from vaelens.effects.outcomes import numbers
from vaelens.effects.precision import with_precision
from vaelens.effects.record import Array, Variables, record, with_interval
from vaelens.effects.schemas import CODE_EFFECTS
from vaelens.errors import VaelensError, unknown
from vaelens.lens import Batch, ContextLike, ImagesLike, Lens, axis_names
from vaelens.statistics import BootstrapMean

ALTERNATIVES = ("used", "nearest")


@with_precision("effect", images=("x", "context"))
def code_effects(
    lens: Lens,
    x: ImagesLike,
    codes: int | Sequence[int] = 64,
    images_each: int = 32,
    alternative: Literal["used", "nearest"] = "used",
    exemplars: int = 6,
    seed: Seed = 0,
    progress: Progress = True,
    context: ContextLike | None = None,
) -> xr.Dataset:
    """Intervenes on one code of a codebook at a time and measures what changes in the image, and where.

    With e the embeddings of the codes that an image takes, and D(e) the image,

        effect_c = E ‖D(e) − D(e with another code at every position that takes c)‖₂,
        effect_once_c = the same with another code at one of these positions, drawn uniformly,
        effect_placed_c = E ‖D(e) − D(e with c at a position that takes another code, drawn uniformly)‖₂,

    the first two over images that take c. A code that fills many positions, as that of a background does, has a large
    `effect` by their number; compare codes by `effect_once`. Which code takes the place of c is decided here: one drawn
    by its frequency among the codes of all positions of the images, given that it differs, as in `swap_effects`; or
    the nearest in use. Memory does not grow with the number of images but for the indices of their codes.

    Args:
        lens: the lens, on a model with a quantised latent: a `vq-vae`, a `VQModel` of diffusers, or any module with
            `codebook=`. Of several quantisers, as residual ones are, `codebook=` has to be one table of codes.
        x: images (n, C, H, W) in [0, 1].
        codes: how many codes, those used most; or the codes by index.
        images_each: on how many images each code is tried, drawn among those that take it.
        alternative: what takes the place of a code: "used", drawn as above, or "nearest", the code in use whose
            embedding is nearest to it.
        exemplars: how many positions are kept for each code.
        seed: draws images, positions, codes and bootstrap resamples.
        progress: whether to show a bar on standard error, or a function of (codes done, codes in all).
        context: what the decoder is given besides, one row for each observation, where the lens takes one.

    Returns:
        A Dataset over `code`, whose coordinate is the index in the codebook, the most used first:

        - `count`, over all positions of all images, and `share` of them; `images`, how many images take the code.
        - `effect`, `effect_once`, `effect_placed`, in pixel-L2, each with `_low` and `_high`, a 95 % interval over
          images; NaN for a code that no image takes, or that all positions take.
        - `effect_map` (code, channel, height, width), E|Δ| of each pixel under the first of them.
        - `reach`, its interval, in pixels: within what distance of the swapped position's own cell (the image cut into
          as many cells as there are positions) 95 % of the squared change by one position lie, mean over the images
          that change; 0 where a code draws its own cell alone.
        - `occurrence` (code, position), the share of images with the code there; `position` has `row` and `column`.
        - `exemplar_image` and `exemplar_position` (code, exemplar): the positions whose embedding before quantisation
          is nearest to the code, `exemplar_distance` in L2, one of an image at most; −1 and NaN where there are fewer.
          `exemplar_patch` (code, exemplar, channel, patch_height, patch_width) is what the images show there, three
          cells on each axis, NaN outside the image.
        - `nearest_code` and `nearest_distance`: the nearest other code in use.

        `reach` and patches are of observations with an axis for each axis of positions, patches of images alone. The
        attributes say how many `codes` there are and how many are in use, as those of `swap_effects` do.

    Raises:
        VaelensError: images out of range, a latent that is not quantised, images that take one code alone, codes that
            are not there, or that nothing is quantised to, an unknown alternative, or numbers below 1.

    References:
        Neural discrete representation learning (van den Oord, Vinyals, Kavukcuoglu, 2017), for the codebook.

    Example:
        >>> import torch, vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vq-vae", image_shape=(1, 16, 16), latent_dim=2, codes=8))
        >>> x = torch.rand(8, 1, 16, 16)
        >>> with torch.no_grad():  # an untrained codebook: codes that these images take
        ...     lens.module.quantiser.codebook.copy_(lens.encode(x).movedim(1, -1).reshape(-1, 2)[:8])
        tensor(...)
        >>> effects = vl.code_effects(lens, x, codes=3, progress=False)
        >>> effects.effect.dims, bool(effects["count"][0] >= effects["count"][1])
        (('code',), True)
    """
    images = lens.batch(x, context)
    options = checked_options(lens, seed, progress)
    most, kept = whole_number("images_each", images_each, low=1), whole_number("exemplars", exemplars, low=1)
    if alternative not in ALTERNATIVES:
        raise unknown("alternative", alternative, ALTERNATIVES)
    book = lens.codebook
    if book is None:
        raise VaelensError(
            f"this {lens.describe()['model']} has no codebook, so it has no codes; give the lens codebook=, or use "
            "vl.latent_effects"
        )
    codebook, found = occurrences(lens, images, book.to(lens.engine.parts.like), kept)
    chosen = _chosen(codes, codebook)
    embeddings = _embeddings(lens, codebook, found, images, chosen)
    grid = CodeGrid(tuple(codebook.indices.shape[1:]), lens.observation.shape[1:])
    context_rows = None if images.context is None else images.context.to(codebook.codes)
    changes = CodeChanges(lens, codebook, embeddings, context_rows, grid, most, alternative == "nearest", options.seed)
    done: list[CodeSums] = []
    with options.reporting(len(chosen), "code effects") as report:
        for code in chosen:
            done.append(changes.of(code))
            report.advance(1)
    variables = _measured(done, lens.observation.shape, lens.observation.axes, grid.fits)
    variables |= _use(codebook, chosen) | _exemplars(found, chosen, grid, images, lens.observation.is_image)
    nearest, distance = changes.nearest(chosen)
    variables |= {"nearest_code": (("code",), nearest), "nearest_distance": (("code",), distance)}
    coords = {"code": chosen, **_position_coords(grid)}
    how = {"alternative": alternative, "images_each": most, "images": len(images), **options.attributes()}
    return record(lens, CODE_EFFECTS, variables, coords, **how, **codebook.attributes(options.seed))


def _chosen(codes: Any, book: Codebook) -> list[int]:
    """Chooses the codes by index, those used most or those that were named.

    Raises:
        VaelensError: neither, or one code in use alone.
    """
    counts = book.use.counts
    if book.use.codes_used < 2:
        raise VaelensError(
            f"all positions of these images take code {int(np.argmax(counts))}, so none can be swapped for another in "
            "use: the codebook is dead on these images; train the model further"
        )
    if isinstance(codes, int | np.integer) and not isinstance(codes, bool):
        most = whole_number("codes", codes, low=1)
        order = np.argsort(-counts, kind="stable")[:most]
        return [int(code) for code in order if counts[code]]
    asked = np.asarray(codes) if isinstance(codes, list | tuple | np.ndarray) else np.zeros(0)
    named = asked.ndim == 1 and asked.size > 0 and asked.dtype.kind in "iu"
    if not named or asked.min() < 0 or asked.max() >= len(counts) or len(set(asked.tolist())) < len(asked):
        raise VaelensError(
            f"codes is {codes!r}; expected how many, or different indices from 0 to {len(counts) - 1}, such as [3, 7]"
        )
    return sorted((int(code) for code in asked), key=lambda code: -counts[code])


def _embeddings(lens: Lens, book: Codebook, found: Exemplars, images: Batch, chosen: Sequence[int]) -> Tensor:
    """Finds an embedding that is quantised to each code, (K, d).

    It is the code's own, or an exemplar's where the quantiser takes the code's own to another code.

    Raises:
        VaelensError: there is none of a code that was asked for.
    """
    embeddings = book.codes.clone()
    codes = sorted({*np.flatnonzero(book.use.counts).tolist(), *chosen})
    elsewhere = codes_elsewhere(lens, book, torch.tensor(codes, device=embeddings.device), book.codes[codes])
    for code in elsewhere.cpu().tolist():
        image, position = int(found.image[code, 0]), int(found.position[code, 0])
        if image != NONE:
            embeddings[code] = lens.encode(images[image : image + 1]).flatten(2)[0, :, position]
    missing = codes_elsewhere(lens, book, elsewhere, embeddings[elsewhere]) if len(elsewhere) else elsewhere
    if len(missing):
        raise VaelensError(
            f"no embedding is known that this lens quantises to code {int(missing[0])}, so it can't be put in place; "
            "name codes that the images take"
        )
    return embeddings


def _measured(sums: Sequence[CodeSums], shape: tuple[int, ...], axes: Sequence[str], has_reach: bool) -> Variables:
    """Computes the effects of the codes from their sums."""
    variables: Variables = {}
    measured = {"effect": "swapped", "effect_once": "swapped_once", "effect_placed": "placed"}
    for name, attribute in (measured | ({"reach": "reach"} if has_reach else {})).items():
        low, mean, high = zip(*(_estimate(getattr(each, attribute)) for each in sums), strict=True)
        variables |= with_interval(name, ("code",), np.array(mean), (np.array(low), np.array(high)))
    nothing = np.full(shape, np.nan)
    maps = [nothing if each.map is None else numbers(each.map) / each.swapped.count for each in sums]
    return variables | {"effect_map": (("code", *axes), np.stack(maps).astype(np.float32))}


def _estimate(total: BootstrapMean) -> tuple[float, float, float]:
    if not total.count:
        return np.nan, np.nan, np.nan
    low, high = total.interval()
    return float(low), float(total.mean), float(high)


def _use(book: Codebook, chosen: Sequence[int]) -> Variables:
    """Counts how often the codes are taken, and where."""
    counts, flat = book.use.counts, book.indices.reshape(len(book.indices), -1)
    return {
        "count": (("code",), counts[chosen]),
        "share": (("code",), counts[chosen] / counts.sum()),
        "images": (("code",), np.array([int((flat == code).any(dim=1).sum()) for code in chosen])),
        "occurrence": (("code", "position"), np.stack([occurrence(book.indices, code) for code in chosen])),
    }


def _exemplars(found: Exemplars, chosen: Sequence[int], grid: CodeGrid, images: Batch, is_image: bool) -> Variables:
    """Collects where the codes are taken most typically, and what the images show there."""
    image, position = found.image[chosen], found.position[chosen]
    dims = ("code", "exemplar")
    variables: Variables = {
        "exemplar_image": (dims, image),
        "exemplar_position": (dims, position),
        "exemplar_distance": (dims, found.distance[chosen]),
    }
    if not (is_image and grid.fits):
        return variables
    flat, places = image.ravel(), position.ravel()
    patches = grid.patches(images.values[np.where(flat == NONE, 0, flat)], np.where(places == NONE, 0, places))
    patches[flat == NONE] = np.nan
    shape = (*image.shape, *patches.shape[1:])
    return variables | {"exemplar_patch": ((*dims, "channel", "patch_height", "patch_width"), patches.reshape(shape))}


def _position_coords(grid: CodeGrid) -> dict[str, Array | tuple[str, Array]]:
    shape = grid.positions
    coords: dict[str, Any] = {"position": np.arange(int(np.prod(shape)))}
    if shape:
        names = axis_names(len(shape)) if len(shape) > 1 else ("axis_0",)
        where = np.unravel_index(coords["position"], shape)
        coords |= {name: ("position", index) for name, index in zip(names, where, strict=True)}
    return coords
