"""DCI, or disentanglement, completeness and informativeness, from the importances of a predictor of each factor.

The reference costs one gradient-boosted classifier a factor, a hundred trees for each value of each factor: the time
grows linearly with images, latents and values. A random forest costs twenty trees a factor.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from sklearn.utils.parallel import Parallel, delayed

from vaelens.arguments import Seed, check_seed
from vaelens.errors import VaelensError, unknown
from vaelens.metrics.disentanglement.classes import values_as_classes
from vaelens.metrics.disentanglement.labels import check_continuous, labelled, varying_factors
from vaelens.metrics.disentanglement.predictors import PREDICTORS, Prediction, classified, regressed
from vaelens.metrics.disentanglement.split import check_split


@dataclass(frozen=True, eq=False)
class DCI:
    """The three scores of one representation, the importances behind them, and how they were made."""

    disentanglement: float  # [0, 1], higher: each latent matters for one factor
    completeness: float  # [0, 1], higher: each factor needs one latent
    informativeness: float  # [0, 1], higher: factors are read off the code; mean over factors, on the test images
    importance: Float[np.ndarray, "d K"]  # of latent j for factor k; a column adds to 1
    informativeness_per_factor: Float[np.ndarray, " K"]  # accuracy of a discrete, R² of a continuous one; NaN: constant
    error_per_factor: Float[np.ndarray, " K"]  # 0 or more, lower: 1 − accuracy, or √(1 − R²); NaN for a constant one
    estimator: str
    n_train: int
    n_test: int
    constant_latents: tuple[int, ...] = ()  # one value in the training images: rows of zeros in the importance
    constant_factors: tuple[int, ...] = ()  # one value in the training images: columns of zeros
    continuous_factors: tuple[int, ...] = ()  # those that a regressor predicts


def dci(
    codes: ArrayLike,
    factors: ArrayLike,
    test_codes: ArrayLike | None = None,
    test_factors: ArrayLike | None = None,
    estimator: str = "gradient-boosting",
    seed: Seed = 0,
    jobs: int = -1,
    continuous: ArrayLike = False,
) -> DCI:
    """Measures disentanglement, completeness and informativeness (DCI) of codes with respect to known factors.

    A predictor of factor k from the code has an importance R_jk ≥ 0 for each latent j.
    With p_jk = R_jk / Σ_k R_jk, latent j has the disentanglement D_j = 1 + Σ_k p_jk log_K p_jk, and
    D = Σ_j ρ_j D_j with ρ_j = Σ_k R_jk / Σ R. With q_jk = R_jk / Σ_j R_jk, factor k has the completeness
    C_k = 1 + Σ_j q_jk log_d q_jk, and C is their mean weighted by Σ_j R_jk / Σ R. The informativeness is how well the
    predictors do on the test images, averaged over factors: the accuracy for a discrete factor, which a classifier
    predicts; max(0, R²) for a continuous one, which a regressor predicts, with R² = 1 − Σ (v − v̂)² / Σ (v − v̄)². The
    result has it for each factor, too, and the error: 1 − accuracy, or √(1 − R²), the root of the mean squared error
    in units of the factor's standard deviation on the test images (the paper's normalised error), 1 for a guess of the
    mean. A mean over factors of both kinds mixes accuracies and R².

    The default estimator is the reference's: scikit-learn's gradient boosting classifier as it comes, with
    its impurity importances; for continuous factors its gradient boosting regressor. Another estimator is another
    metric; results carry its name. "random-forest" is the fast one: 20 bagged trees of depth 8 at most with 5 images a
    leaf at least, which look at every latent at every split; also with impurity importances. `docs/metrics.md` has its
    measured difference from the reference.

    A factor with one value in the training images cannot be predicted and is left out of all three scores; K
    above counts the others. A constant latent has importance 0 and adds nothing to a sum; d above still
    counts it, as the reference does, so a code with many dead latents reaches a higher C for the same
    spread. The result lists both. D is NaN with a single varying factor and C with a single latent: their
    logarithms have base 1.

    Args:
        codes: `(N, d)` codes of the training images.
        factors: `(N, K)` whole numbers: the index of each factor's value in each training image, −1 or NaN where it is
            missing. Any finite numbers, or NaN, where a factor is continuous.
        test_codes: `(M, d)` codes of the test images; without them, two thirds of the images, drawn by
            `seed`, are the training images and the rest the test images.
        test_factors: `(M, K)`, with `test_codes`.
        estimator: name of the predictor: `"gradient-boosting"`, or the fast `"random-forest"`.
        seed: seed of the split, of the order in which equally good splits of a tree are tried, and of the images that
            each tree of a forest is given.
        jobs: threads, over factors; −1 uses all cores. The numbers do not depend on it.
        continuous: take the factors as numbers with a linear order rather than as classes: True or False for all
            of them, or one of these for each.

    Returns:
        The scores, each in [0, 1], higher is better, with the importances `(d, K)`.

    Raises:
        VaelensError: if an array is not as above, no factor varies, a continuous factor has one value in the test
            images, the estimator is unknown, or `jobs` is 0.

    References:
        A framework for the quantitative evaluation of disentangled representations (Eastwood, Williams, 2018).
        Challenging common assumptions in the unsupervised learning of disentangled representations
        (Locatello et al., 2019), for the estimator.

    Example:
        >>> factors = np.random.default_rng(0).integers(2, size=(90, 2))
        >>> scores = dci(codes=5.0 * factors[:, ::-1], factors=factors)
        >>> round(scores.disentanglement, 6), round(scores.completeness, 6), scores.informativeness
        (1.0, 1.0, 1.0)
        >>> scores.importance.round(6)
        array([[0., 1.],
               [1., 0.]])
        >>> scores.n_train, scores.n_test
        (60, 30)
        >>> scores = dci(codes=factors + 0.5 * factors[:, ::-1], factors=factors + 0.25, continuous=True)
        >>> scores.informativeness > 0.99, scores.continuous_factors
        (True, (0, 1))
    """
    if estimator not in PREDICTORS:
        raise unknown("estimator", estimator, PREDICTORS)
    if jobs == 0:
        raise VaelensError("jobs is 0; expected a number of threads, or -1 for all cores")
    seed = check_seed(seed)
    codes, factors, test_codes, test_factors = check_split(codes, factors, test_codes, test_factors, seed, continuous)
    kinds = check_continuous(continuous, factors.shape[1])
    varying = varying_factors(factors, "the training images")
    have, test_have = labelled(factors), labelled(test_factors)
    for k in varying:
        test_values = test_factors[test_have[:, k], k]
        if len(test_values) == 0:
            raise VaelensError(
                f"no test image has a label of factor {k}; expected some to test its predictor on; give more test "
                "images"
            )
        if kinds[k] and np.ptp(test_values) == 0:
            raise VaelensError(
                f"the continuous factor {k} is {test_values[0]:g} in every test image; expected different values, "
                "for its error is measured against their spread; give more test images"
            )

    def predict(k: np.integer) -> Prediction:
        fit, kind = (regressed, np.float64) if kinds[k] else (classified, np.int64)
        train, test = have[:, k], test_have[:, k]
        values, test_values = factors[train, k].astype(kind), test_factors[test, k].astype(kind)
        return fit(PREDICTORS[estimator], codes[train], values, test_codes[test], test_values, seed)

    # Threads: trees grow outside the interpreter's lock, and nothing has to be copied to another process.
    with values_as_classes():
        predictions: Any = Parallel(n_jobs=jobs, prefer="threads")(delayed(predict)(k) for k in varying)
    importance = np.zeros((codes.shape[1], factors.shape[1]))
    importance[:, varying] = np.stack([prediction.importance for prediction in predictions], axis=1)
    scores, errors = np.full((2, factors.shape[1]), np.nan)
    scores[varying] = [prediction.score for prediction in predictions]
    errors[varying] = [prediction.error for prediction in predictions]
    return DCI(
        disentanglement=_concentration(importance[:, varying]),
        completeness=_concentration(importance[:, varying].T),
        informativeness=float(np.mean(scores[varying])),
        importance=importance,
        informativeness_per_factor=scores,
        error_per_factor=errors,
        estimator=estimator,
        n_train=len(codes),
        n_test=len(test_codes),
        constant_latents=tuple(np.flatnonzero(np.ptp(codes, axis=0) == 0).tolist()),
        constant_factors=tuple(sorted(set(range(factors.shape[1])) - set(varying.tolist()))),
        continuous_factors=tuple(np.flatnonzero(kinds).tolist()),
    )


def _concentration(importance: Float[np.ndarray, "rows columns"]) -> float:
    """Computes one minus the normalised entropy of each row, averaged with the rows' sums as weights."""
    rows, columns = importance.shape
    if columns == 1:
        return float("nan")
    shares = importance + 1e-11  # the reference's: a row of zeros is uniform, and concentrated nowhere
    shares = shares / shares.sum(axis=1, keepdims=True)
    per_row = 1 + np.sum(shares * np.log(shares), axis=1) / np.log(columns)
    weights = importance.sum(axis=1) if importance.sum() > 0 else np.ones(rows)
    return float(np.average(per_row, weights=weights))
