"""p-values of several tests at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaelens.errors import VaelensError


def holm_sidak(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusts p-values so that all of m tests together err with at most the level chosen.

    By Holm's steps and Šidák's bound: with p₍₁₎ ≤ … ≤ p₍ₘ₎, the adjusted p₍ᵢ₎ is max over j ≤ i of
    1 − (1 − p₍ⱼ₎)^(m − j + 1). Šidák's bound holds for tests that are independent or positively dependent.

    Args:
        p: p-values of any shape, in [0, 1]; NaN is a test that was not made, and does not count.

    Returns:
        The adjusted p-values in the places of the original ones, in [0, 1], none smaller than before; NaN stays NaN.

    Raises:
        VaelensError: a value that is no probability.

    References:
        A simple sequentially rejective multiple test procedure (Holm, 1979).
        An improved sequentially rejective Bonferroni test procedure (Holland, Copenhaver, 1987).

    Example:
        >>> holm_sidak([0.04, float("nan"), 0.01])
        array([0.04  ,    nan, 0.0199])
    """
    p = np.asarray(p, dtype=np.float64)
    if (wrong := p[(p < 0) | (p > 1)]).size:
        raise VaelensError(f"p has the value {wrong[0]}; expected probabilities between 0 and 1, or NaN")
    tested = p[~np.isnan(p)]
    order = np.argsort(tested, kind="stable")
    with np.errstate(divide="ignore"):  # p = 1 has no logarithm of 1 − p, and its adjusted value is 1
        # By logarithms: 1 − (1 − p)^m is 0 for p near 1e-17, where m·p is right.
        stepped = -np.expm1(np.arange(len(tested), 0, -1) * np.log1p(-tested[order]))
    adjusted = np.full_like(p, np.nan)
    in_place = np.empty_like(tested)
    in_place[order] = np.maximum.accumulate(stepped)
    adjusted[~np.isnan(p)] = in_place
    return adjusted
