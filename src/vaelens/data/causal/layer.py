"""A layer of a picture, with a coverage for every level of the variables that it shows.

Coverages are computed once: an image is then a lookup and a blend for each layer, within the rectangle that it touches.
"""

import numpy as np


class Layer:
    """A layer of one colour for each level, or for all.

    Args:
        columns: The columns of the factor values that the coverage depends on.
        coverage: Float (sizes of those factors …, side, side) in [0, 1].
        colour: (3,) in [0, 1].
    """

    def __init__(self, columns: tuple[int, ...], coverage: np.ndarray, colour: tuple[float, float, float]) -> None:
        touched = coverage.reshape(-1, *coverage.shape[-2:]).max(axis=0) > 0
        rows, across = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
        self._window = slice(rows[0], rows[-1] + 1), slice(across[0], across[-1] + 1)
        self._columns = columns
        self._coverage = np.ascontiguousarray(coverage[..., self._window[0], self._window[1]], dtype=np.float32)
        self._colour = np.array(colour, dtype=np.float32)[:, None, None]

    def lay(self, images: np.ndarray, factors: np.ndarray) -> None:
        """Blends the layer into images float32 (n, 3, side, side) of factor values (n, K), in place."""
        opacity = self._coverage[tuple(factors[:, column] for column in self._columns)]
        opacity = opacity.reshape(-1, 1, *opacity.shape[-2:])  # (n, 1, h, w), or (1, 1, h, w) without columns
        part = images[:, :, self._window[0], self._window[1]]
        part += opacity * (self._colour - part)
