"""How far a circuit depends on the images, or the training, it was found on, and what it carries of other factors.

Stability costs a search for each resample of the pairs, transfer one circuit run of each pair for each circuit and
factor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr

from vaelens.arguments import Progress, Seed, check_seed, whole_number
from vaelens.circuits.circuit import Circuit
from vaelens.circuits.circuit_runs import CircuitRuns, batches
from vaelens.circuits.discovery import Scorer, check_effect, checked_pairs, checked_scorer, checked_threshold
from vaelens.circuits.estimate import PairResamples
from vaelens.circuits.scorers import SCORERS
from vaelens.circuits.search import Search
from vaelens.circuits.unit_sets import Masks, Units, UnitTable
from vaelens.data import FactorDataset
from vaelens.effects.one_sweep import one_sweep
from vaelens.effects.record import with_interval
from vaelens.errors import VaelensError
from vaelens.lens import Lens
from vaelens.progress import check_progress, reporting
from vaelens.statistics.alignment import align_latents

_CHANCE_DRAWS = 200


@dataclass(frozen=True, eq=False)
class Stability:
    """How much circuits of a factor agree that were found on resamples of the same pairs, or in several models.

    Attributes:
        overlap: the mean Jaccard overlap of two of them, shared units over all units of both, in [0, 1].
        overlap_chance: the same of sets of random units, as many at each site.
        units: of each circuit its units, by site, in its own model's numbers.
        frequency: of every unit in how many circuits it is, in [0, 1], (unit) with coordinates `site` and `index`; of
            several models in the numbers of the first.
    """

    overlap: float
    overlap_chance: float
    units: tuple[Units, ...]
    frequency: xr.DataArray


@one_sweep
def circuit_stability(
    lens: Lens | Sequence[Lens],
    ds: FactorDataset,
    factor: str,
    threshold: float = 0.9,
    scorer: Scorer = "exact",
    n: int = 64,
    resamples: int = 5,
    seed: Seed = 0,
    progress: Progress = True,
) -> Stability:
    """Finds circuits on resamples of the pairs, or in several models, and measures how much they agree.

    Of one model circuits are found on bootstrap resamples of the pairs. Of several, such as the same architecture
    trained with different seeds, one is found of each on the same pairs. Units of different models are first aligned
    with those of the first model, site by site, by the pixels that each changes when it alone is patched: the
    one-to-one assignment with the largest sum of cosines of effect maps, as a study aligns latents.

    Args:
        lens: the lens, or several of models with the same sites.
        ds: the dataset.
        factor: the factor's name.
        threshold: as in `discover_circuit`.
        scorer: as in `discover_circuit`.
        n: the number of pairs, of which each resample takes as many with replacement.
        resamples: how many circuits are found of one model, at least 2; of several, one each.
        seed: of the pairs and the resamples.
        progress: whether to show a bar on standard error, or a function of (circuits found, circuits in all).

    Returns:
        A `Stability`.

    Raises:
        VaelensError: as `discover_circuit`, and fewer than two resamples; several models of which there is one alone,
            or whose sites differ.
    """
    if not isinstance(lens, Lens):
        return _stability_over_models(list(lens), ds, factor, threshold, scorer, n, seed, progress)
    least, name = checked_threshold(threshold), checked_scorer(scorer)
    count, times = whole_number("n", n, low=2), whole_number("resamples", resamples, low=2)
    checked_seed = check_seed(seed)
    check_progress(progress)
    pairs = checked_pairs(lens, ds, factor, count, checked_seed)
    rng = np.random.default_rng(checked_seed)
    circuit_masks = []
    with reporting(progress, times, f"circuits of {factor}") as report:
        for _ in range(times):
            chosen = np.sort(rng.integers(count, size=count))
            base, source = (images[chosen] for images in pairs)
            runs = CircuitRuns(lens, base, source)
            check_effect(runs, (base, source), ds, factor)
            search = Search(runs, SCORERS[name](runs, checked_seed), least)
            circuit_masks.append(min(search.searched(), key=lambda mask: int(mask.sum())))
            report.advance(1)
    table = UnitTable.of(lens)
    return _record(table, batches(circuit_masks), [table.units(mask) for mask in circuit_masks], rng)


def _stability_over_models(
    lenses: Sequence[Any],
    ds: FactorDataset,
    factor: str,
    threshold: float,
    scorer: Scorer,
    n: int,
    seed: Seed,
    progress: Progress,
) -> Stability:
    least, name = checked_threshold(threshold), checked_scorer(scorer)
    count, checked_seed = whole_number("n", n, low=2), check_seed(seed)
    check_progress(progress)
    tables = checked_tables(lenses)
    maps, circuit_masks = [], []
    with reporting(progress, len(lenses), f"circuits of {factor}") as report:
        for lens in lenses:
            pairs = checked_pairs(lens, ds, factor, count, checked_seed)
            runs = CircuitRuns(lens, *pairs)
            check_effect(runs, pairs, ds, factor)
            search = Search(runs, SCORERS[name](runs, checked_seed), least)
            circuit_masks.append(min(search.searched(), key=lambda mask: int(mask.sum())))
            maps.append(runs.effect_maps(range(len(runs.table))).reshape(len(runs.table), -1))
            report.advance(1)
    masks = aligned_masks(tables[0], maps, circuit_masks)
    units = [table.units(mask) for table, mask in zip(tables, circuit_masks, strict=True)]
    return _record(tables[0], masks, units, np.random.default_rng(checked_seed))


def aligned_masks(table: UnitTable, maps: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> Masks:
    """Renumbers the units of several models as those of the first that act most alike, (models, units).

    Args:
        table: the units of each model.
        maps: of each model what each unit changes, (units, pixels), not negative.
        masks: of each model a set of units.
    """
    renumbered = np.zeros((len(masks), len(table)), dtype=bool)
    for _, span in table.spans():
        matches = align_latents([of_model[span] for of_model in maps])
        for row, (mask, (indices, _)) in enumerate(zip(masks, matches, strict=True)):
            renumbered[row, span.start + indices] = mask[span]
    return renumbered


def checked_tables(lenses: Sequence[Any]) -> list[UnitTable]:
    """Enumerates the units of lenses with the same sites.

    Raises:
        VaelensError: something else than lenses, fewer than two, or other sites.
    """
    for lens in lenses:
        if not isinstance(lens, Lens):
            raise VaelensError(f"lens holds a {type(lens).__name__}; give vl.Lens(model) of each model")
    if len(lenses) < 2:
        raise VaelensError(f"{len(lenses)} lens was given in a list; give two or more models, or one lens by itself")
    tables = [UnitTable.of(lens) for lens in lenses]
    for number, table in enumerate(tables):
        if dict(table.sizes) != dict(tables[0].sizes):
            raise VaelensError(
                f"model {number} has other sites than the first: {dict(table.sizes)}, and {dict(tables[0].sizes)}; "
                "give models of one architecture"
            )
    return tables


def _record(table: UnitTable, masks: Masks, units: Sequence[Units], rng: np.random.Generator) -> Stability:
    nodes = table.nodes()
    coords = {"site": ("unit", [site for site, _ in nodes]), "index": ("unit", [index for _, index in nodes])}
    return Stability(
        overlap=mean_overlap(masks),
        overlap_chance=_chance(table, masks, rng),
        units=tuple(units),
        frequency=xr.DataArray(masks.mean(axis=0), coords, dims="unit"),
    )


@one_sweep
def circuit_transfer(
    lens: Lens, ds: FactorDataset, circuits: Sequence[Circuit], n: int = 64, seed: Seed = 0, progress: Progress = True
) -> xr.Dataset:
    """Measures how much of each factor's effect the circuit of every factor carries.

    Args:
        lens: the lens that the circuits were found with.
        ds: the dataset.
        circuits: of factors that it has.
        n: the number of pairs of each factor.
        seed: of the pairs and the bootstrap resamples.
        progress: whether to show a bar on standard error, or a function of (factors done, factors in all).

    Returns:
        A Dataset over `circuit` and `factor`, both the circuits' factors: `faithfulness` with `_low` and `_high`.

    Raises:
        VaelensError: no circuit, circuits of another model, or what `discover_circuit` refuses.
    """
    count, checked_seed = whole_number("n", n, low=2), check_seed(seed)
    check_progress(progress)
    table = UnitTable.of(lens)
    if not circuits:
        raise VaelensError("circuits is empty; give what discover_circuit returns, of one factor or several")
    for circuit in circuits:
        if not isinstance(circuit, Circuit):
            raise VaelensError(f"circuits holds a {type(circuit).__name__}; give what discover_circuit returns")
        if circuit.scores.size != len(table) or set(circuit.units) != set(table.sites):
            raise VaelensError(
                f"the circuit of {circuit.factor!r} is of a model with {circuit.scores.size} units, and this lens has "
                f"{len(table)}; give the lens that it was found with"
            )
    masks = batches([table.mask(circuit.units) for circuit in circuits])
    columns: list[tuple[np.ndarray, ...]] = []
    names = list(dict.fromkeys(circuit.factor for circuit in circuits))
    with reporting(progress, len(names), "transfer of circuits") as report:
        for name in names:
            pairs = checked_pairs(lens, ds, name, count, checked_seed)
            runs = CircuitRuns(lens, *pairs)
            check_effect(runs, pairs, ds, name)
            carried, resamples = runs.carried(masks), PairResamples(runs.totals, checked_seed)
            interval = resamples.interval(resamples.replicates(carried))
            columns.append((carried.sum(axis=1) / runs.totals.sum(), *interval))
            report.advance(1)
    value, low, high = (np.stack(rows, axis=1) for rows in zip(*columns, strict=True))
    variables = with_interval("faithfulness", ("circuit", "factor"), value, (low, high))
    return xr.Dataset(variables, {"circuit": [circuit.factor for circuit in circuits], "factor": names})


def mean_overlap(masks: Masks) -> float:
    """Computes the mean Jaccard overlap of two sets, which is 1 where both are empty.

    Example:
        >>> mean_overlap(np.array([[True, True, False], [True, False, False]]))
        0.5
    """
    overlaps = [
        (first & second).sum() / either if (either := (first | second).sum()) else 1.0
        for first, second in combinations(masks, 2)
    ]
    return float(np.mean(overlaps))


def _chance(table: UnitTable, masks: Masks, rng: np.random.Generator) -> float:
    overlaps = []
    for _ in range(_CHANCE_DRAWS):
        shuffled = masks.copy()
        for _, span in table.spans():
            shuffled[:, span] = rng.permuted(masks[:, span], axis=1)
        overlaps.append(mean_overlap(shuffled))
    return float(np.mean(overlaps))
