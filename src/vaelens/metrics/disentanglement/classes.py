"""A factor's values as the classes of a scikit-learn classifier, and the one classifier that two scores share."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Int
from sklearn.linear_model import LogisticRegression

from vaelens.errors import VaelensWarning
from vaelens.metrics.disentanglement.arrays import CodeArray

_STEPS = 1000


@contextmanager
def values_as_classes() -> Iterator[None]:
    """Lets fits inside take a factor's values as classes, however many there are for the images at hand.

    scikit-learn warns where there are more classes than half the images, in case they were meant as numbers.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%", UserWarning)
        yield


def logistic_regression(codes: CodeArray, values: Int[np.ndarray, " n"], score: str) -> LogisticRegression:
    """Fits a multinomial logistic regression of values from codes.

    With scikit-learn's defaults, L2 with C = 1; in float64 and to convergence, so that the order of latents and values
    does not show.

    Args:
        codes: `(N, d)`.
        values: `(N,)`, 2 different ones or more.
        score: what it is fitted for, for the warning where 1,000 steps are too few.
    """
    with values_as_classes():
        warnings.filterwarnings("ignore", r"(?s)lbfgs failed to converge.*status=1")
        model = LogisticRegression(max_iter=_STEPS).fit(codes.astype(np.float64), values)
    if np.max(model.n_iter_) >= _STEPS:
        spread = codes.std(axis=0, dtype=np.float64)
        warnings.warn(
            f"the {score}'s logistic regression has not converged after {_STEPS:,} steps; codes of mean 0 and standard "
            f"deviation about 1 are expected, and these have standard deviations from {spread.min():.2g} to "
            f"{spread.max():.2g} and means up to {np.abs(codes.mean(axis=0, dtype=np.float64)).max():.2g}; the score "
            "may be a little low; standardise the codes",
            VaelensWarning,
            stacklevel=3,
        )
    return model
