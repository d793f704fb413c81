"""Regions of a site's activation, some units at some positions that are read or replaced as one.

A region's positions are a box, a slice on each axis. What counts as one unit of a site (a channel, a position, a tile)
is a list of regions that covers each cell of the activation once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens.direction import Direction
from vaelens.lens.sites import Site

UnitsLike = int | np.integer | Sequence[int] | NDArray[np.integer] | Tensor | Literal["all"] | Direction | None
_Span = int | slice | tuple[int, int]
BoxLike = Literal["all"] | _Span | Sequence[_Span] | NDArray[np.integer] | Tensor | None

_FORMS = "expected 'all', an index for each axis, or a (start, stop) or slice for each axis"
_MANY = 0.25  # of a site's units, from which on a whole activation is passed over


@dataclass(frozen=True)
class Region:
    """Some units of a site at some positions.

    Attributes:
        units: their indices.
        positions: a slice with start and stop for each axis of positions; None for all positions.

    Example:
        >>> import torch
        >>> grid = torch.arange(8.0).reshape(1, 2, 2, 2)
        >>> corner = Region((1,), (slice(0, 1), slice(0, 2)))
        >>> corner.take(grid).tolist()
        [[[[4.0, 5.0]]]]
        >>> corner.put(grid, torch.zeros(()))
        >>> grid.flatten().tolist()
        [0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 6.0, 7.0]
    """

    units: tuple[int, ...]
    positions: tuple[slice, ...] | None = None

    def __post_init__(self) -> None:
        units = self.units
        if not isinstance(units, tuple) or len(set(units)) < len(units) or (units and min(units) < 0):
            raise VaelensError(f"a region's units are {units!r}; give a tuple of different indices from 0 on")
        if not all(isinstance(span, slice) and _whole(span.start) and span.start >= 0 for span in self.positions or ()):
            raise VaelensError(
                f"a region's positions are {self.positions!r}; give a slice from start to stop for each axis, from 0 on"
            )

    @property
    def index(self) -> slice | list[int]:
        """Its units as an index, which is a slice where they are consecutive, so that indexing returns a view."""
        if not self.units:
            return slice(0, 0)
        first, last = self.units[0], self.units[-1]
        return slice(first, last + 1) if self.units == tuple(range(first, last + 1)) else list(self.units)

    def take(self, activation: Tensor) -> Tensor:
        """Returns its values, (n, its units, *its positions), in an activation (n, units, *positions)."""
        return activation[self._index()]

    def source(self, activation: Tensor) -> Tensor:
        """Returns the part of an activation that its values are taken from, which is those values themselves."""
        return self.take(activation)

    def put(self, activation: Tensor, values: Tensor) -> None:
        """Writes values that broadcast to (n, its units, *its positions) over an activation, in place."""
        activation[self._index()] = values

    def copy(self, source: Tensor, into: Tensor) -> None:
        """Writes its values in one activation over those in another, in place."""
        few = isinstance(self.index, slice) or len(self.units) < _MANY * into.shape[1]
        if few or self.positions is not None or into.requires_grad:
            self.put(into, self.take(source))
        else:  # one pass over memory as it lies, whatever the units
            mask = torch.zeros(into.shape[1], dtype=torch.bool)
            mask[list(self.units)] = True
            mask = mask.to(into.device, non_blocking=True).view(-1, *[1] * (into.ndim - 2))
            torch.where(mask, source, into, out=into)

    def _index(self) -> tuple[Any, ...]:
        return (slice(None), self.index, *(self.positions or ()))


@dataclass(frozen=True)
class Regions:
    """Several regions of a site, replaced together."""

    members: tuple[Region, ...]

    def copy(self, source: Tensor, into: Tensor) -> None:
        """Writes its values in one activation over those in another, in place."""
        for member in self.members:
            member.copy(source, into)


Group = Region | Regions


def resolve_units(units: UnitsLike, site: Site) -> tuple[int, ...]:
    """Resolves units at a site to their indices, where None and "all" mean every unit.

    Raises:
        VaelensError: an index that is not there, not an integer, or named twice; no unit at all.
    """
    if units is None or (isinstance(units, str) and units == "all"):
        return tuple(range(site.units))
    if isinstance(units, Direction):
        raise VaelensError(
            f"units at {site.name} are a Direction, which is taken by lens.along(direction); give indices"
        )
    try:
        array = np.atleast_1d(np.asarray(units))
    except ValueError:
        array = np.empty((1, 1))  # lists of different lengths
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise VaelensError(
            f"units at {site.name}: {units!r} given, expected an integer, a list of integers or 'all'"
            + ("; name at least one unit" if array.size == 0 else "")
        )
    indices = tuple(int(unit) for unit in array)
    outside = [unit for unit in indices if not 0 <= unit < site.units]
    if outside:
        raise VaelensError(f"unit {outside[0]} of {site.name} does not exist; its units are 0 to {site.units - 1}")
    if len(set(indices)) < len(indices):
        raise VaelensError(f"units at {site.name}: {list(indices)} names a unit twice; name each once")
    return indices


def resolve_positions(positions: BoxLike, site: Site) -> tuple[slice, ...] | None:
    """Resolves positions of a site to a box. None and "all" mean every position, for which None is returned.

    Args:
        positions: "all", or for each axis of the site's positions an index, a slice or a pair (start, stop); where
            there is one axis, also the index or slice alone.
        site: the site.

    Raises:
        VaelensError: a site without positions, another number of axes, a box that is empty or reaches out.
    """
    if positions is None or (isinstance(positions, str) and positions == "all"):
        return None
    sizes = site.shape[1:]
    if not sizes:
        raise VaelensError(f"{site.name} has no positions, only {site.units} units; leave positions out")
    indices = positions.tolist() if isinstance(positions, Tensor | np.ndarray) else positions
    alone = len(sizes) == 1 and not isinstance(indices, tuple | list)
    axes = (indices,) if alone else indices
    if not isinstance(axes, tuple | list):
        raise VaelensError(f"positions at {site.name}: {positions!r} given; {_FORMS}")
    if len(axes) != len(sizes):
        raise VaelensError(
            f"positions at {site.name}: {positions!r} has {len(axes)} axes, and the site has {len(sizes)}, of "
            f"{' × '.join(map(str, sizes))} positions"
        )
    return tuple(_span(axis, size, positions, site) for axis, size in zip(axes, sizes, strict=True))


def regions(site: Site, unit: Any = "channel") -> tuple[list[Region], dict[str, list[int]]]:
    """Divides a site into the regions that count as one unit each, and returns their coordinates too.

    Args:
        site: the site.
        unit: "channel": a unit at all its positions. "position": all units at one position. "site": all units at all
            positions, the site as a whole. A pair (h, w), or one number for each axis of positions: all units in one of
            the boxes of that size that tile the positions, the last ones smaller where it does not divide.

    Returns:
        The regions, which cover each cell once, in the order of the positions, and their coordinates: `index`, and for
        boxes those of the first corner, `row` and `column` (column 0 where the positions have one axis), or `axis_0`,
        `axis_1` … where they have more than two.

    Raises:
        VaelensError: not one of these; a site without positions, or with other axes than the box.
    """
    unit = checked_unit(unit)
    if unit == "channel":
        return [Region((k,)) for k in range(site.units)], {"index": list(range(site.units))}
    if unit == "site":
        return [Region(tuple(range(site.units)))], {"index": [0]}
    sizes = site.shape[1:]
    if not has_units(site, unit):
        shape = f"{len(sizes)} axes of positions" if sizes else "no positions"
        raise VaelensError(
            f"{site.name} has {shape}, so its units can't be {'each a position' if unit == 'position' else unit}; "
            "name sites that fit, or use unit='channel'"
        )
    steps = (1,) * len(sizes) if unit == "position" else unit
    every = tuple(range(site.units))
    spans = [
        [slice(start, min(start + step, size)) for start in range(0, size, step)]
        for size, step in zip(sizes, steps, strict=True)
    ]
    boxes = list(product(*spans))
    return [Region(every, box) for box in boxes], {"index": list(range(len(boxes))), **_corners(boxes)}


def axis_names(axes: int) -> tuple[str, ...]:
    """Lists the names of coordinates of positions, row and column, or axis_0, axis_1 … of more than two."""
    return ("row", "column") if axes <= 2 else tuple(f"axis_{k}" for k in range(axes))


def _corners(boxes: Sequence[tuple[slice, ...]]) -> dict[str, list[int]]:
    """Returns the first corner of each box, by axis."""
    names = axis_names(len(boxes[0]))
    starts = [[span.start for span in box] + [0] * (len(names) - len(box)) for box in boxes]
    return {name: [start[k] for start in starts] for k, name in enumerate(names)}


def checked_unit(unit: Any) -> Any:
    """Checks what is to count as one unit, "channel", "position", "site", or the size of a box on each axis.

    Raises:
        VaelensError: anything else.
    """
    if isinstance(unit, str) and unit in ("channel", "position", "site"):
        return unit
    if isinstance(unit, tuple | list) and unit and all(_whole(n) and n > 0 for n in unit):
        return tuple(int(n) for n in unit)
    raise VaelensError(
        f"unit is {unit!r}; expected 'channel', 'position', 'site' or the size of a box such as (2, 2), "
        "or (4,) of series"
    )


def unit_name(unit: Any) -> str:
    """Says in one word what counts as one unit."""
    return unit if isinstance(unit, str) else "×".join(map(str, unit))


def has_units(site: Site, unit: Any) -> bool:
    """Tells whether a site has units of a kind that passed `checked_unit`."""
    axes = len(site.shape) - 1
    return unit in ("channel", "site") or (axes > 0 if unit == "position" else axes == len(unit))


def _span(axis: Any, size: int, positions: BoxLike, site: Site) -> slice:
    where = f"positions at {site.name}: {positions!r}"
    if _whole(axis):
        bounds = (axis, axis + 1)
    elif isinstance(axis, slice) and axis.step in (None, 1):
        bounds = (0 if axis.start is None else axis.start, size if axis.stop is None else axis.stop)
    else:
        bounds = axis
    if not isinstance(bounds, tuple | list) or len(bounds) != 2 or not all(_whole(bound) for bound in bounds):
        raise VaelensError(f"{where} given; {_FORMS}")
    start, stop = (int(bound) for bound in bounds)
    if start < 0 or stop > size:
        raise VaelensError(f"{where} reaches outside; the site's positions on that axis are 0 to {size - 1}")
    if start >= stop:
        raise VaelensError(f"{where} is empty; a box holds the positions from its start to before its stop")
    return slice(start, stop)


def _whole(number: Any) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)
