"""The disentanglement scores of an analysis, each with an interval and the value that chance would give."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import xarray as xr

from vaelens.effects.record import Array, Interval, with_interval
from vaelens.errors import VaelensError
from vaelens.metrics.catalogue import METRICS
from vaelens.metrics.disentanglement import dci, explicitness, gaussian_total_correlation, irs, mig, modularity, sap
from vaelens.progress import reporting
from vaelens.statistics import half_sample_interval, half_samples

DCI_SCORES: tuple[str, ...] = ("dci_disentanglement", "dci_completeness", "dci_informativeness")
_HALVES = 20
_FAST = "random-forest"
_TIMED = 128  # codes that a score is timed on
_PATIENCE = 0.2  # seconds, after which it is not timed again


@dataclass(frozen=True)
class _Scorer:
    """How a score of codes and factors is computed.

    Attributes:
        score: computes it from codes, factors and a seed.
        method: how.
        halves: of the codes, on which it is computed again for its interval.
        shuffles: of the images against the factors, whose mean is its level of chance.
    """

    score: Callable[[Array, Array, int], float]
    method: str
    halves: int = _HALVES
    shuffles: int = 5


SCORERS: Mapping[str, _Scorer] = {
    "mig": _Scorer(lambda codes, factors, _: mig(codes, factors), "20-bin histogram"),
    "sap": _Scorer(lambda codes, factors, seed: sap(codes, factors, seed=seed), "linear classifiers, C = 0.01"),
    "modularity": _Scorer(lambda codes, factors, _: modularity(codes, factors), "20-bin histogram"),
    "irs": _Scorer(lambda codes, factors, _: irs(codes, factors), "99 % quantile of the deviation"),
    "explicitness": _Scorer(
        lambda codes, factors, seed: explicitness(_standardised(codes), factors, seed=seed),
        "standardised, logistic regression, area under the ROC curve",
        halves=10,  # a regression for each factor takes its time
        shuffles=1,
    ),
    "total_correlation": _Scorer(
        lambda codes, _, __: gaussian_total_correlation(codes), "of a Gaussian with their covariance", shuffles=0
    ),
}
_STEPS = sum(1 + scorer.halves + scorer.shuffles for scorer in SCORERS.values()) + _HALVES + 2


def disentanglement(
    codes: Array,
    factors: Array,
    names: Sequence[str],
    predicted: int,
    seed: int,
    origin: str,
    progress: Callable[[float, float], None] | bool = False,
) -> xr.Dataset:
    """Scores codes against factors, each score with an interval and its level of chance.

    An interval is the delete-half jackknife's over 20 random halves of the codes (`half_sample_interval`), 10 for
    explicitness, cut at the ends of the score's range. The chance level is the score of codes whose images were
    shuffled against the factors, the mean of 5 shuffles, or of one for explicitness and DCI. Both of DCI are made with
    a fast estimator: the reference's takes too long to be computed many times.

    Args:
        codes: (n, d).
        factors: (n, K).
        names: of the factors.
        predicted: how many of the codes, the first, DCI's predictors are given.
        seed: of halves, shuffles and splits.
        origin: what the codes are.
        progress: as in `latent_effects`.

    Returns:
        `importance` (latent, factor), DCI's, and for each score `<key>`, `<key>_low`, `<key>_high`, `<key>_chance`;
        NaN where the score is not defined for these codes and factors. The attribute `<key>_made` says how, or why not.
    """
    generator = np.random.default_rng(seed)
    variables: dict[str, Any] = {}
    attributes: dict[str, Any] = {"images": len(codes)}
    with reporting(progress, _STEPS, "disentanglement") as report:
        for key, scorer in SCORERS.items():
            score, attributes[f"{key}_made"] = _score(key, scorer, codes, factors, seed, generator, f"{origin}, ")
            variables |= score
            report.advance(1 + scorer.halves + scorer.shuffles)
        few = min(predicted, len(codes))
        scores, how = _dci(codes[:few], factors[:few], seed, generator, report.advance)
        attributes |= {f"{key}_made": text for key, text in how.items()}
    return xr.Dataset(variables | scores, {"latent": np.arange(codes.shape[1]), "factor": list(names)}, attributes)


def disentanglement_seconds(codes: Array, factors: Array, n: int, predicted: int, seed: int) -> float:
    """Estimates how long `disentanglement` takes of n codes, from one run of each score on a few.

    Args:
        codes: (m, d), of which the first few are taken.
        factors: (m, K), theirs.
        n: how many codes there will be.
        predicted: how many of them DCI's predictors are given.
        seed: as in `disentanglement`.
    """
    codes, factors = codes[:_TIMED], factors[:_TIMED]

    def each(score: Callable[[], Any]) -> float:  # seconds for a code; the first of two runs also imports
        took = []
        while len(took) < 2 and sum(took) < _PATIENCE:
            begin = perf_counter()
            with suppress(VaelensError):
                score()
            took.append(perf_counter() - begin)
        return min(took) / len(codes)

    seconds = 0.0
    for scorer in SCORERS.values():
        runs = 1 + scorer.halves / 2 + scorer.shuffles  # of all codes
        seconds += runs * n * each(lambda scorer=scorer: scorer.score(codes, factors, seed))
    fast = each(lambda: dci(codes, factors, estimator=_FAST, seed=seed))
    # The reference grows its trees for every value of every factor: it is timed on two values of one.
    two = (factors[:, :1] > np.median(factors[:, :1])).astype(np.int64)
    trees = sum(max(len(np.unique(column)), 2) - (len(np.unique(column)) == 2) for column in factors.T)
    reference = trees * each(lambda: dci(codes, two, seed=seed))
    return seconds + min(predicted, n) * ((_HALVES / 2 + 1) * fast + reference)


def _score(
    key: str, scorer: _Scorer, codes: Array, factors: Array, seed: int, generator: np.random.Generator, origin: str
) -> tuple[dict[str, Any], str]:
    """Computes a score of all codes with its interval and level of chance, and says how."""

    def score(rows: Array, partners: Array) -> float:
        return _or_reason(lambda: scorer.score(codes[rows], factors[partners], seed))[0]

    value, reason = _or_reason(lambda: scorer.score(codes, factors, seed))
    low, high = half_sample_interval(
        value, [score(rows, rows) for rows in half_samples(len(codes), scorer.halves, seed)]
    )
    variables = with_interval(key, (), value, _within(key, low, high))
    if scorer.shuffles:
        shuffled = [score(np.arange(len(codes)), generator.permutation(len(codes))) for _ in range(scorer.shuffles)]
        variables[f"{key}_chance"] = ((), np.mean(shuffled))
    return variables, f"{origin}{scorer.method}" if np.isfinite(value) else f"not computed: {reason}"


def _dci(
    codes: Array, factors: Array, seed: int, generator: np.random.Generator, advance: Callable[[float], None]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Computes DCI by the reference, its intervals and chance by the fast estimator, and says how."""

    def fast(rows: Array, partners: Array) -> Array:
        advance(1)
        try:
            scored = dci(codes[rows], factors[partners], estimator=_FAST, seed=seed)
        except VaelensError:  # a half may hold one value of every factor
            return np.full(len(DCI_SCORES), np.nan)
        return np.array([getattr(scored, key.removeprefix("dci_")) for key in DCI_SCORES])

    halves = np.stack([fast(rows, rows) for rows in half_samples(len(codes), _HALVES, seed)])
    chance = fast(np.arange(len(codes)), generator.permutation(len(codes)))
    try:
        scored = dci(codes, factors, seed=seed)
    except VaelensError as error:  # no factor varies
        nothing = np.full((codes.shape[1], factors.shape[1]), np.nan)
        variables: dict[str, Any] = {"importance": (("latent", "factor"), nothing)}
        for key in DCI_SCORES:
            variables |= with_interval(key, (), np.nan, (np.array(np.nan), np.array(np.nan))) | {
                f"{key}_chance": np.nan
            }
        return variables, dict.fromkeys((*DCI_SCORES, "importance"), f"not computed: {_reason(error)}")
    variables = {"importance": (("latent", "factor"), scored.importance)}
    value = np.array([getattr(scored, key.removeprefix("dci_")) for key in DCI_SCORES])
    low, high = half_sample_interval(value, halves)
    for k, key in enumerate(DCI_SCORES):
        variables |= with_interval(key, (), value[k], _within(key, low[k], high[k]))
        variables[f"{key}_chance"] = chance[k]
    method = f"{scored.estimator}, {scored.n_train} training and {scored.n_test} test codes, seed {seed}; interval and "
    how = dict.fromkeys((*DCI_SCORES, "importance"), f"{method}chance by {_FAST}")
    if np.isnan(scored.disentanglement):
        how["dci_disentanglement"] = "not computed: it compares factors, and only 1 varies"
    if np.isnan(scored.completeness):
        how["dci_completeness"] = "not computed: it compares latents, and there is only 1"
    return variables, how


def _within(key: str, low: Any, high: Any) -> Interval:
    """Cuts an interval at the ends of the score's range."""
    least, most = METRICS[key].range
    return np.asarray(np.maximum(low, least)), np.asarray(np.minimum(high, most))


def _standardised(codes: Array) -> Array:
    """Gives each latent mean 0 and standard deviation 1, and makes a constant one 0."""
    codes = np.asarray(codes, dtype=np.float64)
    spread = codes.std(axis=0)
    return (codes - codes.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _or_reason(score: Callable[[], float]) -> tuple[float, str]:
    """Computes a score, or says why it is not defined, as for one latent alone."""
    try:
        return score(), "it is not defined for these codes and factors"
    except VaelensError as error:
        return float("nan"), _reason(error)


def _reason(error: VaelensError) -> str:
    """Takes from an error what came and what was expected, without what to do."""
    return "; ".join(str(error).split("; ")[:2])
