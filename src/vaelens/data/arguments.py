"""The arrays and seeds that users hand over, turned into what the datasets work with, or refused in one sentence."""

from typing import Any

import numpy as np
import torch

from vaelens.arguments import check_seed
from vaelens.errors import VaelensError


def generator(seed: Any) -> np.random.Generator:
    """The random generator of a `seed` argument; the global random state is neither read nor changed."""
    return np.random.default_rng(check_seed(seed))


def as_array(value: Any, what: str) -> np.ndarray:
    """A NumPy view of an array, a tensor on any device, or nested lists; copied only where it must be."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    try:
        return np.asarray(value)
    except ValueError as error:
        raise VaelensError(f"{what} must be a regular array, got rows of different lengths") from error


def whole_numbers(value: Any, what: str) -> np.ndarray:
    """`as_array`, refused unless its dtype is one of whole numbers."""
    array = as_array(value, what)
    if array.dtype.kind not in "iu":
        raise VaelensError(f"{what} must be whole numbers, got an array of {array.dtype}")
    return array
