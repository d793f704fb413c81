"""How far apart two images of a model are on average: what makes an effect comparable across data sets."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vaelens.effects.record import RESAMPLES, Array
from vaelens.effects.worlds import cells
from vaelens.lens import Lens
from vaelens.lens.memory import Whole
from vaelens.statistics import poisson_weights

_ALL_PAIRS = 512
_PAIRS = 50_000
# Images that the pairs are drawn among, and the bytes that their reconstructions may take.
_DRAWN, _DRAWN_BYTES = 1024, 256 * 2**20


def contrast(lens: Lens, codes: Tensor, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, Array]:
    """E_{x,x'} ‖D(mu(x)) − D(mu(x'))‖₂ over pairs of different images, and its bootstrap replicates.

    All pairs of up to 512 images; above that 50,000 seeded pairs among at most 1,024 of them, also drawn by seed. Of
    large images, as many are drawn as 256 MB hold of their reconstructions in fp32.

    Args:
        lens: the lens.
        codes: mu(x), (n, d, *positions).
        seed: draws the pairs and the bootstrap weights.
        resamples: number of replicates. A pair weighs w_i · w_j, with the weights that a `BootstrapMean` with this
            seed gives the images.

    Returns:
        The mean distance, NaN for one image alone; and its replicates, (resamples,).
    """
    images = len(codes)
    generator = np.random.default_rng(seed)
    assert lens.image_shape is not None, "a lens that gave codes has seen images"
    most = max(2, min(_DRAWN, _DRAWN_BYTES // (4 * math.prod(lens.image_shape))))
    drawn = np.arange(images) if images <= most else np.sort(generator.choice(images, most, replace=False))
    first, second = np.triu_indices(len(drawn), k=1)
    every = len(drawn) <= _ALL_PAIRS
    if not every:
        chosen = generator.choice(len(first), _PAIRS, replace=False)
        first, second = first[chosen], second[chosen]
    if len(first) == 0:
        return float("nan"), np.full(resamples, np.nan)
    shown = Whole(len(drawn))
    for some in codes[torch.as_tensor(drawn, device=codes.device)].split(lens.rows_drawn):
        shown.add(lens.draw_rows(some))
    assert shown.tensor is not None, "there are two images at least"
    pictures = cells(shown.tensor)  # (m, pixels)
    if every:
        distances = functional.pdist(pictures).double().cpu()  # in the order of first and second
    else:
        pairs = zip(_blocks(first), _blocks(second), strict=True)
        distances = torch.cat([(pictures[a] - pictures[b]).norm(dim=1).double().cpu() for a, b in pairs])
    apart, counted = torch.zeros(2, len(drawn), len(drawn), dtype=torch.float64)
    apart[first, second], counted[first, second] = distances, torch.ones_like(distances)
    weights = torch.from_numpy(poisson_weights(images, resamples, seed, drawn)).double()  # (resamples, m)
    total, weight = ((weights @ one * weights).sum(dim=1) for one in (apart, counted))  # Σ w_i w_j d_ij, Σ w_i w_j
    return float(distances.mean()), (total / weight).numpy()  # 0/0 is NaN where a resample has no pair


def _blocks(indices: Array, size: int = 1024) -> list[Tensor]:
    return list(torch.as_tensor(indices).split(size))
