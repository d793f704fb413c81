"""The search for small sets of units that carry a factor, by score, by pruning and by exchange.

Adding units by score can be misled where units act together, and what pruning finds depends on the order in which units
are tried. So several orders are tried where a model is small, and every unit of a circuit is exchanged for the rest of
its site. All minimal sets that are found are returned. Of at most 12 units every set is tried; of more it is not
known whether there are further ones, or smaller ones.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from vaelens.circuits.circuit_runs import Carried, CircuitRuns, batches, fractions
from vaelens.circuits.scorers import Scores
from vaelens.circuits.unit_sets import Mask

THOROUGH = 256  # units up to which pruning starts from all of them too, in two more orders
EXHAUSTIVE = 12  # units up to which every set is tried, the smallest first
MOST_ALTERNATIVES = 4  # sought by exchange; one in larger models
MOST_EXCHANGED = 32  # units tried in larger models, those of least loss
_FORESEEN = 16  # units tried by themselves before every one is
_ROUNDS = 3  # of exchange as long as it leads to a smaller set, and of what gradients say
_KEPT = 4  # sets
_AT_ONCE = 8  # sets whose runs share a batch
_ROUNDING = 1e-5  # of a fraction

BY_SCORE, FROM_IMAGE, FROM_FACTOR, BY_EXCHANGE, ONE_OF_ALL = "score", "image", "factor", "exchange", "all sets"


class Search:
    """Searches for sets of units that carry at least a fraction of a factor's effect.

    Args:
        runs: runs circuits on pairs that differ in the factor.
        scores: by which units are ordered, (units,).
        threshold: the fraction, above 0 and at most 1.

    Attributes:
        ways: how the minimal sets were found, in order, each with its number of units.
    """

    def __init__(self, runs: CircuitRuns, scores: Scores, threshold: float) -> None:
        self._runs, self._scores = runs, scores
        self._least = threshold - _ROUNDING
        self.ways: list[tuple[str, int]] = []
        self._kept: dict[bytes, Carried] = {}

    def minimal_sets(self) -> list[Mask]:
        """Returns minimal sets, of which no unit can be left out, each once, the smallest first."""
        sets = {mask.tobytes(): mask for mask in self.searched()}
        for _ in range(_ROUNDS):
            smallest = min(sets.values(), key=_size)
            for mask in self._exchanged(smallest):
                sets.setdefault(mask.tobytes(), mask)
            if _size(min(sets.values(), key=_size)) == _size(smallest):
                break
        return sorted(sets.values(), key=_size)

    def searched(self) -> Iterator[Mask]:
        """Yields the minimal sets that adding and pruning find, without exchange."""
        first = self.first_by_score()
        small = len(self._scores) <= THOROUGH
        yield self._noted(BY_SCORE, self.pruned(first if small else self._thinned(first)))
        if small:
            whole = np.ones_like(first)
            for way in (FROM_IMAGE, FROM_FACTOR):
                yield self._noted(way, self.pruned(whole, way))
        if len(self._scores) <= EXHAUSTIVE:
            for mask in self._smallest():
                yield self._noted(ONE_OF_ALL, mask)

    def first_by_score(self) -> Mask:
        """Returns the units of highest score, in absolute value, as few as carry enough."""
        order, units = np.argsort(-np.abs(self._scores), kind="stable"), len(self._scores)
        enough, too_few = units, 0
        while enough - too_few > 1:
            span = enough - too_few
            halves = {enough - span * step // _AT_ONCE for step in range(1, _AT_ONCE)}
            doubled = {too_few + 2**step for step in range(units.bit_length())} if too_few == 0 else set()
            sizes = sorted(size for size in halves | doubled if too_few < size < enough)
            carried = self._carried([_chosen(units, order[:size]) for size in sizes])
            passing = [size for size, fraction in zip(sizes, carried, strict=True) if fraction >= self._least]
            enough = passing[0] if passing else enough
            too_few = max((size for size in sizes if size < enough), default=too_few)
        return _chosen(units, order[:enough])

    def pruned(self, mask: Mask, way: str = BY_SCORE) -> Mask:
        """Leaves out units as long as the rest carries enough, many at once where that can be.

        Args:
            mask: a set that carries enough.
            way: which unit is tried first: that whose loss is least ("score"), or the nearest to the image or to the
                factor.
        """
        foresee = way == BY_SCORE and self._foresees
        while True:
            if foresee:
                mask = self._lessened_as_foreseen(mask)
            members = np.flatnonzero(mask)
            without = self._fractions_without(mask)
            removable = members[without >= self._least]
            if not len(removable):
                return mask
            if way == BY_SCORE:
                # Equal losses: first the unit that has the least effect by itself.
                loss = -without[without >= self._least].round(6)
                removable = removable[np.lexsort([np.abs(self._scores[removable]), loss])]
            mask = self._without_most(mask, removable[::-1] if way == FROM_IMAGE else removable)

    def without_each(self, mask: Mask) -> Carried:
        """Computes what a set carries of each pair without each of its units. The last few results are kept."""
        key = mask.tobytes()
        if key not in self._kept:
            self._kept[key] = self._runs.without_each(mask)
            if len(self._kept) > _KEPT:
                self._kept.pop(next(iter(self._kept)))
        return self._kept[key]

    # Inside

    @property
    def _foresees(self) -> bool:
        """Whether gradients say which unit is worth trying, before every one is."""
        return len(self._scores) > THOROUGH and not self._runs.lens.quantised

    def _smallest(self) -> list[Mask]:
        """Returns all sets of the smallest size at which any set carries enough."""
        units = len(self._scores)
        for size in range(units):
            sets = [_chosen(units, np.array(members, dtype=int)) for members in combinations(range(units), size)]
            enough = np.flatnonzero(self._carried(sets) >= self._least).tolist()
            if enough:
                return [sets[place] for place in enough]
        return []

    def _thinned(self, mask: Mask) -> Mask:
        """Leaves out most of what can be left out, in the order of losses that gradients estimate.

        First what works against the effect, which makes room, then what adds least; pruning does the rest exactly.
        """
        for _ in range(_ROUNDS if self._foresees else 0):
            estimated = self._runs.estimated_without_each(mask)
            order = np.flatnonzero(mask)[np.argsort(-estimated, kind="stable")]
            against = int((estimated > float(self._carried([mask])[0])).sum())
            mask = self._without_most(mask, order[: against or len(order)], least=0)
            if not against:
                break
        return mask

    def _lessened_as_foreseen(self, mask: Mask) -> Mask:
        """Leaves out the units whose loss gradients estimate as least, as long as one of the first few can be."""
        while True:
            estimated = self._runs.estimated_without_each(mask)
            few = np.flatnonzero(mask)[np.argsort(-estimated, kind="stable")][:_FORESEEN]
            tried = _chosen(len(mask), few)
            by_unit = np.zeros(len(mask))
            by_unit[tried] = fractions(self._runs.without_each(mask, tried), self._runs.totals)
            carried = by_unit[few]
            order = np.argsort(-carried, kind="stable")
            removable = few[order][: int((carried >= self._least).sum())]
            if not len(removable):
                return mask
            mask = self._without_most(mask, removable)

    def _exchanged(self, mask: Mask) -> Iterator[Mask]:
        """Yields minimal sets in which other units of its site stand in for one unit of a set."""
        small = len(mask) <= THOROUGH
        order = np.argsort(-self._fractions_without(mask), kind="stable")[: None if small else MOST_EXCHANGED]
        members: list[int] = np.flatnonzero(mask)[order].tolist()
        if not members:
            return
        spans = [next(span for _, span in self._runs.table.spans() if unit < span.stop) for unit in members]
        exchanged = [self._with_best(mask, unit, span, None) for unit, span in zip(members, spans, strict=True)]
        passing: list[int] = np.flatnonzero(self._carried(exchanged) >= self._least).tolist()
        for chosen in passing[: MOST_ALTERNATIVES if small else 1]:
            unit, span = members[chosen], spans[chosen]
            sizes = sorted(
                {min(2**power, span.stop - span.start) for power in range((span.stop - span.start).bit_length() + 1)}
            )
            sets = [self._with_best(mask, unit, span, size) for size in sizes]
            enough = np.flatnonzero(self._carried(sets) >= self._least)
            yield self._noted(BY_EXCHANGE, self.pruned(sets[enough[0]] if len(enough) else exchanged[chosen]))

    def _with_best(self, mask: Mask, unit: int, span: slice, size: int | None) -> Mask:
        """Replaces one unit of a set by so many others of its site, those of highest score, or all of them if None."""
        outside = np.flatnonzero(~mask[span]) + span.start
        best = outside[np.argsort(-np.abs(self._scores[outside]), kind="stable")][:size]
        exchanged = mask.copy()
        exchanged[best] = True
        exchanged[unit] = False
        return exchanged

    def _fractions_without(self, mask: Mask) -> np.ndarray:
        return fractions(self.without_each(mask), self._runs.totals)

    def _without_most(self, mask: Mask, removable: np.ndarray, least: int = 1) -> Mask:
        """Leaves out the first of some units, as many of them as can be left out together.

        Args:
            mask: the set.
            removable: units of it, in order.
            least: how many can be for sure.
        """
        most, too_many = least, len(removable) + 1
        sizes = sorted({len(removable), *(2**step for step in range(len(removable).bit_length()))} - {least})
        while sizes:
            carried = self._carried([_lessened(mask, removable[:size]) for size in sizes])
            passing = [size for size, fraction in zip(sizes, carried, strict=True) if fraction >= self._least]
            most = max([most, *passing])
            too_many = min((size for size in sizes if size > most), default=too_many)
            span = too_many - most
            sizes = sorted({most + span * step // _AT_ONCE for step in range(1, _AT_ONCE)} - {most}) if span > 1 else []
        return _lessened(mask, removable[:most])

    def _carried(self, masks: list[Mask]) -> np.ndarray:
        parts = [batches(masks[start : start + _AT_ONCE]) for start in range(0, len(masks), _AT_ONCE)]
        return np.concatenate([fractions(self._runs.carried(part), self._runs.totals) for part in parts])

    def _noted(self, way: str, mask: Mask) -> Mask:
        self.ways.append((way, _size(mask)))
        return mask


def _size(mask: Mask) -> int:
    return int(mask.sum())


def _chosen(units: int, members: np.ndarray) -> Mask:
    mask = np.zeros(units, dtype=bool)
    mask[members] = True
    return mask


def _lessened(mask: Mask, members: np.ndarray) -> Mask:
    rest = mask.copy()
    rest[members] = False
    return rest
