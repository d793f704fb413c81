"""Explicitness, or how well a linear classifier on the whole code ranks the images by each value of each factor.

Costs one logistic regression for each factor.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score

from vaelens.arguments import Seed
from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.classes import logistic_regression
from vaelens.metrics.disentanglement.labels import labelled, varying_factors
from vaelens.metrics.disentanglement.split import check_split


def explicitness(
    codes: ArrayLike,
    factors: ArrayLike,
    test_codes: ArrayLike | None = None,
    test_factors: ArrayLike | None = None,
    seed: Seed = 0,
) -> float:
    """Measures how well every value of known factors can be read off the code linearly.

    For each factor k a multinomial logistic regression from the whole code (scikit-learn's defaults: L2 with
    C = 1) is fitted to the training images. With A_kv the area under the ROC curve on the test images of the
    probability given to value v against whether the factor has that value, the score is
    1/K Σ_k 1/V_k Σ_v A_kv, V_k being the factor's number of values.

    A factor with one value in the training images is left out of the mean; so is a value that the training
    images lack, or that none or all of the test images have, for there is no area under its curve. A constant
    latent tells nothing and changes nothing. The penalty makes the score depend on the codes' scale; a
    `VaelensWarning` says where their scale keeps the regression from converging.

    Args:
        codes: `(N, d)` codes of the training images.
        factors: `(N, K)` whole numbers: the index of each factor's value in each training image, −1 or NaN
            where it is missing.
        test_codes: `(M, d)` codes of the test images; without them, two thirds of the images, drawn by
            `seed`, are the training images and the rest the test images.
        test_factors: `(M, K)`, with `test_codes`.
        seed: seed of the split; without effect where a test set is given.

    Returns:
        A score from 0 to 1 (every value is ranked perfectly); 0.5 is a guess. Higher is better.

    Raises:
        VaelensError: if an array is not as above, no factor varies, or a factor's test images leave no value to
            score.

    References:
        Learning deep disentangled embeddings with the F-statistic loss (Ridgeway, Mozer, 2018).
        Challenging common assumptions in the unsupervised learning of disentangled representations
        (Locatello et al., 2019), for the classifier.

    Example:
        >>> factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 10)
        >>> explicitness(codes=factors @ [[1, 1], [1, -1]], factors=factors)
        1.0
        >>> explicitness(codes=np.zeros((40, 2)), factors=factors)
        0.5
    """
    codes, factors, test_codes, test_factors = check_split(codes, factors, test_codes, test_factors, seed)
    scores = []
    for k in varying_factors(factors, "the training images"):
        train, test = labelled(factors)[:, k], labelled(test_factors)[:, k]
        model = logistic_regression(codes[train], factors[train, k], "explicitness")
        areas = []
        if test.any():
            probabilities = model.predict_proba(test_codes[test].astype(np.float64))
            areas = _areas(probabilities, model.classes_, test_factors[test, k])
        if not areas:
            raise VaelensError(
                f"factor {k} has one value, or none of the training images' values, in the test images; expected at "
                "least 2 values, so that images can be ranked; give more test images"
            )
        scores.append(np.mean(areas))
    return float(np.mean(scores))


def _areas(
    probabilities: Float[np.ndarray, "m v"], values: Int[np.ndarray, " v"], truth: Int[np.ndarray, " m"]
) -> list[float]:
    """Computes the area under the ROC curve of each value that some but not all images have."""
    return [
        float(roc_auc_score(has_value, probability))
        for has_value, probability in zip(truth == values[:, None], probabilities.T, strict=True)
        if 0 < has_value.sum() < len(has_value)
    ]
