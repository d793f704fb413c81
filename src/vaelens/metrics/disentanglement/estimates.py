"""Scores of codes and factors as a table needs them, with value, interval and level of chance by one estimator.

What has no interval, or cannot be computed, says why. All scores of 10,000 + 5,000 codes cost a minute of one core.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from vaelens.arguments import Seed, check_seed
from vaelens.errors import VaelensError, VaelensWarning
from vaelens.metrics.disentanglement.pairs import check_pair
from vaelens.metrics.disentanglement.scorers import ScoredArrays, Scorer, scorers
from vaelens.metrics.disentanglement.split import split
from vaelens.statistics import half_sample_interval

MANY = 60_000  # codes whose score intervals are about
_NAN = float("nan")


@dataclass(frozen=True)
class ScoreEstimate:
    """A score with its interval and its level of chance, each finite and within the score's range, or NaN.

    Attributes:
        key: the score's name.
        value: the score of these codes.
        low: lower end of a 95 % interval of the score of 60,000 codes, and `high` its upper end.
        chance: the score of codes whose images were shuffled against the factors.
        estimator: what computed all of these.
        codes: how many codes it was fitted to, and `test_codes` how many it was tested on (0 where nothing is tested).
        reason: why something is NaN; nothing where all that has a meaning is there.
    """

    key: str
    value: float
    low: float
    high: float
    chance: float
    estimator: str
    codes: int
    test_codes: int
    reason: str = ""


def estimate_scores(
    codes: ArrayLike,
    factors: ArrayLike,
    test_codes: ArrayLike | None = None,
    test_factors: ArrayLike | None = None,
    latents: ArrayLike | None = None,
    dci_estimator: str = "random-forest",
    seed: Seed = 0,
) -> dict[str, ScoreEstimate]:
    """Estimates all scores of codes and factors, each with its interval and its level of chance.

    Give 10,000 codes, and 5,000 to test on, where the data has them: most scores drift with the number of codes.

    Args:
        codes: `(N, d)` codes of the training images.
        factors: `(N, K)` whole numbers, the index of each factor's value, −1 or NaN where it is missing.
        test_codes: `(M, d)` codes of the test images; without them two thirds of the images, drawn by `seed`, are
            fitted to and the others tested on, and scores that test nothing look at all of them.
        test_factors: `(M, K)`, with `test_codes`.
        latents: those that total correlation is over; all by default.
        dci_estimator: as in `dci`.
        seed: of the split, the halves, the shuffles and the predictors.

    Returns:
        A `ScoreEstimate` by the score's name.

    Raises:
        VaelensError: arrays that `check_pair` or `check_split` refuses.

    Warns:
        VaelensWarning: some labels are missing.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> factors = rng.integers(3, size=(300, 2))
        >>> estimates = estimate_scores(factors + 0.2 * rng.normal(size=(300, 2)), factors)
        >>> mig = estimates["mig"]
        >>> mig.low < mig.value < mig.high, mig.chance < 0.1, mig.estimator
        (True, True, '3 nearest neighbours')
    """
    all_codes, all_factors = check_pair(codes, factors)
    with _missing_labels_said():
        parts = split(all_codes, all_factors, test_codes, test_factors, seed)
    tested, untested = ScoredArrays(*parts), ScoredArrays(all_codes, all_factors, all_codes[:0], all_factors[:0])
    estimates = [
        estimate
        for scorer in scorers(len(all_codes), latents, dci_estimator).values()
        for estimate in estimate_score(scorer, tested if scorer.tested else untested, seed)
    ]
    return {estimate.key: estimate for estimate in estimates}


def estimate_score(scorer: Scorer, arrays: ScoredArrays, seed: Seed = 0) -> tuple[ScoreEstimate, ...]:
    """Estimates the scores of one scorer, each with its interval and its level of chance.

    The interval is the delete-half jackknife's (`half_sample_interval`), with the drift from half the codes to all of
    them followed over as many doublings as lead to 60,000: it is about the score that so many codes have, not about
    what another sample of as few has.

    Args:
        scorer: which, of `scorers`.
        arrays: what they are computed from.
        seed: of halves, shuffles and predictors.
    """
    seed = check_seed(seed)
    generator, n = np.random.default_rng(seed), len(arrays.codes)
    unknown = np.full(len(scorer.keys), _NAN)
    low, high, chance, doubts = unknown, unknown, unknown, [scorer.no_interval] * len(scorer.keys)
    with _missing_labels_said():
        values, whys = _scores(scorer, arrays, seed)
        if np.isfinite(values).any() and not scorer.no_interval:
            halves = [_scores(scorer, arrays.half(generator), seed) for _ in range(scorer.halves)]
            doubts = [next(filter(None, reasons), "") for reasons in zip(*(said for _, said in halves), strict=True)]
            doublings = max(0.0, float(np.log2(MANY / n)))
            low, high = half_sample_interval(values, [scores for scores, _ in halves], doublings=doublings)
        if np.isfinite(values).any() and scorer.shuffles:
            shuffles = [_scores(scorer, arrays.shuffled(generator), seed)[0] for _ in range(scorer.shuffles)]
            chance = np.mean(shuffles, axis=0)
    low, high = np.clip(low, 0, scorer.most), np.clip(high, 0, scorer.most)
    anywhere = (low <= 0) & (high >= scorer.most)  # an interval that says nothing is none
    drifts = np.isin(scorer.keys, scorer.drifting)
    low, high = (np.where(anywhere | drifts, _NAN, end) for end in (low, high))
    reasons = [
        why or "not defined for these codes and factors"
        if np.isnan(value)
        else "no interval: by this estimator it goes on growing with the number of codes, beyond what halves tell"
        if drifting
        else f"no interval: of {n:,} codes it could be anything in its range"
        if whole
        else f"no interval: {doubt or 'it is not defined for half of the codes'}"
        if np.isnan(end)
        else ""
        for value, why, doubt, end, whole, drifting in zip(values, whys, doubts, low, anywhere, drifts, strict=True)
    ]
    return tuple(
        ScoreEstimate(
            key,
            float(values[k]),
            float(low[k]),
            float(high[k]),
            float(chance[k]),
            scorer.estimator,
            codes=n,
            test_codes=len(arrays.test_codes),
            reason=reasons[k],
        )
        for k, key in enumerate(scorer.keys)
    )


def _scores(scorer: Scorer, arrays: ScoredArrays, seed: int) -> tuple[Float[np.ndarray, " keys"], list[str]]:
    """Computes the scores, NaN where they are not finite, and says of each why it is not."""
    try:
        scores = scorer.score(arrays, seed)
    except VaelensError as error:
        scores = (error,) * len(scorer.keys)
    values = np.array([_NAN if isinstance(score, VaelensError) else score for score in scores], dtype=np.float64)
    infinite = "infinite: a latent is a linear function of others"
    whys = [str(score) if isinstance(score, VaelensError) else infinite if np.isinf(score) else "" for score in scores]
    return np.where(np.isfinite(values), values, _NAN), whys


@contextmanager
def _missing_labels_said() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*hold missing labels", VaelensWarning)
        yield
