"""What a factor reader adds to an analysis, the factors that each latent changes and how far to trust the reader."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from vaelens.effects import FACTORS, latent_effects
from vaelens.effects.record import Array, with_interval
from vaelens.lens import Batch, Lens
from vaelens.statistics import BootstrapMean

_SCORES = ("specificity", "specificity_normalised")


def reading(
    lens: Lens,
    x: Tensor | Batch,
    labels: Array,
    names: Sequence[str],
    reader: Any,
    swept: int,
    seed: int,
    progress: Any,
    active: Array | None = None,
) -> xr.Dataset:
    """Measures which factors each latent changes, and how often the reader reads a reconstruction right.

    Args:
        lens: the lens.
        x: the images that were analysed, (n, C, H, W).
        labels: their factor values, (n, K), −1 where missing.
        names: of the K factors.
        reader: see `latent_effects`.
        swept: on how many of the images, the first, latents are intervened on.
        seed: of the interventions and the bootstrap resamples.
        progress: as in `latent_effects`.
        active: the latents that means are over, as in `latent_effects`.

    Returns:
        `factor_effect` (latent, factor), `specificity`, `specificity_normalised` (latent) and their means as
        `latent_effects` gives them; `read_right` (factor), the fraction of the reconstructions of all n images off
        which the label is read, in [0, 1], each with `_low` and `_high`; NaN for a factor without labels.
    """
    effects = latent_effects(lens, x[:swept], over=FACTORS, reader=reader, seed=seed, progress=progress, active=active)
    means = [f"{score}{of}" for score in _SCORES for of in ("", "_mean", "_active_mean")]
    read = effects[[f"{name}{end}" for name in ("factor_effect", *means) for end in ("", "_low", "_high")]]
    right = _read_right(lens, x, labels, names, reader, seed)
    mean, low, high = (np.array([ends[k] for ends in right]) for k in range(3))
    return read.assign(with_interval("read_right", ("factor",), mean, (low, high)))


def _read_right(
    lens: Lens, x: Tensor | Batch, labels: Array, names: Sequence[str], reader: Any, seed: int
) -> list[tuple[Array, Array, Array]]:
    """Measures in what fraction of images each factor is read right, with the ends of its interval."""
    columns = [list(names).index(factor) if factor in names else None for factor in reader.factors]
    tallies = [BootstrapMean((), seed=seed) for _ in columns]
    rows = lens.engine.rows
    for chunk, labelled in zip(x.split(rows), np.split(labels, range(rows, len(x), rows)), strict=True):
        read = reader.read(lens.reconstruct(chunk).clamp(0, 1))
        for factor, column, tally in zip(reader.factors, columns, tallies, strict=True):
            if column is not None:
                right = read[factor].argmax(dim=1).cpu().numpy() == labelled[:, column]
                tally.update(right[labelled[:, column] >= 0].astype(float))
    return [(tally.mean, *tally.interval()) for tally in tallies]
