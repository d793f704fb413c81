"""The selectivity of units, or which factors move each and whether it is dead, monosemantic or polysemantic.

Costs the encoding and decoding of two images for each pair and factor; of activations nothing stays in memory but each
unit's change on each pair, one number.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from scipy import stats
from scipy.special import entr
from torch import Tensor

from vaelens.arguments import Progress, Seed, check_seed, whole_number
from vaelens.circuits.unit_sets import UnitTable
from vaelens.data import FactorDataset
from vaelens.effects.one_sweep import one_sweep
from vaelens.effects.outcomes import run_cached
from vaelens.effects.record import with_interval
from vaelens.errors import VaelensError
from vaelens.float64 import to_float64
from vaelens.lens import Lens, in_chunks
from vaelens.progress import check_progress, reporting
from vaelens.statistics import holm_sidak, percentile_interval, poisson_weights
from vaelens.version import __version__

LEAST_EFFECT = 0.1  # of a factor on a unit, in the unit's standard deviations
TYPES = DEAD, MONOSEMANTIC, POLYSEMANTIC = "dead", "monosemantic", "polysemantic"
_ROUNDING = 1e-6  # of a unit's size: a smaller spread is none

Changes = Float[np.ndarray, "pairs units"]


@one_sweep
def unit_selectivity(
    lens: Lens, ds: FactorDataset, n: int = 256, level: float = 0.05, seed: Seed = 0, progress: Progress = True
) -> xr.Dataset:
    """Measures how far each factor moves each unit, and classifies units by how many factors do.

    Over pairs (x, x') that differ in factor k alone, a unit's effect is r_ku = E‖a_u(x') − a_u(x)‖ / s_u, ‖·‖ the root
    mean square over positions and s_u the root of the unit's variance over images, averaged over positions. Dividing
    by s_u takes out a unit's scale: multiplying its weights and dividing the next layer's changes nothing.

    A factor moves a unit where r_ku is above 0.1 by a one-sided signed-rank test, the permutation test that flips the
    signs of ranked differences, at `level` for all units and factors together (Holm–Šidák). A unit that no factor moves
    is "dead", one that a single factor moves "monosemantic", any other "polysemantic". The bound of 0.1 is decided
    here: without one, a factor's faintest trace would count, given pairs enough.

    Args:
        lens: the lens.
        ds: the dataset; pairs come from `ds.pairs(factor, n, seed)`.
        n: the number of pairs of each factor.
        level: the probability, for all tests together, that a unit is said to be moved that is not, in (0, 1).
        seed: of pairs and resamples.
        progress: whether to show a bar on standard error, or a function of (factors done, factors in all).

    Returns:
        A Dataset over `unit`, with coordinates `site` and `index`, and `factor`: `effect` (unit, factor) with `_low`
        and `_high`, a 95 % interval over pairs; `p` (unit, factor), adjusted; `moved` (unit, factor); `type` (unit);
        `effective_factors` (unit), exp H of the unit's effects as shares, with `_low` and `_high`, NaN where nothing
        moves it; and over `type_name` and `of_site` `count`, how many units of each site are of each type.

    Raises:
        VaelensError: a dataset without factors that vary, images that the lens does not take, a number, level or seed
            out of range, or too few pairs to tell any unit from chance.

    Example:
        >>> import vaelens as vl
        >>> planted = vl.planted_model("rotated", depth=2)
        >>> units = unit_selectivity(planted.lens, planted.dataset, n=64)
        >>> units.type.values[units.site == "latent"].tolist() == list(planted.truth.unit_types["latent"])
        True
    """
    count, checked_seed = whole_number("n", n, low=2), check_seed(seed)
    if not isinstance(level, float) or not 0 < level < 1:
        raise VaelensError(f"level is {level!r}; expected a probability between 0 and 1, such as 0.05")
    check_progress(progress)
    names = [name for name, size in zip(ds.factors.names, ds.factors.sizes, strict=True) if size > 1]
    if not names:
        raise VaelensError(f"{ds.name} has no factor with several values; give a dataset whose factors vary")
    table = UnitTable.of(lens)
    _check_power(count, level, len(table), len(names))
    moments, changes = _Moments(table), list[Changes]()
    with reporting(progress, len(names), "selectivity of units") as report:
        for name in names:
            pairs = ds.pairs(name, count, checked_seed)
            changes.append(_changes(lens, moments, table, pairs.x, pairs.x2))
            report.advance(1)
    spread = moments.spread
    relative = [np.divide(change, spread, out=np.zeros_like(change), where=spread > 0) for change in changes]
    effects = np.stack([change.mean(axis=0) for change in relative], axis=1)  # (units, factors)
    p = holm_sidak(np.stack([_signed_rank(change - LEAST_EFFECT) for change in relative], axis=1))
    moved = p < level
    weights = poisson_weights(count, seed=checked_seed).astype(np.float64)
    with np.errstate(invalid="ignore"):  # a resample without any pair
        resampled = weights / weights.sum(axis=1, keepdims=True)
    replicates = np.stack([resampled @ change for change in relative], axis=2)  # (resamples, units, factors)
    types = np.array([DEAD, MONOSEMANTIC, POLYSEMANTIC])[np.minimum(moved.sum(axis=1), 2)]
    sites, indices = zip(*table.nodes(), strict=True)
    counts = [[int(((types == kind) & (np.array(sites) == site)).sum()) for site in table.sites] for kind in TYPES]
    effective, effectives = _effective(effects), _effective(replicates)
    variables = {
        **with_interval("effect", ("unit", "factor"), effects, percentile_interval(replicates, images=count)),
        **with_interval("effective_factors", ("unit",), effective, percentile_interval(effectives, images=count)),
        "p": (("unit", "factor"), p),
        "moved": (("unit", "factor"), moved),
        "type": (("unit",), types),
        "count": (("type_name", "of_site"), counts),
    }
    coords = {
        "site": ("unit", list(sites)),
        "index": ("unit", list(indices)),
        "factor": names,
        "type_name": list(TYPES),
        "of_site": list(table.sites),
    }
    how = {"pairs": count, "level": level, "least_effect": LEAST_EFFECT, "seed": checked_seed, "dataset": ds.name}
    return xr.Dataset(variables, coords, {**how, **lens.describe(), "version": __version__})


def _check_power(pairs: int, level: float, units: int, factors: int) -> None:
    """Refuses so few pairs that no unit could be told from chance, and all would be called dead.

    Raises:
        VaelensError: saying how many are needed.
    """
    tests = units * factors

    def enough(count: int) -> bool:  # for a unit that every pair moves by more than the bound
        ranks = count * (count + 1)
        least = stats.norm.sf(ranks / 4 / np.sqrt(ranks * (2 * count + 1) / 24))
        return bool(-np.expm1(tests * np.log1p(-least)) < level)

    if not enough(pairs):
        needed = next(count for count in range(pairs + 1, 100 + pairs) if enough(count))
        raise VaelensError(
            f"n is {pairs}, and in {tests:,} tests ({units:,} units, {factors} factors) at level {level:g} that is too "
            f"few to tell any unit from chance, so all would be called dead; give n={needed} or more"
        )


def _effective(effects: np.ndarray) -> np.ndarray:
    """Computes exp H of effects as shares over the last axis, NaN where there is none."""
    total = effects.sum(axis=-1, keepdims=True)
    shares = np.divide(effects, total, out=np.full_like(effects, np.nan), where=total > 0)
    return np.exp(entr(shares).sum(axis=-1))


class _Moments:
    """Sums over images of each unit's activation, for its variance over images, averaged over positions."""

    def __init__(self, table: UnitTable) -> None:
        self._table, self._images = table, 0
        self._origins: dict[str, Tensor] = {}  # of an activation that never changes the variance is then exactly 0
        self._sums: dict[str, Tensor] = {}
        self._deviations, self._squares = np.zeros((2, len(table)))

    def add(self, activations: Mapping[str, Tensor]) -> None:
        """Adds images, (n, units, positions) of each site."""
        for site, span in self._table.spans():
            values = activations[site]
            origin = self._origins.setdefault(site, values[0])
            shifted = values - origin
            self._sums[site] = self._sums.get(site, torch.zeros_like(origin)) + shifted.sum(dim=0)
            self._deviations[span] += shifted.square().mean(dim=2).sum(dim=0).cpu().numpy()
            self._squares[span] += values.square().mean(dim=2).sum(dim=0).cpu().numpy()
        self._images += len(next(iter(activations.values())))

    @property
    def spread(self) -> np.ndarray:
        """The standard deviation of units, (units,), 0 where images move a unit no more than rounding does."""
        means = [(self._sums[site] / self._images).square().mean(dim=1).cpu().numpy() for site in self._table.sites]
        variance = np.maximum(self._deviations / self._images - np.concatenate(means), 0)
        return np.where(variance > _ROUNDING**2 * self._squares / self._images, np.sqrt(variance), 0)


def _changes(lens: Lens, moments: _Moments, table: UnitTable, x: Tensor, x2: Tensor) -> Changes:
    """Measures how far each unit moves on each pair, as the root mean square over positions."""
    first, second = lens.check_images(x), lens.check_images(x2)
    changes = np.empty((len(first), len(table)))

    def activations(rows: slice) -> list[dict[str, Tensor]]:
        runs = [run_cached(lens, images[rows], rows.start, table.sites) for images in (first, second)]
        return [{site: _by_position(run.activation(site)) for site in table.sites} for run in runs]

    for rows, (before, after) in in_chunks(len(first), lens.engine.rows, activations):
        moments.add(before)
        moments.add(after)
        for site, span in table.spans():
            changes[rows, span] = (after[site] - before[site]).square().mean(dim=2).sqrt().cpu().numpy()
    return changes


def _by_position(activation: Tensor) -> Tensor:
    """Reshapes an activation to (n, units, positions), in double precision. A dense unit has a single position."""
    return to_float64(activation).reshape(*activation.shape[:2], -1)


def _signed_rank(differences: Changes) -> np.ndarray:
    """Computes p-values of the one-sided signed-rank test that a unit's differences are above 0, (units,)."""
    test: Any = stats.wilcoxon(differences, alternative="greater", axis=0, method="asymptotic")
    return np.where(np.isnan(test.pvalue), 1.0, test.pvalue)
