"""The predictors of DCI by name, trees with each latent's importance for a factor, and how well they predict it.

A classifier for a discrete factor, the regressor of the same kind for a continuous one. Another predictor is a line in
`PREDICTORS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from vaelens.metrics.disentanglement.arrays import CodeArray, HeldOutCodeArray


@dataclass(frozen=True)
class Predictor:
    """A kind of trees with impurity importances, whose functions return an unfitted model for a seed."""

    classifier: Callable[[int], Any]
    regressor: Callable[[int], Any]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a predictor found for one factor."""

    importance: Float[np.ndarray, " d"]  # of each latent; adds to 1, or is 0 throughout where no latent helps
    score: float  # [0, 1], higher is better
    error: float  # 0 or more, lower is better


# Every split of a forest looks at every latent, as boosting's do. A least number of images a leaf and a bound on the
# depth keep it from spending its splits, and so importance, on noise.
_FOREST: dict[str, Any] = {"n_estimators": 20, "max_depth": 8, "min_samples_leaf": 5, "max_features": None}

PREDICTORS: Mapping[str, Predictor] = {
    "gradient-boosting": Predictor(
        lambda seed: GradientBoostingClassifier(random_state=seed),
        lambda seed: GradientBoostingRegressor(random_state=seed),
    ),
    "random-forest": Predictor(
        lambda seed: RandomForestClassifier(random_state=seed, **_FOREST),
        lambda seed: RandomForestRegressor(random_state=seed, **_FOREST),
    ),
}


def classified(
    predictor: Predictor,
    codes: CodeArray,
    values: Int[np.ndarray, " n"],
    test_codes: HeldOutCodeArray,
    test_values: Int[np.ndarray, " m"],
    seed: int,
) -> Prediction:
    """Predicts a discrete factor, with the accuracy on the test images as score and what it lacks to 1 as error."""
    model = predictor.classifier(seed).fit(codes, values)
    accuracy = float(np.mean(model.predict(test_codes) == test_values))
    return Prediction(np.asarray(model.feature_importances_), accuracy, 1 - accuracy)


def regressed(
    predictor: Predictor,
    codes: CodeArray,
    values: Float[np.ndarray, " n"],
    test_codes: HeldOutCodeArray,
    test_values: Float[np.ndarray, " m"],
    seed: int,
) -> Prediction:
    """Predicts a continuous factor, with R² on the test images, at least 0, as score and √(1 − R²), uncut, as error.

    The test images have different values.
    """
    spread = np.mean((test_values - test_values.mean()) ** 2)
    # In units of the training images' spread: trees split alike, whatever the factor's unit.
    mean, unit = values.mean(), values.std()
    model = predictor.regressor(seed).fit(codes, (values - mean) / unit)
    residual = np.mean((test_values - mean - unit * model.predict(test_codes)) ** 2) / spread
    return Prediction(np.asarray(model.feature_importances_), float(max(0.0, 1 - residual)), float(np.sqrt(residual)))
