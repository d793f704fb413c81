"""The arrays that every disentanglement metric takes, named by shape, and the check of codes `(N, d)`.

NumPy arrays, torch tensors on the CPU and nested lists all pass; what is not such an array is refused with
a `VaelensError` that says which argument, what came and what to do. Nothing is reshaped or repaired.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import ArrayLike

from vaelens.errors import VaelensError

CodeArray = Float[np.ndarray, "n d"]
FactorArray = Int[np.ndarray, "n k"]  # −1 where a label is missing
ValueArray = Float[np.ndarray, "n k"]  # NaN where a label is missing
HeldOutCodeArray = Float[np.ndarray, "m d"]  # other images, the same latents
HeldOutFactorArray = Int[np.ndarray, "m k"]
HeldOutValueArray = Float[np.ndarray, "m k"]
Kinds = Bool[np.ndarray, " k"]  # True: the factor is continuous


def check_codes(codes: ArrayLike, name: str = "codes") -> CodeArray:
    """Returns the codes as a float array.

    float32 and float64 keep their precision, the rest becomes float64.

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


def check_two_latents(codes: CodeArray, remedy: str) -> None:
    """Refuses a single latent, where a score compares the best two.

    Raises:
        VaelensError: if there are fewer than 2 latents; the message ends with the remedy.
    """
    if codes.shape[1] < 2:
        raise VaelensError(
            f"codes hold {codes.shape[1]} latent; expected at least 2: the gap is between the best two; {remedy}"
        )


def check_matrix(values: ArrayLike, name: str, columns: str, letter: str) -> Shaped[np.ndarray, "n c"]:
    """Returns the values as an array of real numbers with two axes, neither of them empty.

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
