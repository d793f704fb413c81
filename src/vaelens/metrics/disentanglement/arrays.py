"""The arrays that every disentanglement metric takes: codes `(N, d)` and factors `(N, K)`, checked.

NumPy arrays, torch tensors on the CPU and nested lists all pass; what is not such an array is refused with
a `VaelensError` that says which argument, what came and what to do. Nothing is reshaped or repaired.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from vaelens.errors import VaelensError

CodeArray = Float[np.ndarray, "n d"]
FactorArray = Int[np.ndarray, "n k"]
ValueArray = Float[np.ndarray, "n k"]
HeldOutCodeArray = Float[np.ndarray, "m d"]  # other images, the same latents
HeldOutFactorArray = Int[np.ndarray, "m k"]
HeldOutValueArray = Float[np.ndarray, "m k"]
Kinds = Bool[np.ndarray, " k"]  # True: the factor is continuous


def check_codes(codes: Any, name: str = "codes") -> CodeArray:
    """The codes as a float array; float32 and float64 keep their precision, the rest becomes float64.

    Args:
        codes: `(N, d)` finite numbers, one row for each image.
        name: what the caller calls this argument.

    Raises:
        VaelensError: if it is not an array of finite numbers with two axes, or is empty.

    Example:
        >>> check_codes([[0, 1], [2, 3]])
        array([[0., 1.],
               [2., 3.]])
    """
    array = check_matrix(codes, name, columns="latent", letter="d")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    finite = np.isfinite(array)
    if not finite.all():
        image, latent = np.argwhere(~finite)[0]
        raise VaelensError(
            f"{name} hold values that are not finite ({np.sum(~finite)} of {array.size}), the first in "
            f"image {image}, latent {latent}; expected finite numbers; leave those images out, or check the encoder"
        )
    return array


def check_factors(factors: Any, name: str = "factors") -> FactorArray:
    """The factors as an int64 array; whole numbers in floats pass.

    Args:
        factors: `(N, K)` whole numbers, one row for each image: the index of each factor's value.
        name: what the caller calls this argument.

    Raises:
        VaelensError: if it is not an array of whole numbers with two axes, or is empty.

    Example:
        >>> check_factors([[0.0, 1.0], [2.0, 3.0]])
        array([[0, 1],
               [2, 3]])
    """
    array = check_matrix(factors, name, columns="factor", letter="K")
    whole = np.isfinite(array) & (np.trunc(array) == array)
    if not whole.all():
        image, factor = np.argwhere(~whole)[0]
        raise VaelensError(
            f"{name} hold {array[image, factor]} in image {image}, factor {factor}; expected whole numbers, "
            "the index of each factor's value; np.unique(column, return_inverse=True)[1] turns values into indices"
        )
    return array.astype(np.int64)


def check_values(factors: Any, name: str = "factors") -> ValueArray:
    """The factors as a float64 array, for metrics that take values themselves rather than their indices.

    Args:
        factors: `(N, K)` finite numbers, one row for each image: the value of each factor.
        name: what the caller calls this argument.

    Raises:
        VaelensError: if it is not an array of finite numbers with two axes, or is empty.

    Example:
        >>> check_values([[0, 1.5], [2, 3]])
        array([[0. , 1.5],
               [2. , 3. ]])
    """
    array = check_matrix(factors, name, columns="factor", letter="K").astype(np.float64)
    finite = np.isfinite(array)
    if not finite.all():
        image, factor = np.argwhere(~finite)[0]
        raise VaelensError(
            f"{name} hold {array[image, factor]} in image {image}, factor {factor}; expected finite numbers; "
            "leave those images out"
        )
    return array


def check_continuous(continuous: Any, factors: int) -> Kinds:
    """Which factors are continuous: numbers with an order and distances, rather than classes.

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


def check_kinds(factors: Any, continuous: Any, name: str = "factors") -> FactorArray | ValueArray:
    """The factors as an int64 array where all are discrete, else as a float64 array.

    Args:
        factors: `(N, K)`, whole numbers in the discrete columns, finite numbers in the continuous ones.
        continuous: see `check_continuous`.
        name: what the caller calls this argument.

    Raises:
        VaelensError: as `check_factors` for the discrete columns, as `check_values` for the continuous ones, and as
            `check_continuous`.

    Example:
        >>> check_kinds([[0, 1.5], [2, 3]], continuous=[False, True])
        array([[0. , 1.5],
               [2. , 3. ]])
    """
    array = check_matrix(factors, name, columns="factor", letter="K")
    kinds = check_continuous(continuous, array.shape[1])
    if not kinds.any():
        return check_factors(array, name)
    values = check_values(array, name)
    if not kinds.all():
        check_factors(np.where(kinds, 0, values), name)  # columns keep their numbers in the message
    return values


def check_pair(
    codes: Any, factors: Any, codes_name: str = "codes", factors_name: str = "factors"
) -> tuple[CodeArray, FactorArray]:
    """Codes and factors of the same images.

    Args:
        codes: `(N, d)`, see `check_codes`.
        factors: `(N, K)`, see `check_factors`.
        codes_name: what the caller calls the first argument.
        factors_name: what the caller calls the second.

    Raises:
        VaelensError: as `check_codes` and `check_factors`, and if the numbers of images differ.
    """
    checked = check_codes(codes, codes_name), check_factors(factors, factors_name)
    _check_same_images(*checked, codes_name, factors_name)
    return checked


def check_pair_of_kinds(
    codes: Any, factors: Any, continuous: Any, codes_name: str = "codes", factors_name: str = "factors"
) -> tuple[CodeArray, FactorArray | ValueArray]:
    """Codes and factors of the same images: `check_pair` for factors of which some or all may be continuous.

    Raises:
        VaelensError: as `check_codes` and `check_kinds`, and if the numbers of images differ.
    """
    checked = check_codes(codes, codes_name), check_kinds(factors, continuous, factors_name)
    _check_same_images(*checked, codes_name, factors_name)
    return checked


def check_two_latents(codes: CodeArray, remedy: str) -> None:
    """Refuses a single latent, where a score compares the best two.

    Raises:
        VaelensError: if there are fewer than 2 latents; the message ends with the remedy.
    """
    if codes.shape[1] < 2:
        raise VaelensError(
            f"codes hold {codes.shape[1]} latent; expected at least 2: the gap is between the best two; {remedy}"
        )


def varying_factors(factors: FactorArray | ValueArray, where: str = "these images") -> Int[np.ndarray, " v"]:
    """The factors with more than one value: the columns that scores are computed over.

    Raises:
        VaelensError: if there is none.

    Example:
        >>> varying_factors(np.array([[3, 0, 7], [3, 1, 8]]))
        array([1, 2])
    """
    varying = np.flatnonzero(np.ptp(factors, axis=0))
    if len(varying) == 0:
        raise VaelensError(
            f"every factor has one value in {where}; expected a factor that varies; "
            "draw images with different factor values"
        )
    return varying


def _check_same_images(codes: np.ndarray, factors: np.ndarray, codes_name: str, factors_name: str) -> None:
    if len(codes) != len(factors):
        raise VaelensError(
            f"{codes_name} hold {len(codes)} images and {factors_name} {len(factors)}; expected the same images in "
            "both, in the same order, one row for each image; transpose arrays that hold one column for each image"
        )


def check_matrix(values: Any, name: str, columns: str, letter: str) -> Shaped[np.ndarray, "n c"]:
    """The values as an array of real numbers with two axes, neither of them empty.

    Args:
        values: an array, a tensor or nested lists.
        name: what the caller calls this argument.
        columns: what a column is.
        letter: the number of columns in the shape that is asked for.

    Raises:
        VaelensError: if they are no such array.
    """
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise VaelensError(
            f"{name} is a {type(values).__name__} that NumPy cannot read ({error}); expected an array "
            f"(N, {letter}); call .detach().cpu().float() on a torch tensor"
        ) from error
    if array.dtype.kind not in "biuf":
        raise VaelensError(f"{name} hold {array.dtype}; expected an array (N, {letter}) of real numbers")
    if array.ndim != 2:
        remedy = (
            f"for a single {columns} pass {name}[:, None]"
            if array.ndim == 1
            else f"give one number for each {columns}, for example by averaging over positions"
        )
        raise VaelensError(
            f"{name} have shape {array.shape}; expected (N, {letter}), one row for each image and "
            f"one column for each {columns}; {remedy}"
        )
    if array.size == 0:
        raise VaelensError(
            f"{name} have shape {array.shape}; expected at least one image and one {columns}; "
            "check the selection they come from"
        )
    return array
