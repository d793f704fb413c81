"""The disentanglement scores of an analysis, each with an interval and the value that chance would give.

Costs some 60 fits of the scores to halves and shuffles of the codes: a minute of one core for 15,000 codes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr

from vaelens.effects.record import Array, with_interval
from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.dci import DCI, dci
from vaelens.metrics.disentanglement.estimates import ScoreEstimate, estimate_score
from vaelens.metrics.disentanglement.scorers import ENOUGH, ScoredArrays, Scorer, scorers
from vaelens.metrics.disentanglement.split import split
from vaelens.progress import reporting

DciEstimator = Literal["random-forest", "gradient-boosting"]
DCI_ESTIMATORS: tuple[DciEstimator, ...] = ("random-forest", "gradient-boosting")
DCI_SCORES: tuple[str, ...] = ("dci_disentanglement", "dci_completeness", "dci_informativeness")
_TIMED = (64, 256)  # codes that a score is timed on: what it costs at all, and what a code costs
_PATIENCE = 0.2  # seconds, after which it is not timed again


@dataclass(frozen=True)
class ScoreOptions:
    """How codes are scored against factors.

    Attributes:
        predicted: how many of the codes, the first, the scores that fit predictors to them are given.
        informative: the latents that total correlation is over, (d,) of True and False.
        seed: of halves, shuffles and splits.
        dci_estimator: "random-forest", or the reference "gradient-boosting", which takes an hour.
        values_only: whether intervals and levels of chance are left out.
    """

    predicted: int
    informative: Array
    seed: int
    dci_estimator: DciEstimator = "random-forest"
    values_only: bool = False


def disentanglement(
    codes: Array,
    factors: Array,
    names: Sequence[str],
    options: ScoreOptions,
    origin: str,
    progress: Callable[[float, float], None] | bool = False,
) -> xr.Dataset:
    """Scores codes against factors, each score with an interval and its level of chance.

    All three are made by one estimator (`estimate_score`). Scores that fit a predictor fit it to two thirds of the
    codes, chosen by the seed, and test it on the others. Of fewer than 10,000 codes MIG and modularity go by nearest
    neighbours instead of bins.

    Args:
        codes: (n, d).
        factors: (n, K).
        names: of the factors.
        options: how.
        origin: what the codes are.
        progress: as in `latent_effects`.

    Returns:
        `importance` (latent, factor), DCI's, and for each score `<key>`, `<key>_low`, `<key>_high`, `<key>_chance`,
        within the score's range; NaN where it is not defined for these codes and factors. The attribute `<key>_made`
        says how, and why there is no value or no interval.
    """
    chosen = _chosen(len(codes), options)
    fits: list[DCI] = []
    chosen = {**chosen, DCI_SCORES[0]: replace(chosen[DCI_SCORES[0]], score=_kept_in(fits, options.dci_estimator))}
    variables: dict[str, Any] = {}
    attributes: dict[str, Any] = {"images": len(codes)}
    with reporting(progress, sum(map(_runs, chosen.values())), "disentanglement") as report:
        for scorer, arrays in _with_arrays(chosen, codes, factors, options):
            for estimate in estimate_score(_telling(scorer, report.advance), arrays, options.seed):
                key, ends = estimate.key, (np.array(estimate.low), np.array(estimate.high))
                variables |= with_interval(key, (), estimate.value, ends)
                if scorer.shuffles:
                    variables[f"{key}_chance"] = ((), estimate.chance)
                attributes[f"{key}_made"] = _made(estimate, origin, codes.shape[1])
    nothing = np.full((codes.shape[1], factors.shape[1]), np.nan)
    variables["importance"] = (("latent", "factor"), fits[0].importance if fits else nothing)
    attributes["importance_made"] = attributes[f"{DCI_SCORES[2]}_made"]
    return xr.Dataset(variables, {"latent": np.arange(codes.shape[1]), "factor": list(names)}, attributes)


def disentanglement_seconds(codes: Array, factors: Array, n: int, options: ScoreOptions) -> float:
    """Estimates how long `disentanglement` takes of n codes, from runs of each score on a few and on some more.

    Args:
        codes: (m, d), of which the first few are taken.
        factors: (m, K), theirs.
        n: how many codes there will be.
        options: as in `disentanglement`.
    """
    chosen = _chosen(n, options)
    few, some = (
        [_seconds(scorer, arrays, factors, options) for scorer, arrays in of_size]
        for of_size in (_with_arrays(chosen, codes[:size], factors[:size], options) for size in _TIMED)
    )
    fewer, more = (min(size, len(codes)) for size in _TIMED)
    seconds = 0.0
    for scorer, of_few, of_some in zip(chosen.values(), few, some, strict=True):
        each = max(of_some - of_few, 0.0) / (more - fewer) if more > fewer else of_some / more
        fixed = max(of_some - each * more, 0.0)
        count = min(options.predicted, n) if scorer.tested else n
        halves = 0 if scorer.no_interval else scorer.halves
        seconds += (1 + scorer.shuffles) * (fixed + each * count) + halves * (fixed + each * count / 2)
    return seconds


def _chosen(n: int, options: ScoreOptions) -> dict[str, Scorer]:
    """Chooses the scorers of n codes, each with as many halves and shuffles as are asked for."""
    chosen = scorers(n, options.informative, options.dci_estimator)
    if not options.values_only:
        return dict(chosen)
    left_out = "the value alone was asked for"
    return {key: replace(scorer, shuffles=0, no_interval=left_out) for key, scorer in chosen.items()}


def _seconds(scorer: Scorer, arrays: ScoredArrays, factors: Array, options: ScoreOptions) -> float:
    """Times one score, the second time where the first is short, since the first also imports."""
    values = 1
    if scorer.keys == DCI_SCORES and options.dci_estimator == "gradient-boosting":
        # It grows its trees for every value of every factor: it is timed on two values of one.
        trees = [len(np.unique(column)) for column in factors.T]
        values = sum(max(count, 2) - (count == 2) for count in trees)
        arrays = _of_two_values(arrays)
    took: list[float] = []
    while len(took) < 2 and sum(took) < _PATIENCE:
        begin = perf_counter()
        with suppress(VaelensError):
            scorer.score(arrays, options.seed)
        took.append(perf_counter() - begin)
    return values * min(took)


def _with_arrays(
    chosen: Mapping[str, Scorer], codes: Array, factors: Array, options: ScoreOptions
) -> Iterator[tuple[Scorer, ScoredArrays]]:
    """Yields the scorers, each with the arrays that it looks at."""
    few = min(options.predicted, len(codes))
    tested = ScoredArrays(*split(codes[:few], factors[:few], None, None, options.seed))
    untested = ScoredArrays(codes, factors, codes[:0], factors[:0])
    for scorer in chosen.values():
        yield scorer, tested if scorer.tested else untested


def _kept_in(fits: list[DCI], estimator: str) -> Callable[[ScoredArrays, int], tuple[float, ...]]:
    """Returns a score function of DCI that keeps its first fit, the one to all codes, for the importances."""

    def score(arrays: ScoredArrays, seed: int) -> tuple[float, ...]:
        sets = (arrays.codes, arrays.factors, arrays.test_codes, arrays.test_factors)
        fit = dci(*sets, estimator=estimator, seed=seed, jobs=torch.get_num_threads())
        if not fits:
            fits.append(fit)
        return fit.disentanglement, fit.completeness, fit.informativeness

    return score


def _runs(scorer: Scorer) -> int:
    """Counts how often a scorer computes its scores."""
    return 1 + (0 if scorer.no_interval else scorer.halves) + scorer.shuffles


def _telling(scorer: Scorer, advance: Callable[[float], None]) -> Scorer:
    """Wraps a scorer so that each of its runs is reported as progress."""

    def score(arrays: ScoredArrays, seed: int) -> tuple[float | VaelensError, ...]:
        advance(1)
        return scorer.score(arrays, seed)

    return replace(scorer, score=score)


def _of_two_values(arrays: ScoredArrays) -> ScoredArrays:
    """Returns the arrays with the first factor alone, as whether it is above its median."""
    middle = np.median(arrays.factors[:, :1])
    factors, test_factors = ((part[:, :1] > middle).astype(np.int64) for part in (arrays.factors, arrays.test_factors))
    return ScoredArrays(arrays.codes, factors, arrays.test_codes, test_factors)


def _made(estimate: ScoreEstimate, origin: str, latents: int) -> str:
    """Says how a score was made, or why it was not, in a few words."""
    if np.isnan(estimate.value):
        if estimate.key == "dci_disentanglement" and "not defined" in estimate.reason:
            return "not computed: it compares factors, and only 1 varies"
        if estimate.key == "dci_completeness" and latents == 1:
            return "not computed: it compares latents, and there is only 1"
        # What came and what was expected, without what to do.
        return f"not computed: {'; '.join(estimate.reason.split('; ')[:2])}"
    tested = f" and {estimate.test_codes:,} to test on" if estimate.test_codes else ""
    few = f"; fewer than {ENOUGH:,} codes, so no bins" if "neighbours" in estimate.estimator else ""
    without = f"; {'; '.join(estimate.reason.split('; ')[:2])}" if estimate.reason else ""
    return f"{estimate.codes:,} codes{tested}, {origin}, {estimate.estimator}{few}{without}"
