"""How each score of codes and factors is computed for a table, by which estimator, of what, and how often again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.arrays import CodeArray, FactorArray, HeldOutCodeArray, HeldOutFactorArray
from vaelens.metrics.disentanglement.dci import dci
from vaelens.metrics.disentanglement.explicitness import explicitness
from vaelens.metrics.disentanglement.irs import irs
from vaelens.metrics.disentanglement.labels import varying_factors
from vaelens.metrics.disentanglement.latent_information import binned, label_entropy, latent_information
from vaelens.metrics.disentanglement.mig import information_gap
from vaelens.metrics.disentanglement.modularity import information_modularity
from vaelens.metrics.disentanglement.pairs import check_pair
from vaelens.metrics.disentanglement.sap import sap
from vaelens.metrics.disentanglement.total_correlation import gaussian_total_correlation

ENOUGH = 10_000  # codes from which on information is counted in bins, as the reference does
_BINS, _NEIGHBOURS = 20, 3


@dataclass(frozen=True, eq=False)
class ScoredArrays:
    """The arrays that a score looks at, which are codes and factors to fit to, and others to test on."""

    codes: CodeArray
    factors: FactorArray
    test_codes: HeldOutCodeArray
    test_factors: HeldOutFactorArray

    def half(self, generator: np.random.Generator) -> "ScoredArrays":
        """Draws half of the images of either part, without repetition."""
        rows, test_rows = (generator.permutation(n)[: n // 2] for n in (len(self.codes), len(self.test_codes)))
        return ScoredArrays(
            self.codes[rows], self.factors[rows], self.test_codes[test_rows], self.test_factors[test_rows]
        )

    def shuffled(self, generator: np.random.Generator) -> "ScoredArrays":
        """Shuffles the images of either part against their factors."""
        factors, test_factors = (generator.permutation(labels) for labels in (self.factors, self.test_factors))
        return ScoredArrays(self.codes, factors, self.test_codes, test_factors)


@dataclass(frozen=True)
class Scorer:
    """How some scores are computed together.

    Attributes:
        keys: their names.
        estimator: what computes them: value, interval and level of chance.
        score: computes them from arrays and a seed; in place of one that is not defined stands the error that says why.
        tested: whether it looks at the test images; if not, it may be given the others' codes alone.
        halves: of the images, on which they are computed again for an interval.
        shuffles: of the images against their factors, whose mean is the level of chance; 0 where that has no meaning.
        most: the largest value that they can take; the least is 0.
        no_interval: why there is none.
        drifting: the keys that have none because they change too much with the number of codes.
    """

    keys: tuple[str, ...]
    estimator: str
    score: Callable[[ScoredArrays, int], tuple[float | VaelensError, ...]]
    tested: bool = False
    halves: int = 20
    shuffles: int = 5
    most: float = 1.0
    no_interval: str = ""
    drifting: tuple[str, ...] = ()


def scorers(codes: int, latents: ArrayLike | None = None, dci_estimator: str = "random-forest") -> Mapping[str, Scorer]:
    """Returns how each score is computed for this many codes.

    MIG and modularity count in 20 bins, as the reference does, from 10,000 codes on. Of fewer they go by nearest
    neighbours: independent codes in bins share (bins − 1)(values − 1)/2N nats by chance, which is most of the
    modularity of a thousand codes.

    Args:
        codes: how many there are.
        latents: those that total correlation is over, as in `gaussian_total_correlation`.
        dci_estimator: as in `dci`; the reference takes minutes for each of 12 fits at 10,000 codes.
    """
    many = codes >= ENOUGH
    information = "bins" if many else "nearest-neighbours"
    counted = f"{_BINS}-bin histogram" if many else f"{_NEIGHBOURS} nearest neighbours"
    halves = 20 if many else 10
    chosen = (
        Scorer(("mig", "modularity"), counted, lambda a, seed: _of_information(a, information), halves=halves),
        Scorer(
            ("sap",),
            "linear classifiers, C = 0.01",
            lambda a, seed: (sap(a.codes, a.factors, a.test_codes, a.test_factors),),
            tested=True,
            halves=10,
            shuffles=2,
        ),
        Scorer(
            ("explicitness",),
            "logistic regression of standardised codes, area under the ROC curve",
            lambda a, seed: (explicitness(*_standardised(a)),),
            tested=True,
            halves=10,
            shuffles=1,
        ),
        Scorer(
            ("irs",),
            "99 % quantile of the deviation",
            lambda a, seed: (irs(a.codes, a.factors),),
            no_interval="it divides by the largest deviation, which grows with the number of codes without end",
        ),
        Scorer(
            ("total_correlation",),
            "covariance of a Gaussian",
            lambda a, seed: (_total_correlation(a.codes, latents),),
            shuffles=0,
            most=np.inf,
        ),
        Scorer(
            ("dci_disentanglement", "dci_completeness", "dci_informativeness"),
            f"DCI by {dci_estimator}",
            lambda a, seed: _dci(a, dci_estimator, seed),
            tested=True,
            halves=10,
            shuffles=1,
            # Measured: of four intervals of 10,000 codes none held the score of 60,000 (docs/metrics.md).
            drifting=("dci_disentanglement", "dci_completeness") if dci_estimator == "random-forest" else (),
        ),
    )
    return {scorer.keys[0]: scorer for scorer in chosen}


def _of_information(arrays: ScoredArrays, estimator: str) -> tuple[float | VaelensError, ...]:
    """Computes MIG and modularity from one estimate of information, which takes nearly all the time of either."""
    codes, factors = check_pair(arrays.codes, arrays.factors)
    factors = factors[:, varying_factors(factors)]
    continuous = np.zeros(factors.shape[1], dtype=bool)
    information = latent_information(codes, factors, continuous, estimator, _BINS, _NEIGHBOURS, seed=0)
    scores: list[float | VaelensError] = []
    for score in (
        lambda: information_gap(information, label_entropy(binned(factors, continuous, _BINS))),
        lambda: information_modularity(information),
    ):
        try:
            scores.append(score())
        except VaelensError as error:
            scores.append(error)
    return tuple(scores)


def _total_correlation(codes: CodeArray, latents: ArrayLike | None) -> float:
    """Computes the total correlation of at least two latents. That of fewer is 0 whatever the model.

    Raises:
        VaelensError: fewer count.
    """
    if latents is not None and np.asarray(latents).dtype == bool and np.count_nonzero(latents) < 2:
        raise VaelensError("fewer than two latents are informative, and no latents can depend on each other")
    return gaussian_total_correlation(codes, latents)


def _dci(arrays: ScoredArrays, estimator: str, seed: int) -> tuple[float, float, float]:
    result = dci(arrays.codes, arrays.factors, arrays.test_codes, arrays.test_factors, estimator=estimator, seed=seed)
    return result.disentanglement, result.completeness, result.informativeness


def _standardised(arrays: ScoredArrays) -> tuple[CodeArray, FactorArray, HeldOutCodeArray, HeldOutFactorArray]:
    """Scales each latent to mean 0 and standard deviation 1 over the training images, a constant one to 0."""
    codes, test_codes = arrays.codes.astype(np.float64), arrays.test_codes.astype(np.float64)
    mean, unit = codes.mean(axis=0), np.where(np.ptp(codes, axis=0) > 0, codes.std(axis=0), 1.0)
    return (codes - mean) / unit, arrays.factors, (test_codes - mean) / unit, arrays.test_factors
