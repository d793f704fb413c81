"""How many seeds each difference between two models needs, by resampling the seeds that there are."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from vaelens.statistics.weights import generator_of
from vaelens.study.findings.differences import differences
from vaelens.study.findings.rules import ALPHA
from vaelens.study.findings.runs import beyond_rounding, complete

POWER = 0.8
SEEDS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
_STUDIES = 500  # resampled
_RESIDUALS = 6  # of a dataset, below which resampling repeats itself


def seeds_needed(
    runs: pd.DataFrame, measures: Sequence[str] = ("dci_disentanglement", "ces_relative"), seed: int = 0
) -> pd.DataFrame:
    """Finds how many seeds of each of two models show their difference in 80 % of studies.

    A study of k seeds is resampled: each model's mean as found, and k residuals drawn with replacement from those of
    all models of the dataset, each scaled by √(n / (n − 1)) for the mean it was taken off. It shows the difference if
    Student's t of the two samples has p ≤ 0.05 in the direction found. The difference found is taken for true, though
    it is an estimate: a small one may be nothing, and the number of seeds is then that for nothing.

    Args:
        runs: as `runs_of` returns them.
        measures: the columns compared.
        seed: of the resampling.

    Returns:
        A row for each measure, dataset and pair: `measure`, `dataset`, `first`, `second`, `difference`, `hedges_g`,
        `seeds` (those that there are of the one with fewer), `needed` (the least of 2, 3, 4, 5, 6, 8, 10, 15, 20, 30;
        missing where 30 do not suffice), `power` (at the seeds that there are). Datasets with fewer than 6 runs beyond
        their models, or whose runs do not vary, are left out.
    """
    rows = []
    for measure in measures:
        taken = complete(runs, [measure])
        means = taken.groupby(["dataset", "model"], observed=True)[measure].transform("mean")
        counts = taken.groupby(["dataset", "model"], observed=True)[measure].transform("count")
        scaled = (taken[measure] - means) * np.sqrt(counts / (counts - 1).clip(lower=1))
        draws = {}
        for dataset, of_dataset in taken[counts > 1].groupby("dataset", observed=True):
            residuals = beyond_rounding(scaled[of_dataset.index].to_numpy(float), of_dataset[measure].to_numpy(float))
            freedom = len(residuals) - of_dataset["model"].nunique()
            if freedom >= _RESIDUALS and residuals.any():
                picked = generator_of(seed).integers(len(residuals), size=(2, _STUDIES, SEEDS[-1]))
                draws[str(dataset)] = residuals[picked]
        sizes = taken.groupby(["dataset", "model"], observed=True)[measure].count()
        for pair in differences(taken, measure):
            if pair.dataset not in draws:
                continue
            there = int(min(sizes[pair.dataset, pair.first], sizes[pair.dataset, pair.second]))
            powers = {k: _power(abs(pair.value), draws[pair.dataset][:, :, :k]) for k in {*SEEDS, min(there, 30)}}
            needed = next((k for k in SEEDS if powers[k] >= POWER), None)
            who = (measure, pair.dataset, pair.first, pair.second, pair.value, pair.hedges_g)
            rows.append((*who, there, needed, powers[min(there, 30)]))
    columns = ["measure", "dataset", "first", "second", "difference", "hedges_g", "seeds", "needed", "power"]
    return pd.DataFrame(rows, columns=columns).astype({"needed": "Int64"})


def _power(difference: float, residuals: np.ndarray) -> float:
    """Computes the share of resampled studies (2 models, studies, seeds) that show the difference."""
    k = residuals.shape[-1]
    means, variances = residuals.mean(axis=-1), residuals.var(axis=-1, ddof=1)
    apart = difference + means[0] - means[1]
    bound = float(stdtrit(2 * k - 2, 1 - ALPHA / 2)) * np.sqrt(variances.sum(axis=0) / k)
    return float((apart > bound).mean())
