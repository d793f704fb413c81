"""Circuit runs, in which the source image goes in, units of a set are computed, and all others are held.

A circuit run costs one forward of the model for each pair of images, and one without a single unit of a known circuit
the rest of the model from that unit's site on. The activations of all pairs stay in memory.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vaelens.circuits.gradients import Held, gradients
from vaelens.circuits.unit_sets import Mask, Masks, UnitTable
from vaelens.effects.ablations import ablation
from vaelens.effects.outcomes import add_rows, cells, changes, products, run_cached
from vaelens.lens import IMAGE, CachedRun, Lens, Patch, Region, SitePatch, in_chunks

SOURCE = "source"  # units outside a circuit keep their values on the base image, the source of what is held
HOLDS = (SOURCE, "zero", "mean", "resample")

_SAME = 1e-5  # of the largest value of an image: less is rounding

Carried = Float[np.ndarray, "sets pairs"]


@dataclass(frozen=True, eq=False)
class _Chunk:
    """A chunk of pairs.

    Attributes:
        rows: which pairs.
        base: of the base images, which can be run again from every site.
        source: of the source images, likewise.
        without: with every unit held, likewise; that of the base images where these are what units are held at.
        held: by site what units outside a circuit are held at, (c, units, *positions).
        empty: the image when all units are held, (c, cells).
        total: what the source's image has more than that, (c, cells).
    """

    rows: slice
    base: CachedRun
    source: CachedRun
    without: CachedRun
    held: dict[str, Tensor]
    empty: Tensor
    total: Tensor


class CircuitRuns:
    """Runs circuits on pairs of images.

    With Y(S) the image of the circuit run of a set S and Y(∅) that with all units held, a set carries of each pair
    <Y(S) − Y(∅), Y(all) − Y(∅)>. Where units are held at their values on the base image, Y(∅) is its reconstruction.

    Args:
        lens: the lens.
        base: the base images, (n, C, H, W).
        source: the source images, which go in, (n, C, H, W).
        hold: what units outside a circuit are held at: "source" (their values on the base image), "zero", "mean" (over
            the base images) or "resample" (their values on another base image).
        seed: draws the other images of "resample".

    Attributes:
        table: the units.
        totals: ‖Y(all) − Y(∅)‖² of each pair, (n,).
        runs: how many forwards of the model there were, so far.
    """

    def __init__(self, lens: Lens, base: Tensor, source: Tensor, hold: str = SOURCE, seed: int = 0):
        self.lens, self.table = lens, UnitTable.of(lens)
        self._base, self._source = base, source
        sites = self.table.sites
        ablated = None if hold == SOURCE else ablation(hold, lens, base, sites, seed)

        def chunk(rows: slice) -> _Chunk:
            unchanged, changed = (self._cached(images, rows) for images in (base, source))
            held, without = {site: unchanged.activation(site) for site in sites}, unchanged
            if ablated is not None:
                values = ablated.activations(rows, sites)
                held = {site: values[site].to(present).expand_as(present) for site, present in held.items()}
                without = self._cached(source, rows, [Patch(site, "all", held[site]) for site in sites])
            empty = cells(without.image)
            return _Chunk(rows, unchanged, changed, without, held, empty, cells(changed.image) - empty)

        self._chunks = [built for _, built in in_chunks(len(base), lens.engine.rows, chunk)]
        self.totals = np.concatenate([_host(products(each.total, each.total)) for each in self._chunks])
        self.runs = 0

    def held_at(self, hold: str, seed: int) -> "CircuitRuns":
        """Returns circuit runs on the same pairs in which units are held at something else."""
        return CircuitRuns(self.lens, self._base, self._source, hold, seed)

    @property
    def pairs(self) -> int:
        """The number of pairs."""
        return len(self.totals)

    def carried(self, masks: Masks) -> Carried:
        """Computes what the circuit run of each set carries of each pair."""
        carried = np.empty((len(masks), self.pairs))
        for chunk in self._chunks:
            values = chunk.total.new_zeros(len(masks), len(chunk.total))
            for place, images, rows in self._images(chunk, masks):
                moved = cells(images) - chunk.empty.index_select(0, rows)
                values[place, rows] = products(moved, chunk.total.index_select(0, rows))
            carried[:, chunk.rows] = _host(values)
        self.runs += len(masks) * self.pairs
        return carried

    def images(self, mask: Mask) -> Tensor:
        """Returns the images of the circuit run of a set, (n, C, H, W)."""
        outcomes = []
        for chunk in self._chunks:
            outcome = chunk.without.image.clone()
            for _, images, rows in self._images(chunk, mask[None]):
                outcome[rows] = images
            outcomes.append(outcome)
        return torch.cat(outcomes)

    def without_each(self, mask: Mask, tried: Mask | None = None) -> Carried:
        """Computes what a set carries without each of its units in turn, in their order.

        The rest of the circuit runs once, and from each unit's site on again.

        Args:
            mask: the set.
            tried: those of its units that are left out; all by default.
        """
        tried = mask if tried is None else tried
        carried = np.empty((int(tried.sum()), self.pairs))
        for chunk in self._chunks:
            carried[:, chunk.rows] = self._chunk_without_each(chunk, mask, tried).T
        self.runs += carried.size
        return carried

    def patched(self, into_source: bool = False, sites: Collection[str] | None = None) -> Carried:
        """Computes what each unit alone carries, all others free.

        Args:
            into_source: whether each is held in the source's run instead of being set in the base's: what is carried
                is then what that takes away.
            sites: whose units; all by default.
        """
        spans = [(site, span) for site, span in self.table.spans() if sites is None or site in sites]
        carried = np.zeros((sum(span.stop - span.start for _, span in spans), self.pairs))
        for chunk in self._chunks:
            run, values = (chunk.source, chunk.held) if into_source else (chunk.base, None)
            start = cells(run.image)
            first = 0
            for site, span in spans:
                source = chunk.source.activation(site) if values is None else values[site]
                patch = SitePatch(site, source, [Region((unit,)) for unit in range(self.table.sizes[site])])
                moved = start.new_zeros(len(start), len(patch.groups))
                for rows in run.interchange(patch, IMAGE):
                    add_rows(moved, rows, products(changes(rows, IMAGE, start), chunk.total[rows.images]))
                last = first + span.stop - span.start
                carried[first:last, chunk.rows] = _host(-moved if into_source else moved).T
                first = last
        self.runs += carried.size
        return carried

    def effect_maps(self, units: Sequence[int]) -> Float[np.ndarray, "units height width"]:
        """Computes how far some units alone change each pixel, |Y' − Y| averaged over channels and pairs.

        Args:
            units: by number; each is set in the base's run to its value in the source's.
        """
        height, width = self._chunks[0].base.image.shape[-2:]
        maps = torch.zeros(len(units), height, width, dtype=torch.float64)
        numbers = np.asarray(units, dtype=np.int64)
        for site, span in self.table.spans():
            places = np.flatnonzero((numbers >= span.start) & (numbers < span.stop))
            groups = [Region((int(unit),)) for unit in numbers[places] - span.start]
            for chunk in self._chunks if len(groups) else ():
                for rows in chunk.base.interchange(SitePatch(site, chunk.source.activation(site), groups), IMAGE):
                    change = rows.values[IMAGE] - chunk.base.image.index_select(0, rows.images)
                    place = torch.as_tensor(places)[rows.rows.host_groups]
                    maps.index_add_(0, place, change.abs().mean(dim=1).double().cpu())
        return maps.numpy() / self.pairs

    def estimated_without_each(self, mask: Mask) -> np.ndarray:
        """Estimates the fraction that a set carries without each of its units, by gradients of one circuit run.

        Costs a forward and a backward of the model for each pair; what the units do together is not in it.
        """
        lost = np.zeros(len(self.table))
        for chunk in self._chunks:
            outside = self.table.units(~mask)
            held = {site: Held(Region(units), chunk.held[site]) for site, units in outside.items() if units}
            direction = chunk.total.reshape(chunk.source.image.shape)
            images = self._source[chunk.rows]
            by_site = gradients(self.lens, images, direction, held, chunk.rows.start)
            for site, span in self.table.spans():
                change = by_site[site].gradient * (by_site[site].activation - chunk.held[site])
                lost[span] += change.transpose(0, 1).flatten(1).sum(dim=1).double().cpu().numpy()
        present = float(fractions(self.carried(mask[None]), self.totals)[0])
        return present - lost[mask] / self.totals.sum()

    def moves(self) -> Mask:
        """Says which units the source's values move in any pair."""
        moved = [
            torch.cat([
                (chunk.source.activation(site) != chunk.base.activation(site)).transpose(0, 1).flatten(1).any(dim=1)
                for site in self.table.sites
            ])
            for chunk in self._chunks
        ]  # fmt: skip
        return torch.stack(moved).any(dim=0).cpu().numpy()

    def passed_by(self) -> tuple[str, ...]:
        """Lists the sites that something passes by on its way to the image, by a skip connection or another branch.

        With such a site held as a whole, what goes in still changes the image.
        """
        chunk, passed = self._chunks[0], []
        if chunk.base.confined(self.table.units(np.ones(len(self.table), dtype=bool))) is not None:
            return ()
        for site, size in self.table.sizes.items():
            patch = SitePatch(site, chunk.base.activation(site), [Region(tuple(range(size)))])
            image = chunk.source.image.clone()
            for rows in chunk.source.interchange(patch, IMAGE):
                image[rows.images] = rows.values[IMAGE]
            if float((image - chunk.base.image).abs().max()) > _SAME * float(chunk.base.image.abs().max()):
                passed.append(site)
        return tuple(passed)

    def activations(self) -> Iterator[tuple[slice, CachedRun, CachedRun]]:
        """Yields chunks of pairs with the runs of base and source images."""
        for chunk in self._chunks:
            yield chunk.rows, chunk.base, chunk.source

    # Inside

    def _cached(self, images: Tensor, rows: slice, treatment: Sequence[Patch] = ()) -> CachedRun:
        """Runs a chunk of images and caches what running it again from every site needs."""
        return run_cached(
            self.lens, images[rows], rows.start, self.table.sites, treatment, rerun=True, outcomes=[IMAGE]
        )

    def _images(self, chunk: _Chunk, masks: Masks) -> Iterator[tuple[int | Tensor, Tensor, Tensor]]:
        """Yields the images of circuit runs, where they differ from the run in which every unit is held.

        Yields:
            Of some rows which sets they are of, the images, and which of the chunk's images went in.
        """
        first, image = self.table.sites[0], chunk.source.image
        every = torch.arange(len(image), device=image.device)
        change = chunk.source.activation(first) - chunk.without.activation(first)
        for place, mask in enumerate(masks):
            if mask.all():
                yield place, image, every
                continue
            run = chunk.without.confined(self.table.units(mask), often=False)
            if run is None:
                break
            yield place, run.with_change(first, change), every
        else:
            return
        # Something passes by a site: the source goes in, and what is outside of a set is held.
        for place in range(len(masks)):
            yield place, image, every
        patches = [SitePatch(site, chunk.held[site], self.table.regions(~masks, site)) for site in self.table.sites]
        for rows in chunk.source.interchange(patches, IMAGE):
            yield rows.rows.groups, rows.values[IMAGE], rows.images

    def _chunk_without_each(self, chunk: _Chunk, mask: Mask, tried: Mask) -> np.ndarray:
        members, outside = self.table.units(mask), self.table.units(~mask)
        treatment = [Patch(site, units, chunk.held[site]) for site, units in outside.items() if units]
        circuit = self._cached(self._source, chunk.rows, treatment)
        confined = circuit.confined(members)
        present = products(cells(circuit.image) - chunk.empty, chunk.total)
        columns = [present.new_empty(len(present), 0)]
        for site, units in self.table.units(tried).items():
            if not units:
                continue
            patch = SitePatch(site, chunk.held[site], [Region((unit,)) for unit in units])
            values = present[:, None].repeat(1, len(units))
            for rows in circuit.interchange(patch, IMAGE) if confined is None else confined.interchange(patch):
                moved = changes(rows, IMAGE, chunk.empty)
                values[rows.images, rows.rows.groups] = products(moved, chunk.total.index_select(0, rows.images))
            columns.append(values)
        return _host(torch.cat(columns, dim=1))


def fractions(carried: Carried, totals: np.ndarray) -> np.ndarray:
    """Computes the fraction of all pairs' effect that each set carries, sums over pairs above and below, (sets,)."""
    return carried.sum(axis=1) / totals.sum()


def batches(masks: Sequence[Mask]) -> Masks:
    """Stacks sets."""
    return np.stack(list(masks))


def _host(values: Tensor) -> np.ndarray:
    return values.double().cpu().numpy()
