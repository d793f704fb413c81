"""The separated attribute predictability, or how much better the best latent alone predicts a factor than the next.

Costs one linear support vector machine for each latent and factor, or one correlation for continuous factors.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from sklearn.svm import LinearSVC

from vaelens.arguments import Seed
from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.arrays import CodeArray, HeldOutCodeArray, check_two_latents
from vaelens.metrics.disentanglement.classes import values_as_classes
from vaelens.metrics.disentanglement.labels import check_continuous, labelled, varying_factors
from vaelens.metrics.disentanglement.pairs import check_pair_of_kinds
from vaelens.metrics.disentanglement.split import split

Labels = Int[np.ndarray, " n"] | Float[np.ndarray, " n"]
HeldOutLabels = Int[np.ndarray, " m"] | Float[np.ndarray, " m"]

_LEAST_VARIANCE = 1e-12  # the reference's: below it a latent counts as constant


def sap(
    codes: ArrayLike,
    factors: ArrayLike,
    test_codes: ArrayLike | None = None,
    test_factors: ArrayLike | None = None,
    continuous: ArrayLike = False,
    seed: Seed = 0,
) -> float:
    """Measures how much better the best latent alone predicts each factor than the second best (SAP).

    SAP = 1/K Σ_k (S_j(k)k − max_{j ≠ j(k)} S_jk), with S_jk how well latent j alone predicts factor k, and j(k)
    the latent that does so best.

    For discrete factors S_jk is the accuracy on the test images of a linear support vector machine (squared
    hinge, C = 0.01, one class against the rest, classes weighted by the inverse of their frequency) fitted to
    the training images. For continuous ones S_jk = Cov(z_j, v_k)² / (Var(z_j) Var(v_k)), the squared
    correlation over the images of `codes`; there is nothing to test, so a test set is not looked at.

    A factor with one value in the training images cannot be predicted and is left out of the mean; K counts the
    others. A constant latent stays, as in the reference: its support vector machine guesses one value for all
    images, and may be the second best by it; where all values are equally frequent, the guess depends on their
    numbering. Its squared correlation is 0 (for that a latent is constant up to a variance of 1e-12).

    Args:
        codes: `(N, d)` codes of the training images, d at least 2.
        factors: `(N, K)` whole numbers: the index of each factor's value in each training image, −1 or NaN where it is
            missing. Any finite numbers, or NaN, where a factor is continuous.
        test_codes: `(M, d)` codes of the test images; without them, two thirds of the images, drawn by
            `seed`, are the training images and the rest the test images.
        test_factors: `(M, K)`, with `test_codes`.
        continuous: take the factors as numbers with a linear order rather than as classes: True or False for all
            of them, or one of these for each. The mean over factors of both kinds mixes two scales.
        seed: seed of the split; without effect where a test set is given or the factors are continuous.

    Returns:
        A score from 0 (every factor is predicted equally well by two latents) to about 1 − 1/values, the gap
        between certainty and a guess (continuous: to 1). Higher is better.

    Raises:
        VaelensError: if an array is not as above, no factor varies, or there is only one latent.

    References:
        Variational inference of disentangled latent concepts from unlabeled observations
        (Kumar, Sattigeri, Balakrishnan, 2018).
        Challenging common assumptions in the unsupervised learning of disentangled representations
        (Locatello et al., 2019), for the support vector machine.

    Example:
        >>> factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 30)
        >>> codes = 3.0 * factors
        >>> round(sap(codes, factors, codes, factors), 6), round(sap(codes, factors, continuous=True), 6)
        (0.5, 1.0)
    """
    all_codes, all_factors = check_pair_of_kinds(codes, factors, continuous)
    check_two_latents(all_codes, "use dci's informativeness for a single latent")
    kinds = check_continuous(continuous, all_factors.shape[1])
    predictability = [
        _squared_correlation(all_codes, all_factors[:, k]) for k in varying_factors(all_factors) if kinds[k]
    ]
    if not kinds.all():
        train, values, test, test_values = split(all_codes, all_factors, test_codes, test_factors, seed, continuous)
        varying = varying_factors(values, "the training images")
        predictability += [
            _accuracy(train, values[:, k], test, test_values[:, k], k) for k in varying.tolist() if not kinds[k]
        ]
    second, best = np.sort(predictability, axis=1)[:, -2:].T
    return float(np.mean(best - second))


def _accuracy(
    codes: CodeArray, factor: Labels, test_codes: HeldOutCodeArray, test_factor: HeldOutLabels, k: int
) -> Float[np.ndarray, " d"]:
    """Measures the test accuracy of a support vector machine on every latent, over the images that have the label."""
    have, test_have = labelled(factor), labelled(test_factor)
    if not test_have.any():
        raise VaelensError(
            f"no test image has a label of factor {k}; expected some to test its predictor on; give more test images"
        )
    values, test_values = factor[have].astype(np.int64), test_factor[test_have].astype(np.int64)
    with values_as_classes():
        return np.array(
            [
                _accuracy_of_one(latent, values, test_latent, test_values)
                for latent, test_latent in zip(codes[have].T, test_codes[test_have].T, strict=True)
            ]
        )


def _accuracy_of_one(
    latent: Float[np.ndarray, " n"],
    values: Int[np.ndarray, " n"],
    test_latent: Float[np.ndarray, " m"],
    test_values: Int[np.ndarray, " m"],
) -> float:
    # "auto" takes the primal problem for a single column, which is solved without random numbers.
    machine = LinearSVC(C=0.01, class_weight="balanced", dual="auto").fit(latent[:, None], values)
    return float(np.mean(machine.predict(test_latent[:, None]) == test_values))


def _squared_correlation(codes: CodeArray, factor: Float[np.ndarray, " n"]) -> Float[np.ndarray, " d"]:
    """Computes Cov(z_j, v)² / (Var(z_j) Var(v)) over the images that have the label, 0 for a constant latent."""
    have = labelled(factor)
    z, v = codes[have].astype(np.float64), factor[have].astype(np.float64)
    deviations, value_deviations = z - z.mean(axis=0), v - v.mean()
    variance = np.sum(deviations**2, axis=0) / (len(z) - 1)
    explained = (value_deviations @ deviations) ** 2 / np.sum(value_deviations**2)
    shares = np.zeros_like(explained)
    varying = variance > _LEAST_VARIANCE
    shares[varying] = explained[varying] / (variance[varying] * (len(z) - 1))
    return shares
