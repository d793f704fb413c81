"""Interchange interventions, in which some units of a site's activation take their values from a source.

Several sites can be intervened on at once. The k-th counterfactual exchanges the k-th group of each site.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from vaelens.errors import VaelensError
from vaelens.lens.incremental.layers import LINEAR, Layer
from vaelens.lens.incremental.rows import memory_layout, select_rows
from vaelens.lens.regions import Group, Region
from vaelens.lens.sites import Sites

NOTHING = Region(())  # the group of a site that a counterfactual leaves alone


@dataclass(frozen=True, eq=False)
class SitePatch:
    """The source of values for units of a site, and the groups of units that take them.

    Attributes:
        site: the site's name.
        source: the activation that values are taken from, (c, units, *positions).
        groups: cells that are exchanged together, a group for each counterfactual; `NOTHING` leaves the site alone.
    """

    site: str
    source: Tensor
    groups: Sequence[Group]


class ActivationPair:
    """A site's activation in a base run and in a source run, and where the two differ.

    Attributes:
        base: in the base run, (c, units, *positions).
        source: of the same shape.
        groups: cells that are exchanged together.
        difference: source − base by unit, (units, c, *positions); 0 where both are the same.
    """

    def __init__(self, base: Tensor, source: Tensor, groups: Sequence[Group]):
        self.base, self.source, self.groups = base, source, groups
        # Of equal infinities the difference is no number.
        difference = (source - base).masked_fill_(base == source, 0)
        self.difference = difference.transpose(0, 1).contiguous()

    @cached_property
    def partial(self) -> bool:
        """Whether no group is more than half of the units, so that a layer behind them is updated rather than run."""
        units = self.base.shape[1]
        return all(isinstance(group, Region) and 0 < 2 * len(group.units) <= units for group in self.groups)

    @cached_property
    def columns(self) -> Tensor | None:
        """The index of each group's cell within an image, (groups,). None unless every group is a single cell."""
        cells = self.base[0]
        numbered = torch.arange(cells.numel()).view(1, *cells.shape)
        indices = [group.take(numbered).flatten() for group in self.groups if isinstance(group, Region)]
        if len(indices) < len(self.groups) or any(len(index) != 1 for index in indices):
            return None
        return torch.cat(indices).to(self.base.device, non_blocking=True)

    def changing(self) -> Tensor:
        """Tells in which rows the values of each group differ, however little, as booleans (groups, c)."""
        differ = self.difference != 0  # (units, c, *positions)
        regions = [group for group in self.groups if isinstance(group, Region) and group.positions is None]
        if len(regions) == len(self.groups):
            by_unit = differ.flatten(2).any(dim=2) if differ.ndim > 2 else differ
            units = [region.units for region in regions]
            if units == [(unit,) for unit in range(len(by_unit))]:
                return by_unit
            if all(len(members) == 1 for members in units):
                return by_unit[[members[0] for members in units]]
            return torch.stack([by_unit[list(region.units)].any(dim=0) for region in regions])
        changing = []
        for group in self.groups:
            inside = torch.zeros_like(differ[:, :1]).transpose(0, 1)
            group.copy(torch.ones_like(inside), inside)
            changing.append((differ & inside.transpose(0, 1)).movedim(1, 0).flatten(1).any(dim=1))
        return torch.stack(changing)


@dataclass(frozen=True, eq=False)
class CounterfactualRows:
    """The base row of each of m rows and the group that is exchanged in it, on the model's device.

    The groups are on the host too, so that no batch waits until a GPU has caught up to say what the batch holds.

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

    def __getitem__(self, span: slice) -> "CounterfactualRows":
        return CounterfactualRows(self.groups[span], self.rows[span], self.host_groups[span])

    def batches(self, size: int) -> Iterator["CounterfactualRows"]:
        """Yields consecutive rows, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


class Interchange:
    """Some counterfactual rows of an interchange intervention at one site or several.

    Attributes:
        pairs: by site its activation in base and source, all with as many groups.
        rows: which group is exchanged in which base row.
    """

    def __init__(self, pairs: Mapping[str, ActivationPair], rows: CounterfactualRows):
        self.pairs, self.rows = pairs, rows

    @cached_property
    def blocks(self) -> list[tuple[slice, int]]:
        """The spans of consecutive rows that share a group, each with the index of the group."""
        groups, counts = self.rows.host_groups.unique_consecutive(return_counts=True)
        ends = counts.cumsum(0).tolist()
        return [
            (slice(start, end), group) for group, start, end in zip(groups.tolist(), [0, *ends], ends, strict=False)
        ]

    @cached_property
    def selection(self) -> Tensor | None:
        """The base rows, or None where they are all of them, each once and in order."""
        base_rows = len(next(iter(self.pairs.values())).base)
        return None if len(self.rows) == base_rows and len(self.blocks) == 1 else self.rows.rows

    def at(self, site: str) -> "SiteInterchange":
        """Returns the interchange at one of its sites."""
        return SiteInterchange(self.pairs[site], self)


@dataclass(frozen=True, eq=False)
class SiteInterchange:
    """An interchange at one site, which computes its activation in each row and the value of a layer behind it."""

    pair: ActivationPair
    interchange: Interchange

    @property
    def selection(self) -> Tensor | None:
        """The base rows, or None where they are all of them, each once and in order."""
        return self.interchange.selection

    @property
    def rows(self) -> Tensor:
        """The base row of each row, (m,)."""
        return self.interchange.rows.rows

    def activation(self) -> Tensor:
        """Returns the base run's activation with the groups exchanged, (m, units, *positions)."""
        return self._exchanged(select_rows(self.pair.base, self.rows))

    def edit(self, activation: Tensor) -> Tensor:
        """Exchanges the groups in a copy of the activation that these rows have come to, (m, units, *positions)."""
        return self._exchanged(activation.clone())

    def update(self, layer: Layer, value: Tensor) -> Tensor:
        """Computes a linear layer's value after the interchange, (m, …), from its value in the base run, (c, …)."""
        pair = self.pair
        if layer.kind == LINEAR and pair.columns is not None:
            return self._single(layer, select_rows(value, self.selection), pair.columns)
        updated = torch.empty(
            (len(self.rows), *value.shape[1:]),
            dtype=value.dtype,
            device=value.device,
            memory_format=memory_layout(value),
        )
        for rows, group in self.interchange.blocks:
            region = pair.groups[group]
            assert isinstance(region, Region), "only single regions are updated"
            dense = layer.kind == LINEAR
            change, inputs = self._flat(rows, region) if dense else (self._padded(rows, region), region.index)
            torch.add(self._select(value, rows), layer.update(change, inputs), out=updated[rows])
        return updated

    def _exchanged(self, activation: Tensor) -> Tensor:
        """Writes the groups' source values over an activation, (m, units, *positions), in place."""
        for rows, group in self.interchange.blocks:
            source = self._select(self.pair.source, rows)
            self.pair.groups[group].copy(source.to(activation), activation[rows])
        return activation

    def _single(self, layer: Layer, value: Tensor, columns: Tensor) -> Tensor:
        """Updates the value where every group is one cell, by one scaled column of the layer's weight in each row."""
        column = columns[self.interchange.rows.groups]  # (m,)
        by_column = self.pair.difference.transpose(0, 1).flatten(1)  # (c, columns)
        change = by_column[self.rows, column]
        return torch.addcmul(value, change[:, None].to(value), layer.weight().T[column].to(value))

    def _select(self, value: Tensor, rows: slice) -> Tensor:
        """Selects some of the rows, which come in order and each once, from a value in the base run, (c, …)."""
        base_rows = self.rows[rows]
        return value if len(base_rows) == len(value) else select_rows(value, base_rows)

    def _change(self, rows: slice, region: Region) -> Tensor:
        """Returns the difference in a region, (rows, units, *its positions)."""
        return self._select(region.take(self.pair.difference.transpose(0, 1)), rows)

    def _flat(self, rows: slice, region: Region) -> tuple[Tensor, Tensor]:
        """Returns the difference in a region, (rows, cells), and the indices of these cells within an image."""
        cells = self.pair.base[0]
        numbered = torch.arange(cells.numel(), device=cells.device).view(1, *cells.shape)
        return self._change(rows, region).flatten(1), region.take(numbered).flatten()

    def _padded(self, rows: slice, region: Region) -> Tensor:
        """Pads the difference in a region with zeros around its positions, (rows, units, *positions)."""
        change = self._change(rows, region)
        if region.positions is None:
            return change
        around = [
            edge
            for size, span in zip(reversed(self.pair.base.shape[2:]), reversed(region.positions), strict=True)
            for edge in (span.start, size - span.stop)
        ]
        return functional.pad(change, around)


def paired(
    patches: SitePatch | Sequence[SitePatch], base: Callable[[str], Tensor], sites: Sites, cached_for: Collection[str]
) -> dict[str, ActivationPair]:
    """Pairs the activation at each patched site with its source, by site.

    Raises:
        VaelensError: no patch, two of one site, one of a site from which nothing can be run again, other numbers of
            groups, a source of another shape.
    """
    patches = [patches] if isinstance(patches, SitePatch) else patches
    if not patches:
        raise VaelensError("no patch was given to interchange; give a SitePatch, or several of different sites")
    pairs: dict[str, ActivationPair] = {}
    for patch in patches:
        site = sites[patch.site].name
        if site not in cached_for:
            raise VaelensError(f"this run can't be run again from {site}; name it in sites= of engine.cached_run")
        activation = base(site)
        if site in pairs:
            raise VaelensError(f"two patches are of {site}; give one, whose groups hold all that is exchanged there")
        if len(patch.groups) != len(patches[0].groups):
            raise VaelensError(
                f"the patch of {site} has {len(patch.groups)} groups and that of {patches[0].site} has "
                f"{len(patches[0].groups)}; give each as many, with NOTHING where a counterfactual leaves a site alone"
            )
        if patch.source.shape != activation.shape:
            raise VaelensError(
                f"the source at {site} has shape {tuple(patch.source.shape)}; expected that of the run's activation, "
                f"{tuple(activation.shape)}"
            )
        pairs[site] = ActivationPair(activation, patch.source.to(activation), patch.groups)
    return pairs


def changing_rows(pairs: Sequence[ActivationPair], whole_groups: bool = False) -> CounterfactualRows:
    """Finds the rows to run again, in which a group's values differ, however little, at any of several sites.

    Args:
        pairs: of each site.
        whole_groups: whether every row of a group comes where one of it changes, as rows must that influence others.

    Raises:
        VaelensError: a unit that is not there.
    """
    try:
        changing = pairs[0].changing()
        for pair in pairs[1:]:
            changing = changing | pair.changing().to(changing.device)
    except IndexError as error:
        raise VaelensError(
            f"a group of a patch has a unit that its site has not ({error}); name units that are there"
        ) from error
    if whole_groups:
        changing = changing.any(dim=1, keepdim=True).expand_as(changing)
    indices = changing.cpu().nonzero().t().contiguous()  # the one thing that is waited for
    groups, rows = indices.to(pairs[0].base.device, non_blocking=True)
    return CounterfactualRows(groups, rows, indices[0])
