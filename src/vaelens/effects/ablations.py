"""What ablations over many images put in the place of sites' activations, chunk by chunk.

What comes from other images, a mean or another image's values, costs a run of these images; of activations only the
means stay in memory. A new ablation is a class of the same signature and a line in `ABLATIONS`.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from vaelens.effects.chunks import chunks
from vaelens.effects.outcomes import run_cached
from vaelens.float64 import to_float64
from vaelens.lens import BatchLike, CachedRun, Lens, in_chunks, other_images


@runtime_checkable
class Ablation(Protocol):
    """What takes the place of activations."""

    def activations(self, rows: slice, sites: Collection[str]) -> Mapping[str, Tensor]:
        """Returns what the images `rows` are given at each site, (c or 1, units, *positions)."""
        ...


class ZeroAblation:
    """Every value becomes 0."""

    def __init__(self, lens: Lens, images: BatchLike, sites: Collection[str], seed: int):
        self._zeros = {site: torch.zeros(1, *lens.sites[site].shape, device=lens.device) for site in sites}

    def activations(self, rows: slice, sites: Collection[str]) -> Mapping[str, Tensor]:
        """Returns what the images `rows` are given at each site, zeros (1, units, *positions)."""
        return {site: self._zeros[site] for site in sites}


class MeanAblation:
    """Every value becomes its mean over all images, position by position."""

    def __init__(self, lens: Lens, images: BatchLike, sites: Collection[str], seed: int):
        totals: dict[str, Tensor] = {}

        def sums(rows: slice) -> dict[str, Tensor]:
            run = run_cached(lens, images[rows], rows.start, sites)
            return {site: to_float64(run.activation(site)).sum(dim=0, keepdim=True) for site in sites}

        for _, by_site in in_chunks(len(images), lens.engine.rows, sums):
            for site, total in by_site.items():
                totals[site] = totals[site] + total if site in totals else total
        self._means = {site: total / len(images) for site, total in totals.items()}

    def activations(self, rows: slice, sites: Collection[str]) -> Mapping[str, Tensor]:
        """Returns what the images `rows` are given at each site, the means, float64 (1, units, *positions)."""
        return {site: self._means[site] for site in sites}


class ResampleAblation:
    """Every value becomes that on another image, so that no image keeps its own."""

    def __init__(self, lens: Lens, images: BatchLike, sites: Collection[str], seed: int):
        self._lens, self._images = lens, images
        self._partners = torch.as_tensor(other_images(len(images), seed))

    def activations(self, rows: slice, sites: Collection[str]) -> Mapping[str, Tensor]:
        """Returns what the images `rows` are given at each site, their partners' values, (c, units, *positions)."""
        partners = self._partners[rows]
        if not self._lens.engine.coupled:
            return self._activations(self._run(partners, rows.start, sites), sites)
        # Rows that draw random numbers, or influence one another, are what they are in their own chunk only.
        values_of: dict[str, Tensor] = {}
        for chunk in chunks(len(self._images), self._lens.engine.rows):
            inside = (partners >= chunk.start) & (partners < chunk.stop)
            if inside.any():
                run = self._run(torch.arange(chunk.start, chunk.stop), chunk.start, sites)
                for site, values in self._activations(run, sites).items():
                    values_of.setdefault(site, values.new_empty(len(partners), *values.shape[1:]))
                    values_of[site][inside] = values[partners[inside] - chunk.start]
        return values_of

    def _run(self, images: Tensor, first_row: int, sites: Collection[str]) -> CachedRun:
        return run_cached(self._lens, self._images[images], first_row, sites)

    def _activations(self, run: CachedRun, sites: Collection[str]) -> dict[str, Tensor]:
        return {site: run.activation(site) for site in sites}


ABLATIONS = MappingProxyType({"zero": ZeroAblation, "mean": MeanAblation, "resample": ResampleAblation})


def ablation(method: str, lens: Lens, images: BatchLike, sites: Collection[str], seed: int) -> Ablation:
    """Builds an ablation of some sites over all images.

    Args:
        method: a name of `ABLATIONS`.
        lens: the lens.
        images: all of them, in their context.
        sites: where activations are replaced.
        seed: draws the other images of "resample".

    Raises:
        VaelensError: one image alone, to resample.
    """
    return ABLATIONS[method](lens, images, sites, seed)
