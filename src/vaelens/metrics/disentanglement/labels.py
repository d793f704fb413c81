"""The labels of images, factors `(N, K)` that are discrete or continuous, of which some may be missing.

A missing label is −1 or NaN in a discrete factor and NaN in a continuous one. It is never a class: each factor is
scored over the images that have its label.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Shaped
from numpy.typing import ArrayLike

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.arrays import FactorArray, Kinds, ValueArray, check_matrix

MISSING = -1


def check_factors(factors: ArrayLike, name: str = "factors") -> FactorArray:
    """Returns the factors as an int64 array, −1 where a label is missing.

    Whole numbers in floats pass.

    Args:
        factors: `(N, K)` whole numbers, one row for each image: the index of each factor's value; −1 or NaN where it
            is missing.
        name: what the caller calls this argument.

    Raises:
        VaelensError: if it is not an array of whole numbers with two axes, or is empty.

    Example:
        >>> check_factors([[0.0, 1.0], [2.0, float("nan")]])
        array([[ 0,  1],
               [ 2, -1]])
    """
    array = check_matrix(factors, name, columns="factor", letter="K")
    labels = np.where(np.isnan(array), MISSING, array) if array.dtype.kind == "f" else array
    whole = np.isfinite(labels) & (np.trunc(labels) == labels)
    if not whole.all():
        image, factor = np.argwhere(~whole)[0]
        raise VaelensError(
            f"{name} hold {array[image, factor]} in image {image}, factor {factor}; expected whole numbers, "
            "the index of each factor's value; np.unique(column, return_inverse=True)[1] turns values into indices"
        )
    return labels.astype(np.int64)


def check_values(factors: ArrayLike, name: str = "factors") -> ValueArray:
    """Returns the factors as a float64 array, for metrics that take values themselves rather than their indices.

    Args:
        factors: `(N, K)` finite numbers, one row for each image: the value of each factor; NaN where it is missing.
        name: what the caller calls this argument.

    Raises:
        VaelensError: if it is not an array of numbers with two axes, is empty, or holds infinity.

    Example:
        >>> check_values([[0, 1.5], [2, 3]])
        array([[0. , 1.5],
               [2. , 3. ]])
    """
    array = check_matrix(factors, name, columns="factor", letter="K").astype(np.float64)
    infinite = np.isinf(array)
    if infinite.any():
        image, factor = np.argwhere(infinite)[0]
        raise VaelensError(
            f"{name} hold {array[image, factor]} in image {image}, factor {factor}; expected finite numbers; "
            "leave those images out, or write NaN where a label is missing"
        )
    return array


def check_continuous(continuous: Any, factors: int) -> Kinds:
    """Returns which factors are continuous, numbers with an order and distances rather than classes.

    Args:
        continuous: True or False for all factors, or one of them for each.
        factors: how many there are.

    Raises:
        VaelensError: if it is neither; 0 and 1 do not pass, for they might be meant as the factors' numbers.

    Example:
        >>> check_continuous(True, 2), check_continuous([True, False], 2)
        (array([ True,  True]), array([ True, False]))
    """
    if isinstance(continuous, bool | np.bool_):
        return np.full(factors, bool(continuous))
    kinds = None if isinstance(continuous, str) else np.array(continuous)
    if kinds is None or kinds.dtype != bool or kinds.shape != (factors,):
        raise VaelensError(
            f"continuous is {continuous!r}; expected True or False, or one of them for each of the {factors} factors"
        )
    return kinds


def check_kinds(factors: ArrayLike, continuous: ArrayLike, name: str = "factors") -> FactorArray | ValueArray:
    """Returns the factors as an int64 array where all are discrete, else as a float64 array.

    Args:
        factors: `(N, K)`, whole numbers in the discrete columns, finite numbers in the continuous ones.
        continuous: see `check_continuous`.
        name: what the caller calls this argument.

    Raises:
        VaelensError: as `check_factors` for the discrete columns, as `check_values` for the continuous ones, and as
            `check_continuous`.

    Example:
        >>> check_kinds([[0, 1.5], [-1, 3]], continuous=[False, True])
        array([[0. , 1.5],
               [nan, 3. ]])
    """
    array = check_matrix(factors, name, columns="factor", letter="K")
    kinds = check_continuous(continuous, array.shape[1])
    if not kinds.any():
        return check_factors(array, name)
    values = check_values(array, name)
    labels = check_factors(np.where(kinds, 0, values), name)  # columns keep their numbers in the message
    return np.where(kinds, values, np.where(labels == MISSING, np.nan, labels))


def labelled(factors: Shaped[np.ndarray, "*any"]) -> Bool[np.ndarray, "*any"]:
    """Returns which images have which label, of one factor or of several.

    Example:
        >>> labelled(np.array([[0, -1], [-1, 3]]))
        array([[ True, False],
               [False,  True]])
    """
    return ~np.isnan(factors) if factors.dtype.kind == "f" else factors != MISSING


def varying_factors(factors: FactorArray | ValueArray, where: str = "these images") -> Int[np.ndarray, " v"]:
    """Returns the factors with more than one value, which scores are computed over.

    Raises:
        VaelensError: if there is none.

    Example:
        >>> varying_factors(np.array([[3, 0, 7], [3, 1, -1]]))
        array([1])
    """
    have = labelled(factors)
    varying = [k for k in range(factors.shape[1]) if have[:, k].any() and np.ptp(factors[have[:, k], k]) > 0]
    if not varying:
        raise VaelensError(
            f"every factor has one value in {where}; expected a factor that varies; "
            "draw images with different factor values"
        )
    return np.array(varying, dtype=np.int64)
