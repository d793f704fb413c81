"""The mean distance of two images of a model, which makes an effect comparable across data sets."""

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.chunks import chunks
from vaelens.effects.outcomes import cells, sizes
from vaelens.effects.record import RESAMPLES, Array
from vaelens.float64 import to_float64
from vaelens.lens import Batch, BatchLike, Lens, as_batch
from vaelens.observation import Observation
from vaelens.statistics import poisson_weights

_ALL_PAIRS = 512
_PAIRS = 50_000
_DRAWN = 1024  # images that the pairs are drawn among
_BYTES = 256 * 2**20  # what reconstructions may take
_PIXELS = 4096  # that are compared at once
_ROUNDING = 1e-5  # of the size of a reconstruction: reconstructions no further apart than that are alike


def reference_distance(lens: Lens, codes: BatchLike, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, Array]:
    """Estimates E_{x,x'} ‖D(mu(x)) − D(mu(x'))‖₂ over pairs of different images, with its bootstrap replicates.

    Of observations with a distance of their own it is in that.

    All pairs of up to 512 images; above that 50,000 seeded pairs among at most 1,024 of them, also drawn by seed. Where
    their reconstructions take more than 256 MB, they are decoded anew, block against block.

    Args:
        lens: the lens.
        codes: mu(x), (n, d, *positions), in their context.
        seed: draws the pairs and the bootstrap weights.
        resamples: number of replicates. A pair weighs w_i · w_j, with the weights that a `BootstrapMean` with this
            seed gives the images.

    Returns:
        The mean distance, NaN for one image alone, 0 where reconstructions differ by rounding alone; and its
        replicates, (resamples,).
    """
    batch, images = as_batch(codes), len(codes)
    generator = np.random.default_rng(seed)
    drawn = np.arange(images) if images <= _DRAWN else np.sort(generator.choice(images, _DRAWN, replace=False))
    pairs = np.stack(np.triu_indices(len(drawn), k=1))
    if images > _ALL_PAIRS:
        pairs = pairs[:, generator.choice(pairs.shape[1], _PAIRS, replace=False)]
    if pairs.shape[1] == 0:
        return float("nan"), np.full(resamples, np.nan)
    counted = torch.zeros(len(drawn), len(drawn), dtype=torch.float64)
    counted[tuple(pairs)] = 1
    apart, size = _apart(lens, batch, torch.as_tensor(drawn, device=batch.values.device), counted)
    if apart.sum() / pairs.shape[1] <= _ROUNDING * size:
        return 0.0, np.zeros(resamples)
    weights = torch.from_numpy(poisson_weights(images, resamples, seed, drawn)).double()  # (resamples, m)
    total, weight = ((weights @ cell * weights).sum(dim=1) for cell in (apart, counted))  # Σ w_i w_j d_ij, Σ w_i w_j
    return float(apart.sum() / pairs.shape[1]), (total / weight).numpy()  # 0/0 is NaN where a resample has no pair


def in_distances(values: Array, distance: float | Array) -> Array:
    """Divides effects by the mean distance of two reconstructions. NaN where all are alike, for then it is no unit."""
    return values / np.where(np.greater(distance, 0), distance, np.nan)


def _apart(lens: Lens, codes: Batch, drawn: Tensor, wanted: Tensor) -> tuple[Tensor, float]:
    """Computes the distances of some pairs' reconstructions, float64 (m, m), 0 elsewhere, and the mean size of one.

    Args:
        lens: the lens.
        codes: of all images, (n, d, *positions), in their context.
        drawn: which of them are compared, (m,).
        wanted: 1 for the pairs (i, j), i < j, else 0.
    """
    most = _BYTES // (4 * lens.observation.size)  # reconstructions in memory
    blocks = chunks(len(drawn), len(drawn) if len(drawn) <= most else max(1, most // 2))  # two blocks at once
    apart, origin, size = torch.zeros_like(wanted), None, 0.0
    for k, rows in enumerate(blocks):
        row_images = cells(lens.engine.decode_some(codes, drawn[rows]))
        origin = row_images[0].clone() if origin is None else origin
        size += float(sizes(to_float64(row_images), lens.observation).sum()) / len(drawn)
        for columns in blocks[k:]:
            if wanted[rows, columns].any():
                same = columns == rows
                column_images = row_images if same else cells(lens.engine.decode_some(codes, drawn[columns]))
                between = _distances(row_images, column_images, origin, lens.observation)
                apart[rows, columns] = between * wanted[rows, columns]
    return apart, size


def _distances(images: Tensor, partners: Tensor, origin: Tensor, observation: Observation) -> Tensor:
    """Computes the distances of two blocks' pictures, float64 on the host, (m, k).

    By products of matrices, many times as fast as picture by picture, in double precision and of differences to one
    picture: where all are equal they lie exactly 0 apart.
    """
    if observation.weights:
        return torch.stack([sizes(to_float64(partners) - to_float64(image), observation) for image in images]).cpu()
    squared = torch.zeros(len(images), len(partners), dtype=torch.float64)
    for pixels in chunks(len(origin), _PIXELS):
        left, right = (to_float64(pictures[:, pixels] - origin[pixels]) for pictures in (images, partners))
        sides = left.square().sum(dim=1)[:, None] + right.square().sum(dim=1)
        squared += torch.addmm(sides, left, right.T, alpha=-2).cpu()
    return squared.clamp_(min=0).sqrt_()
