"""The memory budget of a lens, which sets how many images run at once, and which sites are cached together."""

import math
from collections.abc import Collection, Sequence

import torch

from vaelens.lens.model_parts import ModelParts
from vaelens.lens.sites import Sites

# Rows of one chunk: more lose on a CPU, whose caches are the limit; a GPU wants to be filled. Where nothing is kept of
# them, a CPU takes twice as many.
ROWS_CPU, UNCACHED_CPU = 64, 128
ROWS_ACCELERATOR = 2048
_USUAL, _LARGE = 256 * 2**20, 4096 * 2**20


def usual_size(device: torch.device) -> float:
    """Returns the bytes that are allowed where a user names none."""
    if device.type != "cuda":
        return _USUAL
    return min(_LARGE, torch.cuda.get_device_properties(device).total_memory / 4)


class Budget:
    """The numbers of images and of sites that fit in a number of bytes.

    Args:
        size: the bytes that the activations of one chunk may take.
        parts: the model.
        sites: its sites.
        values: how many values one observation has.
    """

    def __init__(self, size: float, parts: ModelParts, sites: Sites, values: int):
        self._size, self._parts, self._sites, self._values = size, parts, sites, values

    def rows(self, sites: Collection[str]) -> int:
        """Returns how many images, at least one, go through at once where some sites are kept."""
        return self._most(ROWS_CPU, sites)

    def rows_uncached(self) -> int:
        """Returns how many codes, at least one, are decoded at once, or images encoded, where no site is cached."""
        return self._most(UNCACHED_CPU, ())

    def groups(self, sites: Sequence[str]) -> list[list[str]]:
        """Splits sites, in order, into groups of which a CPU's full chunk of images fits in."""
        groups: list[list[str]] = []
        for site in sites:
            last = groups[-1] if groups else []
            if last and ROWS_CPU * self._row([*last, site]) <= self._size:
                last.append(site)
            else:
                groups.append([site])
        return groups

    def _most(self, limit: int, sites: Collection[str]) -> int:
        """Returns how many rows the size allows, but at least one, and at most `limit` on a CPU."""
        on_cpu = self._parts.like.device.type == "cpu"
        return max(1, min(limit if on_cpu else ROWS_ACCELERATOR, int(self._size / self._row(sites))))

    def _row(self, sites: Collection[str]) -> int:
        """Computes the bytes of one image in two runs with some sites captured, one of them kept for running again."""
        captured = sum(math.prod(self._sites[site].shape) for site in sites)
        kept, largest = self._parts.row_floats({site: self._sites[site].part for site in sites})
        return self._parts.like.element_size() * (2 * captured + kept + 4 * largest + 8 * self._values)
