"""DCI: disentanglement, completeness and informativeness from the importances of a predictor of each factor.

The reference costs one gradient-boosted classifier a factor, a hundred trees for each value of each factor: the time
grows linearly with images, latents and values. A random forest costs twenty trees a factor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.utils.parallel import Parallel, delayed

from vaelens.arguments import check_seed
from vaelens.errors import VaelensError, unknown
from vaelens.metrics.disentanglement.arrays import CodeArray, HeldOutCodeArray, check_split, varying_factors
from vaelens.metrics.disentanglement.classes import values_as_classes


@dataclass(frozen=True, eq=False)
class DCI:
    """The three scores of one representation, the importances behind them, and how they were made."""

    disentanglement: float  # [0, 1], higher: each latent matters for one factor
    completeness: float  # [0, 1], higher: each factor needs one latent
    informativeness: float  # [0, 1], higher: factors are read off the code; mean accuracy on the test images
    importance: Float[np.ndarray, "d K"]  # of latent j for factor k; a column adds to 1
    estimator: str
    n_train: int
    n_test: int
    constant_latents: tuple[int, ...] = ()  # one value in the training images: rows of zeros in the importance
    constant_factors: tuple[int, ...] = ()  # one value in the training images: columns of zeros


def dci(
    codes: ArrayLike,
    factors: ArrayLike,
    test_codes: ArrayLike | None = None,
    test_factors: ArrayLike | None = None,
    estimator: str = "gradient-boosting",
    seed: Any = 0,
    jobs: int = -1,
) -> DCI:
    """Disentanglement, completeness and informativeness (DCI) of codes with respect to known factors.

    For each factor k a predictor of its value from the code gives the importance R_jk ≥ 0 of each latent j.
    With p_jk = R_jk / Σ_k R_jk, latent j has the disentanglement D_j = 1 + Σ_k p_jk log_K p_jk, and
    D = Σ_j ρ_j D_j with ρ_j = Σ_k R_jk / Σ R. With q_jk = R_jk / Σ_j R_jk, factor k has the completeness
    C_k = 1 + Σ_j q_jk log_d q_jk, and C is their mean weighted by Σ_j R_jk / Σ R. The informativeness is the
    accuracy of the predictors on the test images, averaged over factors.

    The default estimator is the reference's: scikit-learn's gradient boosting classifier as it comes, with
    its impurity importances. Another estimator is another metric; results carry its name. "random-forest" is the fast
    one: 20 trees of depth 8 at most with 5 images a leaf at least, which look at every latent at every split; also with
    impurity importances. `docs/metrics.md` has its measured difference from the reference.

    A factor with one value in the training images cannot be predicted and is left out of all three scores; K
    above counts the others. A constant latent has importance 0 and adds nothing to a sum; d above still
    counts it, as the reference does, so a code with many dead latents reaches a higher C for the same
    spread. The result lists both. D is NaN with a single varying factor and C with a single latent: their
    logarithms have base 1.

    Args:
        codes: `(N, d)` codes of the training images.
        factors: `(N, K)` whole numbers: the index of each factor's value in each training image.
        test_codes: `(M, d)` codes of the test images; without them, two thirds of the images, drawn by
            `seed`, are the training images and the rest the test images.
        test_factors: `(M, K)`, with `test_codes`.
        estimator: name of the predictor: `"gradient-boosting"`, or the fast `"random-forest"`.
        seed: seed of the split, of the order in which equally good splits of a tree are tried, and of the images that
            each tree of a forest is given.
        jobs: threads, over factors; −1 uses all cores. The numbers do not depend on it.

    Returns:
        The scores, each in [0, 1], higher is better, with the importances `(d, K)`.

    Raises:
        VaelensError: if an array is not as above, no factor varies, the estimator is unknown, or `jobs` is 0.

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
    """
    if estimator not in _ESTIMATORS:
        raise unknown("estimator", estimator, _ESTIMATORS)
    if jobs == 0:
        raise VaelensError("jobs is 0; expected a number of threads, or -1 for all cores")
    seed = check_seed(seed)
    codes, factors, test_codes, test_factors = check_split(codes, factors, test_codes, test_factors, seed)
    varying = varying_factors(factors, "the training images")
    # Threads: trees grow outside the interpreter's lock, and nothing has to be copied to another process.
    with values_as_classes():
        fitted = Parallel(n_jobs=jobs, prefer="threads")(
            delayed(_ESTIMATORS[estimator])(codes, factors[:, k], test_codes, test_factors[:, k], seed) for k in varying
        )
    columns, accuracies = zip(*fitted, strict=True)
    importance = np.zeros((codes.shape[1], factors.shape[1]))
    importance[:, varying] = np.stack(columns, axis=1)
    return DCI(
        disentanglement=_concentration(importance[:, varying]),
        completeness=_concentration(importance[:, varying].T),
        informativeness=float(np.mean(accuracies)),
        importance=importance,
        estimator=estimator,
        n_train=len(codes),
        n_test=len(test_codes),
        constant_latents=tuple(np.flatnonzero(np.ptp(codes, axis=0) == 0).tolist()),
        constant_factors=tuple(np.flatnonzero(np.ptp(factors, axis=0) == 0).tolist()),
    )


def _gradient_boosting(
    codes: CodeArray,
    values: Int[np.ndarray, " n"],
    test_codes: HeldOutCodeArray,
    test_values: Int[np.ndarray, " m"],
    seed: int,
) -> tuple[Float[np.ndarray, " d"], float]:
    """The importance of each latent for one factor, and the accuracy on the test images."""
    model = GradientBoostingClassifier(random_state=seed).fit(codes, values)
    accuracy = np.mean(model.predict(test_codes) == test_values)
    return np.asarray(model.feature_importances_), float(accuracy)


def _random_forest(
    codes: CodeArray,
    values: Int[np.ndarray, " n"],
    test_codes: HeldOutCodeArray,
    test_values: Int[np.ndarray, " m"],
    seed: int,
) -> tuple[Float[np.ndarray, " d"], float]:
    """The same of one forest for all values; every split looks at every latent, as boosting's do."""
    every: Any = None  # the stubs know names of numbers of features only
    model = RandomForestClassifier(20, max_depth=8, min_samples_leaf=5, max_features=every, random_state=seed)
    model.fit(codes, values)
    return np.asarray(model.feature_importances_), float(np.mean(model.predict(test_codes) == test_values))


_ESTIMATORS: dict[str, Callable[..., tuple[np.ndarray, float]]] = {
    "gradient-boosting": _gradient_boosting,
    "random-forest": _random_forest,
}


def _concentration(importance: Float[np.ndarray, "rows columns"]) -> float:
    """One minus the normalised entropy of each row, averaged with the rows' sums as weights."""
    rows, columns = importance.shape
    if columns == 1:
        return float("nan")
    shares = importance + 1e-11  # the reference's: a row of zeros is uniform, and concentrated nowhere
    shares = shares / shares.sum(axis=1, keepdims=True)
    per_row = 1 + np.sum(shares * np.log(shares), axis=1) / np.log(columns)
    weights = importance.sum(axis=1) if importance.sum() > 0 else np.ones(rows)
    return float(np.average(per_row, weights=weights))
