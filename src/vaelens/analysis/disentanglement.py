"""The disentanglement scores of an analysis, each with an interval and the value that chance would give."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from vaelens.effects.record import Array, Interval, with_interval
from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import dci, explicitness, gaussian_total_correlation, irs, mig, modularity, sap
from vaelens.statistics import half_sample_interval, half_samples

DCI_SCORES = ("disentanglement", "completeness", "informativeness")
_HALVES = 20
_FAST = "random-forest"


@dataclass(frozen=True)
class _Metric:
    """A score of codes and factors.

    Attributes:
        score: computes it from codes, factors and a seed.
        made: how.
        halves: of the codes, on which it is computed again for its interval.
        shuffles: of the images against the factors, whose mean is its level of chance.
    """

    score: Callable[[Array, Array, int], float]
    made: str
    halves: int = _HALVES
    shuffles: int = 5


METRICS: Mapping[str, _Metric] = {
    "mig": _Metric(lambda codes, factors, _: mig(codes, factors), "20-bin histogram"),
    "sap": _Metric(lambda codes, factors, seed: sap(codes, factors, seed=seed), "linear classifiers, C = 0.01"),
    "modularity": _Metric(lambda codes, factors, _: modularity(codes, factors), "20-bin histogram"),
    "irs": _Metric(lambda codes, factors, _: irs(codes, factors), "99 % quantile of the deviation"),
    "explicitness": _Metric(
        lambda codes, factors, seed: explicitness(_standardised(codes), factors, seed=seed),
        "standardised, logistic regression, area under the ROC curve",
        halves=10,  # a regression for each factor takes its time
        shuffles=1,
    ),
}


def disentanglement(codes: Array, factors: Array, names: list[str], predicted: int, seed: int, made: str) -> xr.Dataset:
    """DCI with its importances, all other scores of codes and factors, and total correlation, each with an interval.

    An interval is the delete-half jackknife's over 20 random halves of the codes (`half_sample_interval`), 10 for
    explicitness, cut at the ends of the score's range. The chance level is the score of codes whose images were
    shuffled against the factors, the mean of 5 shuffles, or of one for explicitness and DCI. Both of DCI are made with
    a fast estimator: the reference's takes too long to be computed many times.

    Args:
        codes: (n, d).
        factors: (n, K).
        names: of the factors.
        predicted: how many of the codes, the first, DCI's predictors are given.
        seed: draws halves, shuffles and splits.
        made: what the codes are.

    Returns:
        `importance` (latent, factor), and for each score `<score>`, `<score>_low`, `<score>_high`, `<score>_chance`;
        NaN where the score is not defined for these codes and factors. The attribute `<score>_made` says how.
    """
    generator = np.random.default_rng(seed)
    variables: dict[str, Any] = {}
    attributes = {"total_correlation_made": f"{made}, of a Gaussian with their covariance, nats"}
    for name, metric in METRICS.items():
        attributes[f"{name}_made"] = f"{made}, {metric.made}"

        def of(rows: Array, partners: Array, metric: _Metric = metric) -> float:
            return _or_nan(lambda: metric.score(codes[rows], factors[partners], seed))

        variables |= _score(name, of, len(codes), seed, generator, metric.halves, metric.shuffles)

    def correlation(rows: Array, _: Array) -> float:
        return _or_nan(lambda: gaussian_total_correlation(codes[rows]))

    variables |= _score("total_correlation", correlation, len(codes), seed, generator, most=np.inf)
    few = min(predicted, len(codes))
    scored = dci(codes[:few], factors[:few], seed=seed)
    variables["importance"] = (("latent", "factor"), scored.importance)

    def fast(rows: Array, partners: Array) -> Array:
        return _dci_scores(codes[rows], factors[partners], seed)

    halves = np.stack([fast(rows, rows) for rows in half_samples(few, _HALVES, seed)])
    chance = fast(np.arange(few), generator.permutation(few))
    value = np.array([getattr(scored, name) for name in DCI_SCORES])
    low, high = half_sample_interval(value, halves)
    for k, name in enumerate(DCI_SCORES):
        variables |= with_interval(name, (), value[k], _within(low[k], high[k], 1.0))
        variables[f"{name}_chance"] = chance[k]
    attributes["dci_made"] = (
        f"{scored.estimator}, {scored.n_train} training and {scored.n_test} test codes, seed {seed}; interval and "
        f"chance by {_FAST}"
    )
    return xr.Dataset(variables, {"latent": np.arange(codes.shape[1]), "factor": names}, attributes)


def _score(
    name: str,
    score: Callable[[Array, Array], float],
    images: int,
    seed: int,
    generator: np.random.Generator,
    halves: int = _HALVES,
    shuffles: int = 0,
    most: float = 1.0,
) -> dict[str, Any]:
    """The score of all codes with their factors, its interval, and, with shuffles, the level of chance."""
    every = np.arange(images)
    value = score(every, every)
    low, high = half_sample_interval(value, [score(rows, rows) for rows in half_samples(images, halves, seed)])
    variables = with_interval(name, (), value, _within(low, high, most))
    if shuffles:
        variables[f"{name}_chance"] = (
            (),
            np.mean([score(every, generator.permutation(images)) for _ in range(shuffles)]),
        )
    return variables


def _within(low: Any, high: Any, most: float) -> Interval:
    """An interval cut at the ends of the score's range."""
    return np.asarray(np.maximum(low, 0.0)), np.asarray(np.minimum(high, most))


def _dci_scores(codes: Array, factors: Array, seed: int) -> Array:
    try:
        scored = dci(codes, factors, estimator=_FAST, seed=seed)
    except VaelensError:  # a half may hold one value of every factor
        return np.full(len(DCI_SCORES), np.nan)
    return np.array([getattr(scored, name) for name in DCI_SCORES])


def _standardised(codes: Array) -> Array:
    """Each latent with mean 0 and standard deviation 1; one that is constant 0."""
    codes = np.asarray(codes, dtype=np.float64)
    spread = codes.std(axis=0)
    return (codes - codes.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _or_nan(score: Callable[[], float]) -> float:
    """NaN where a score is not defined: one latent alone, one factor that varies."""
    try:
        return score()
    except VaelensError:
        return float("nan")
