"""The arrays that every disentanglement metric takes: codes `(N, d)` and factors `(N, K)`, checked.

NumPy arrays, torch tensors on the CPU and nested lists all pass; what is not such an array is refused with
a `VaelensError` that says which argument, what came and what to do. Nothing is reshaped or repaired.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from vaelens.errors import VaelensError

CodeArray = Float[np.ndarray, "n d"]
FactorArray = Int[np.ndarray, "n k"]
ValueArray = Float[np.ndarray, "n k"]
HeldOutCodeArray = Float[np.ndarray, "m d"]  # other images, the same latents
HeldOutFactorArray = Int[np.ndarray, "m k"]


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
    array = _matrix(codes, name, columns="latent", letter="d")
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
    array = _matrix(factors, name, columns="factor", letter="K")
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
    array = _matrix(factors, name, columns="factor", letter="K").astype(np.float64)
    finite = np.isfinite(array)
    if not finite.all():
        image, factor = np.argwhere(~finite)[0]
        raise VaelensError(
            f"{name} hold {array[image, factor]} in image {image}, factor {factor}; expected finite numbers; "
            "leave those images out"
        )
    return array


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


def check_value_pair(codes: Any, factors: Any) -> tuple[CodeArray, ValueArray]:
    """Codes and factor values of the same images: `check_pair` for factors that need not be whole numbers.

    Raises:
        VaelensError: as `check_codes` and `check_values`, and if the numbers of images differ.
    """
    checked = check_codes(codes), check_values(factors)
    _check_same_images(*checked, "codes", "factors")
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


def check_split(
    codes: Any, factors: Any, test_codes: Any, test_factors: Any, seed: int
) -> tuple[CodeArray, FactorArray, HeldOutCodeArray, HeldOutFactorArray]:
    """The training and the test images; without a test set, a seeded random split of the images.

    The split gives two thirds of the images (rounded up) to training and the rest to the test: training
    decides the importances of DCI, so it gets the larger part.

    Args:
        codes: `(N, d)`, see `check_codes`.
        factors: `(N, K)`, see `check_factors`.
        test_codes: `(M, d)`, or None.
        test_factors: `(M, K)`, or None, both or neither.
        seed: seed of the split, 0 or more; without effect where a test set is given.

    Returns:
        Training codes and factors, test codes and factors.

    Raises:
        VaelensError: as `check_pair`, if only one of the test arrays is given, if it has other latents or
            factors than the training array, if the seed is no seed, or if there is too little to split.

    Example:
        >>> parts = check_split(np.zeros((30, 4)), np.zeros((30, 2)), None, None, seed=0)
        >>> [part.shape for part in parts]
        [(20, 4), (20, 2), (10, 4), (10, 2)]
    """
    if not 0 <= seed < 2**32:
        raise VaelensError(f"seed is {seed}; expected a whole number from 0 to 2**32 - 1")
    codes, factors = check_pair(codes, factors)
    if test_codes is None and test_factors is None:
        if len(codes) < 3:
            raise VaelensError(
                f"codes hold {len(codes)} images; expected at least 3 to split into training and test; "
                "give more images, or a test set"
            )
        order = np.random.default_rng(seed).permutation(len(codes))
        train, test = np.split(order, [-(-2 * len(order) // 3)])
        return codes[train], factors[train], codes[test], factors[test]
    if test_codes is None or test_factors is None:
        given, missing = ("test_factors", "test_codes")[:: 1 if test_codes is None else -1]
        raise VaelensError(
            f"{given} came without {missing}; expected both or neither; "
            f"give {missing} too, or neither for a seeded split of the images"
        )
    test_codes, test_factors = check_pair(test_codes, test_factors, "test_codes", "test_factors")
    for name, columns, array, other in (
        ("codes", "latents", codes, test_codes),
        ("factors", "factors", factors, test_factors),
    ):
        if array.shape[1] != other.shape[1]:
            raise VaelensError(
                f"test_{name} hold {other.shape[1]} {columns} and {name} {array.shape[1]}; "
                "expected the same columns in both; take both from the same model and dataset"
            )
    return codes, factors, test_codes, test_factors


def _check_same_images(codes: np.ndarray, factors: np.ndarray, codes_name: str, factors_name: str) -> None:
    if len(codes) != len(factors):
        raise VaelensError(
            f"{codes_name} hold {len(codes)} images and {factors_name} {len(factors)}; expected the same images in "
            "both, in the same order, one row for each image; transpose arrays that hold one column for each image"
        )


def _matrix(values: Any, name: str, columns: str, letter: str) -> np.ndarray:
    """An array of real numbers with two axes, neither empty."""
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
