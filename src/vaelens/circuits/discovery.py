"""Circuit discovery, which finds a circuit of a factor, scores it, and compares it with chance."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr
from torch import Tensor

from vaelens.arguments import Progress, Seed, check_seed, whole_number
from vaelens.circuits.circuit import Alternative, Circuit
from vaelens.circuits.circuit_runs import Carried, CircuitRuns, batches, fractions
from vaelens.circuits.curve import faithfulness_curves
from vaelens.circuits.edge_runs import edges_carried
from vaelens.circuits.estimate import Estimate, PairResamples
from vaelens.circuits.notes import edge_notes, held_out_notes, search_notes
from vaelens.circuits.scorers import SCORERS, Scores
from vaelens.circuits.search import Search
from vaelens.circuits.shown_units import effect_maps, shown_units
from vaelens.circuits.unit_graph import IMAGE_NODE, unit_graph
from vaelens.circuits.unit_sets import Mask, UnitTable
from vaelens.data import FactorDataset
from vaelens.effects.one_sweep import one_sweep
from vaelens.errors import VaelensError, unknown
from vaelens.lens import Lens
from vaelens.progress import check_progress, reporting

RANDOM_SETS = 100
_NO_EFFECT = 1e-10  # of the images' own size, squared: less is rounding

if TYPE_CHECKING:
    _Lens: TypeAlias = Lens
    _Dataset: TypeAlias = FactorDataset
else:  # anything else is refused in a sentence, which a type that is checked at run time would forestall
    _Lens = _Dataset = Any

Scorer = Literal["exact", "attribution", "attribution-ig", "random"]


@one_sweep
def discover_circuit(
    lens: _Lens,
    ds: _Dataset,
    factor: str,
    threshold: float = 0.9,
    scorer: Scorer = "exact",
    n: int = 64,
    seed: Seed = 0,
    progress: Progress = True,
) -> Circuit:
    """Finds a smallest set of units, over all sites but the output, that carries a factor's effect on the image.

    In the circuit run of a set S the source image x' goes in, units of S are computed from their inputs, and every unit
    outside S, at every site, is held at its value on the base image x. With TE = Y(x') − Y(x), Y the image that comes
    out, F(S) = Σ<Y(S) − Y(x), TE> / Σ‖TE‖² over pairs that differ in the factor alone. Units are added by score until
    F(S) ≥ threshold, and left out again until none can be. In models of at most 256 units the search begins at all
    units too, from either end; and of the smallest set each unit is exchanged for the rest of its site. Of at most 12
    units every set is tried; of more, a smaller set may exist. Several minimal sets are the rule: what is returned is a
    circuit, with the others that were found as `alternatives`.

    Memory grows with the number of pairs, by the activations of two images each. The time is mostly that of running
    single units: for every pair two runs for each unit of the model, and several for each unit of the circuit.

    Args:
        lens: the lens.
        ds: the dataset; pairs come from `ds.pairs(factor, n, seed)`.
        factor: the name of the factor.
        threshold: the fraction of the effect that is to be carried, above 0 and at most 1.
        scorer: what units are ordered by: "exact" (patching every unit), "attribution" (gradient × difference, one
            backward pass), "attribution-ig" (the same with integrated gradients) or "random".
        n: the number of pairs; as many others serve for `held_out`, which more pairs bring nearer to `faithfulness`.
        seed: of the pairs, random sets and bootstrap resamples.
        progress: whether to show a bar on standard error, or a function of (parts done, parts in all).

    Returns:
        A `Circuit`.

    Raises:
        VaelensError: an unknown factor or scorer, a factor on which no image depends, a threshold, number or seed out
            of range, images that the lens does not take, or attribution through a quantised latent.

    References:
        Interpretability in the wild: a circuit for indirect object identification in GPT-2 small (Wang et al., 2023),
        for faithfulness, completeness and minimality. MIB: a mechanistic interpretability benchmark (Mueller et al.,
        2025), for the curve and its areas.

    Example:
        >>> import vaelens as vl
        >>> planted = vl.planted_model("rotated", depth=2)
        >>> circuit = vl.discover_circuit(planted.lens, planted.dataset, "first")
        >>> circuit.units == planted.truth.circuits["first"], round(float(circuit.faithfulness), 6)
        (True, 1.0)
    """
    least, scorer_name = checked_threshold(threshold), checked_scorer(scorer)
    count, checked_seed = whole_number("n", n, low=2), check_seed(seed)
    check_progress(progress)
    pairs, fresh_pairs = (checked_pairs(lens, ds, factor, count, checked_seed + k) for k in range(2))
    with reporting(progress, 5, f"a circuit of {factor}") as report:
        runs = CircuitRuns(lens, *pairs)
        check_effect(runs, pairs, ds, factor)
        scores = SCORERS[scorer_name](runs, checked_seed)
        report.advance(1)
        search = Search(runs, scores, least)
        sets = search.minimal_sets()
        report.advance(1)
        measured = _measured(runs, sets, scores, search.without_each(sets[0]), checked_seed)
        report.advance(1)
        chance = runs_of_random_sets(runs, sets[0], RANDOM_SETS, checked_seed)
        curve = faithfulness_curves(runs, scores, seed=checked_seed)
        report.advance(1)
        held_out = _held_out(lens, unseen(pairs, fresh_pairs), sets[0], checked_seed)
        graph = unit_graph(runs, sets[0], factor)
        maps = _effect_maps(runs, sets[0], measured["losses"])
        edges = PairResamples(runs.totals, checked_seed).fraction(edges_carried(runs, graph))
    return Circuit(
        factor=factor,
        units=runs.table.units(sets[0]),
        held_out=held_out,
        edge_faithfulness=edges,
        random_faithfulness=chance,
        curve=curve,
        graph=graph,
        roles=_roles(runs, sets),
        scores=_score_array(runs.table, scores),
        effect_maps=maps,
        notes=(
            *search_notes(search, sets, runs, least),
            *held_out_notes(measured["faithfulness"], held_out, least, count),
            *edge_notes(measured["faithfulness"], edges, runs.passed_by()),
        ),
        how={
            "threshold": least,
            "scorer": scorer_name,
            "pairs": count,
            "seed": checked_seed,
            "dataset": ds.name,
            "runs": runs.runs,
            **lens.describe(),
        },
        **measured,
    )


def unseen(searched: tuple[Tensor, Tensor], drawn: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Returns of some pairs of images those that are not among others, which small datasets repeat."""
    keys = {
        base.tobytes() + source.tobytes() for base, source in zip(*(x.cpu().numpy() for x in searched), strict=True)
    }
    pairs = zip(*(x.cpu().numpy() for x in drawn), strict=True)
    kept = [place for place, (base, source) in enumerate(pairs) if base.tobytes() + source.tobytes() not in keys]
    return drawn[0][kept], drawn[1][kept]


def _held_out(lens: Lens, pairs: tuple[Tensor, Tensor], mask: Mask, seed: int) -> Estimate:
    """Estimates what fraction a set carries of pairs that were not searched, NaN without pairs or without an effect."""
    if not len(pairs[0]):
        return Estimate(np.nan, np.nan, np.nan)
    runs = CircuitRuns(lens, *pairs)
    if not runs.totals.sum() > 0:
        return Estimate(np.nan, np.nan, np.nan)
    return PairResamples(runs.totals, seed).fraction(runs.carried(mask[None])[0])


def runs_of_random_sets(runs: CircuitRuns, mask: Mask, sets: int, seed: int) -> np.ndarray:
    """Computes the faithfulness of random sets with as many units at each site as a circuit, (sets,)."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((sets, len(mask)), dtype=bool)
    for _, span in runs.table.spans():
        chosen = np.tile(mask[span], (sets, 1))
        masks[:, span] = rng.permuted(chosen, axis=1)
    parts = [masks[start : start + 8] for start in range(0, sets, 8)]
    return np.concatenate([fractions(runs.carried(part), runs.totals) for part in parts])


def _measured(runs: CircuitRuns, sets: Sequence[Mask], scores: Scores, without: Carried, seed: int) -> dict[str, Any]:
    """Scores the first set, and lists the others with their faithfulness."""
    resamples = PairResamples(runs.totals, seed)
    mask = sets[0]
    carried = runs.carried(batches([*sets, ~mask]))
    losses = (carried[0].sum() - without.sum(axis=1)) / runs.totals.sum()
    low, high = resamples.interval(resamples.replicates(carried[:1]) - resamples.replicates(without))
    nodes = [runs.table.node(number) for number in np.flatnonzero(mask).tolist()]
    table = {"site": [site for site, _ in nodes], "index": [index for _, index in nodes], "score": scores[mask]}
    return {
        "faithfulness": resamples.fraction(carried[0]),
        "completeness": resamples.fraction(carried[-1]),
        "minimality": resamples.least_loss(carried[0], without),
        "losses": pd.DataFrame(table | {"loss": losses, "loss_low": low, "loss_high": high}),
        "alternatives": tuple(
            Alternative(runs.table.units(other), resamples.fraction(row))
            for other, row in zip(sets[1:], carried[1:-1], strict=True)
        ),
    }


def _roles(runs: CircuitRuns, sets: Sequence[Mask]) -> dict[tuple[str, int], str]:
    """Tells of each unit that is in some minimal sets and not in all whether it is redundant or a backup."""
    if len(sets) < 2:
        return {}
    stacked, moves = batches(sets), runs.moves()
    contested = np.flatnonzero(stacked.any(axis=0) & ~stacked.all(axis=0))
    return {runs.table.node(unit): "redundant" if moves[unit] else "backup" for unit in contested.tolist()}


def _effect_maps(runs: CircuitRuns, mask: Mask, losses: pd.DataFrame) -> xr.DataArray:
    units = shown_units(runs.table, mask, losses["loss"].to_numpy())
    nodes = [runs.table.node(unit) for unit in units]
    coords = {"site": ("unit", [site for site, _ in nodes]), "index": ("unit", [index for _, index in nodes])}
    return xr.DataArray(effect_maps(runs, units), coords, dims=("unit", "height", "width"))


def _score_array(table: UnitTable, scores: Scores) -> xr.DataArray:
    nodes = table.nodes()
    coords = {"site": ("unit", [site for site, _ in nodes]), "index": ("unit", [index for _, index in nodes])}
    return xr.DataArray(scores, coords, dims="unit", name="score")


def checked_scorer(scorer: Any) -> str:
    """Returns a scorer's name.

    Raises:
        VaelensError: if there is none of that name.
    """
    if not isinstance(scorer, str) or scorer not in SCORERS:
        raise unknown("scorer", scorer, SCORERS)
    return scorer


def checked_threshold(threshold: Any) -> float:
    """Returns a threshold.

    Raises:
        VaelensError: if it is no number above 0 and at most 1.
    """
    number = isinstance(threshold, int | float | np.integer | np.floating) and not isinstance(threshold, bool)
    if not number or not 0 < threshold <= 1:
        raise VaelensError(
            f"threshold is {threshold!r}; expected a number above 0 and at most 1: the whole model carries 1"
        )
    return float(threshold)


def check_subject(lens: Any, ds: Any) -> None:
    """Refuses something else than a lens and a dataset.

    Raises:
        VaelensError: saying what it is.
    """
    if not isinstance(lens, Lens):
        raise VaelensError(
            f"a circuit is found with a Lens, got a {type(lens).__name__}; wrap the model: vl.Lens(model)"
        )
    if not isinstance(ds, FactorDataset):
        raise VaelensError(
            f"a circuit needs a dataset with factors, got a {type(ds).__name__}; use vl.load_dataset(name) or "
            "vl.ArrayDataset(images, factors, names)"
        )


def checked_pairs(lens: Any, ds: Any, factor: str, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Returns base and source images of pairs that differ in a factor.

    Raises:
        VaelensError: if there is no such factor, or the lens does not take the images.
    """
    check_subject(lens, ds)
    if factor == IMAGE_NODE:
        raise VaelensError("a circuit's graph ends at 'image', which is the name of this factor too; give it another")
    pairs = ds.pairs(factor, n, seed)
    return lens.check_images(pairs.x), lens.check_images(pairs.x2)


class NoEffect(VaelensError):
    """A factor whose changes do nothing to the image that comes out."""


def check_effect(runs: CircuitRuns, pairs: tuple[Tensor, Tensor], ds: FactorDataset, factor: str) -> None:
    """Refuses a factor whose changes do nothing to the image that comes out.

    Raises:
        VaelensError: saying so, or that the images are not finite.
    """
    size = float(pairs[0].square().sum())
    if not np.isfinite(runs.totals).all():
        raise VaelensError(f"the model's images of {ds.name} are not finite; check its weights")
    if runs.totals.sum() <= _NO_EFFECT * size:
        raise NoEffect(
            f"no image that this model returns depends on {factor!r}: {runs.pairs} pairs of {ds.name} that differ in "
            "it come out the same, so it has no circuit; choose another factor, or a model that shows this one"
        )
