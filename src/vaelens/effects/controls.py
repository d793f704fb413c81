"""Control pairs, of images that share a label and are as near in the other labels as pairs that differ in it.

Choosing them costs a search among all labels for each, and no image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from vaelens.data import FactorDataset
from vaelens.data.pair_draw import PairDraw
from vaelens.errors import VaelensError

_TIMES = 4  # so many control pairs are looked for as are taken, the nearest of them
_COMPARED = 2**26  # labels that the search compares at most, before it looks for no more than are taken
_SHARE = 0.25  # of the pairs that differ, which count at least
_REACH = 1.5  # how far beyond them the weights come to 0


@dataclass(frozen=True, eq=False)
class Controls:
    """The control pairs of one factor.

    Attributes:
        draw: the pairs.
        bandwidth: the distance at which a pair, be it a control or not, no longer counts; 0 where no pair is apart.
    """

    draw: PairDraw
    bandwidth: float

    def weights(self, distance: Tensor) -> Tensor:
        """Computes how much pairs at a distance count, from 1 to 0, (n,)."""
        return (1 - distance / self.bandwidth).clamp(min=0) if self.bandwidth else distance.new_ones(len(distance))


def controls(ds: FactorDataset, draws: Sequence[PairDraw], seed: int) -> list[Controls | None]:
    """Chooses control pairs for the pairs of each factor.

    The nearest of four times as many, each once, because controls have fewer images to choose from and so lie farther
    apart. Pairs count by max(0, 1 − distance / h), h 1.5 times the largest distance of a control, or of the nearest
    quarter of the pairs where that is farther.

    Args:
        ds: the dataset.
        draws: pairs that differ in a factor each.
        seed: chooses among images.

    Returns:
        For each factor its controls, None where no two images have the same value of it; an empty list for a full grid
        of factors, where the only image that shares all labels with an image is itself.
    """
    single = _nearest(ds, draws[0], 1, seed)
    if single is not None and np.array_equal(single.first, single.second):
        return []
    return [_controls(draw, _nearest(ds, draw, len(draw), seed)) for draw in draws]


def _controls(draw: PairDraw, nearest: PairDraw | None) -> Controls | None:
    if nearest is None:
        return None
    reach = max(nearest.distance.max(), np.quantile(draw.distance, _SHARE))
    return Controls(nearest, _REACH * float(reach))


def _nearest(ds: FactorDataset, draw: PairDraw, count: int, seed: int) -> PairDraw | None:
    """Keeps the nearest of many control pairs, each once, in the order in which they were drawn."""
    searched = max(count, min(_TIMES * count, _COMPARED // len(ds)))
    try:
        many = ds.control_draw(draw.factor, searched, seed)
    except VaelensError:  # no two images share a value: all else was refused when the pairs were drawn
        return None
    rows = np.arange(len(many))
    if many.first.ndim == 1:
        ends = np.sort(np.stack([many.first, many.second], axis=1).astype(np.int64), axis=1)
        rows = np.sort(np.unique(ends, axis=0, return_index=True)[1])
    rows = np.sort(rows[np.argsort(many.distance[rows], kind="stable")[:count]])
    return replace(many, first=many.first[rows], second=many.second[rows], distance=many.distance[rows])
