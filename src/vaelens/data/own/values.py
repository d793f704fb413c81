"""The user's vectors, series and volumes as an array, told apart and checked for shape, type and range."""

from typing import Any

import numpy as np

from vaelens.data.annotations import Names, Range
from vaelens.errors import VaelensError
from vaelens.observation import Observation

BLOCK = 2**24  # values looked at at once


def checked_kind(array: np.ndarray, features: Names | None, limits: Range, observation: Any) -> Observation | None:
    """Finds out what an array's rows are, vectors and volumes by their axes, all else by the observation given.

    Returns:
        The observation; None for images, and for what is refused as images are.

    Raises:
        VaelensError: If the observation given is none, has another shape, or stands beside features or a range.
    """
    if observation is not None:
        if not isinstance(observation, Observation):
            raise VaelensError(f"observation is a {type(observation).__name__}; expected a vl.Observation")
        if features is not None or limits is not None:
            raise VaelensError("features and range are in the observation; give it alone, or leave it out")
        if array.ndim < 2 or array.shape[1:] != observation.shape:
            raise VaelensError(f"the array has shape {array.shape}, and the observation says {observation.batch}")
        return observation
    if array.ndim not in (2, 5) or array.size == 0:
        if features is not None or limits is not None:
            raise VaelensError(
                f"an array of shape {array.shape} with features or range; give observation=vl.Observation… that says "
                "what its rows are"
            )
        return None
    low, high = (None, None) if limits is None else limits
    if array.ndim == 2:
        names = None if features is None else tuple(map(str, features))
        return Observation(array.shape[1:], ("feature",), low, high, "vectors", names)
    return Observation.volume(array.shape[1:], low, high, features)


def checked_values(array: np.ndarray, kind: Observation) -> np.ndarray:
    """Checks the values of observations that are no images.

    Raises:
        VaelensError: If they are no numbers, not finite, or out of the range.
    """
    if array.dtype.kind not in "biuf":
        raise VaelensError(f"{kind.noun} have type {array.dtype}; expected numbers")
    if array.size == 0:
        raise VaelensError(f"no {kind.noun} given, an array of shape {array.shape}; give at least one")
    step = max(1, BLOCK // max(1, array[0].size))
    for start in range(0, len(array), step):
        block = array[start : start + step]
        kind.check_range(float(block.min()), float(block.max()))
    return array
