"""An exchange: rows of a site's activation in which some units take their values from elsewhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from vaelens.lens.incremental.downstream import layout_of, taken
from vaelens.lens.incremental.layers import LINEAR, Layer
from vaelens.lens.regions import Group, Region


class Contrast:
    """A site's activation in a base run and in a source, and which cells differ.

    Attributes:
        present: in the base run, (c, units, *positions).
        source: of the same shape.
        groups: cells that are to be exchanged together.
        difference: source − present by unit, (units, c, *positions); 0 where both are the same.
    """

    def __init__(self, present: Tensor, source: Tensor, groups: Sequence[Group]):
        self.present, self.source, self.groups = present, source, groups
        # Of equal infinities the difference is no number.
        difference = (source - present).masked_fill_(present == source, 0)
        self.difference = difference.transpose(0, 1).contiguous()

    @cached_property
    def partial(self) -> bool:
        """Whether no group is more than half of the units: a layer behind them is then updated rather than run."""
        units = self.present.shape[1]
        return all(isinstance(group, Region) and 2 * len(group.units) <= units for group in self.groups)

    @cached_property
    def columns(self) -> Tensor | None:
        """Which of an image's cells each group is, (groups,); None where one is more than a single cell."""
        cells = self.present[0]
        every = torch.arange(cells.numel()).view(1, *cells.shape)
        found = [group.take(every).flatten() for group in self.groups if isinstance(group, Region)]
        if len(found) < len(self.groups) or any(len(one) > 1 for one in found):
            return None
        return torch.cat(found).to(self.present.device, non_blocking=True)

    def tasks(self) -> "Tasks":
        """The rows to run again: those in which a group's values differ in any bit."""
        host = self._changing().cpu().nonzero().t().contiguous()  # the one thing that is waited for
        groups, rows = host.to(self.present.device, non_blocking=True)
        return Tasks(groups, rows, host[0])

    def _changing(self) -> Tensor:
        """Whether a group's values differ in any bit, (groups, c)."""
        differ = self.difference != 0  # (units, c, *positions)
        regions = [group for group in self.groups if isinstance(group, Region) and group.positions is None]
        if len(regions) == len(self.groups):
            by_unit = differ.flatten(2).any(dim=2) if differ.ndim > 2 else differ
            units = [region.units for region in regions]
            if units == [(unit,) for unit in range(len(by_unit))]:
                return by_unit
            if all(len(chosen) == 1 for chosen in units):
                return by_unit[[chosen[0] for chosen in units]]
            return torch.stack([by_unit[list(region.units)].any(dim=0) for region in regions])
        changing = []
        for group in self.groups:
            inside = torch.zeros_like(differ[:, :1]).transpose(0, 1)
            group.copy(torch.ones_like(inside), inside)
            changing.append((differ & inside.transpose(0, 1)).movedim(1, 0).flatten(1).any(dim=1))
        return torch.stack(changing)


@dataclass(frozen=True, eq=False)
class Tasks:
    """For each of m rows which group is exchanged in which base row, where the model is.

    The groups on the host too, because no batch is to wait until a GPU has caught up to say what the batch holds.

    Attributes:
        groups: indices of groups, (m,), in ascending order.
        rows: base rows, (m,).
        host_groups: the groups, on the host.
    """

    groups: Tensor
    rows: Tensor
    host_groups: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, some: slice) -> "Tasks":
        return Tasks(self.groups[some], self.rows[some], self.host_groups[some])

    def batches(self, size: int) -> Iterator["Tasks"]:
        """Consecutive tasks, at most so many at once."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


@dataclass(frozen=True, eq=False)
class Exchange:
    """For each of m rows, which group of cells of a base row takes its values from the same row of a source.

    Attributes:
        between: the base run's activation and the source's.
        tasks: the rows.
    """

    between: Contrast
    tasks: Tasks

    @property
    def rows(self) -> Tensor:
        """For each row the base row, (m,)."""
        return self.tasks.rows

    @cached_property
    def pieces(self) -> list[tuple[slice, Group]]:
        """Consecutive rows with the same group."""
        which, counts = self.tasks.host_groups.unique_consecutive(return_counts=True)
        ends = counts.cumsum(0).tolist()
        starts = [0, *ends[:-1]]
        found = zip(which.tolist(), starts, ends, strict=True)
        return [(slice(start, end), self.between.groups[group]) for group, start, end in found]

    @cached_property
    def selection(self) -> Tensor | None:
        """The base rows; None where they are all of them, each once and in order."""
        whole = len(self.rows) == len(self.between.present) and len(self.pieces) == 1
        return None if whole else self.rows

    def activation(self) -> Tensor:
        """The site's activation after the exchange, (m, units, *positions)."""
        changed = taken(self.between.present, self.rows)
        for rows, group in self.pieces:
            group.copy(self.between.source.index_select(0, self.rows[rows]), changed[rows])
        return changed

    def update(self, layer: Layer, value: Tensor) -> Tensor:
        """A linear layer's value after the exchange, (m, …), from its value in the base run, (c, …)."""
        if layer.kind == LINEAR and self.between.columns is not None:
            return self._single(layer, taken(value, self.selection), self.between.columns)
        updated = torch.empty(
            (len(self.rows), *value.shape[1:]), dtype=value.dtype, device=value.device, memory_format=layout_of(value)
        )
        for rows, region in self.pieces:
            assert isinstance(region, Region), "only single regions are updated"
            dense = layer.kind == LINEAR
            change, inputs = self._flat(rows, region) if dense else (self._spread(rows, region), region.chosen)
            torch.add(self._among(value, rows), layer.update(change, inputs), out=updated[rows])
        return updated

    def _single(self, layer: Layer, value: Tensor, columns: Tensor) -> Tensor:
        """The same where every group is one cell: an outer product a row."""
        column = columns[self.tasks.groups]  # (m,)
        by_column = self.between.difference.transpose(0, 1).flatten(1)  # (c, columns)
        change = by_column[self.rows, column]
        return torch.addcmul(value, change[:, None].to(value), layer.weight().T[column].to(value))

    def _among(self, value: Tensor, rows: slice) -> Tensor:
        """Of a value in the base run, (c, …), the rows that some of these are about; they come in order, each once."""
        chosen = self.rows[rows]
        return value if len(chosen) == len(value) else taken(value, chosen)

    def _change(self, rows: slice, region: Region) -> Tensor:
        """The difference in a region, (rows, units, *its positions)."""
        return self._among(region.take(self.between.difference.transpose(0, 1)), rows)

    def _flat(self, rows: slice, region: Region) -> tuple[Tensor, Tensor]:
        """The difference in a region, (rows, cells), and which of an image's cells they are."""
        cells = self.between.present[0]
        every = torch.arange(cells.numel(), device=cells.device).view(1, *cells.shape)
        return self._change(rows, region).flatten(1), region.take(every).flatten()

    def _spread(self, rows: slice, region: Region) -> Tensor:
        """The difference with zeros around the region's positions, (rows, units, *positions)."""
        change = self._change(rows, region)
        if region.positions is None:
            return change
        around = [
            edge
            for size, part in zip(reversed(self.between.present.shape[2:]), reversed(region.positions), strict=True)
            for edge in (part.start, size - part.stop)
        ]
        return functional.pad(change, around)
