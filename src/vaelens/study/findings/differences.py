"""Differences between models on one dataset, over training seeds, with their tests and effect sizes."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from vaelens.statistics import hedges_g
from vaelens.study.findings.runs import beyond_rounding


@dataclass(frozen=True)
class Difference:
    """How two models differ in one measure on one dataset.

    Attributes:
        dataset: the dataset.
        first: the one model.
        second: the other.
        value: mean of the first less mean of the second, over seeds.
        low: lower end of its 95 % interval.
        high: upper end.
        p: two-sided p-value of no difference.
        hedges_g: the difference in pooled standard deviations of these two models, unbiased.
        n: runs of both.
    """

    dataset: str
    first: str
    second: str
    value: float
    low: float
    high: float
    p: float
    hedges_g: float
    n: int


def differences(runs: pd.DataFrame, measure: str) -> Iterator[Difference]:
    """Compares every two models on every dataset where both have two runs or more.

    The standard error of a difference is √(s² (1/n + 1/m)), with s² the larger of two: the variance of a run about its
    model's mean pooled over all models of the dataset, and that pooled over these two alone. So a model whose seeds
    scatter more than the others' is not credited with their precision. t on runs − models degrees of freedom.
    Differences and standard errors within rounding, 1e-9 of the values, are zero.

    Args:
        runs: a row for each run, with `dataset`, `model` and a finite value of the measure.
        measure: the column.
    """
    for dataset, of_dataset in runs.groupby("dataset", observed=True):
        samples = {
            str(model): group[measure].to_numpy(float) for model, group in of_dataset.groupby("model", observed=True)
        }
        samples = {model: values for model, values in samples.items() if len(values) >= 2}
        freedom = sum(map(len, samples.values())) - len(samples)
        pooled = sum(values.var() * len(values) for values in samples.values()) / max(freedom, 1)
        for first, second in combinations(samples, 2):
            yield _difference(str(dataset), first, second, samples, pooled, freedom)


def _difference(
    dataset: str, first: str, second: str, samples: dict[str, np.ndarray], pooled: float, freedom: int
) -> Difference:
    one, other = samples[first], samples[second]
    n, m = len(one), len(other)
    values = np.concatenate([one, other])
    own = (one.var() * n + other.var() * m) / (n + m - 2)
    value = float(beyond_rounding(one.mean() - other.mean(), values))
    error = float(beyond_rounding(np.sqrt(max(pooled, own) * (1 / n + 1 / m)), values))
    reach = float(stdtrit(freedom, 0.975)) * error
    p = float(2 * stdtr(freedom, -abs(value) / error)) if error > 0 else float(value == 0)
    if beyond_rounding(np.sqrt(own), values):
        size = float(hedges_g(one, other).estimate)
    else:
        size = float(np.copysign(np.inf, value)) if value else np.nan
    return Difference(dataset, first, second, value, value - reach, value + reach, p, size, n + m)
