"""Pictures laid over one another in layers, each with a coverage for every level of the variables that it shows.

Coverages are computed once, with edges one pixel soft; an image is then a lookup and a blend for each layer, within
the rectangle that the layer ever touches.
"""

from typing import Any

import numpy as np


def pixel_centres(side: int) -> tuple[np.ndarray, np.ndarray]:
    """The x and y of pixel centres, (1, side) and (side, 1): x to the right, y up, 0 at the lower left corner."""
    centres = np.arange(side) + 0.5
    return centres[None, :], centres[::-1, None]


def inside(distance: Any) -> np.ndarray:
    """The coverage in [0, 1] of pixels whose centres lie at signed distances from an edge, negative within."""
    return np.clip(0.5 - distance, 0, 1)


def disc(x: Any, y: Any, centre: tuple[float, float], radius: float) -> np.ndarray:
    """The coverage of a disc."""
    return inside(np.hypot(x - centre[0], y - centre[1]) - radius)


def stroke(x: Any, y: Any, start: tuple[float, float], end: tuple[float, float], radius: float) -> np.ndarray:
    """The coverage of a line from start to end, with round ends."""
    along = np.subtract(end, start)
    length = float(along @ along)
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length if length > 0 else np.zeros(1)
    share = np.clip(share, 0, 1)
    return inside(np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1]) - radius)


def rectangle(x: Any, y: Any, left: float, right: float, bottom: float, top: float) -> np.ndarray:
    """The coverage of an upright rectangle: exact, the product of the overlaps along both axes."""
    across = np.clip(np.minimum(x + 0.5, right) - np.maximum(x - 0.5, left), 0, 1)
    return across * np.clip(np.minimum(y + 0.5, top) - np.maximum(y - 0.5, bottom), 0, 1)


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
        """Blend the layer into images float32 (n, 3, side, side) of factor values (n, K), in place."""
        opacity = self._coverage[tuple(factors[:, column] for column in self._columns)]
        opacity = opacity.reshape(-1, 1, *opacity.shape[-2:])  # (n, 1, h, w), or (1, 1, h, w) without columns
        part = images[:, :, self._window[0], self._window[1]]
        part += opacity * (self._colour - part)
