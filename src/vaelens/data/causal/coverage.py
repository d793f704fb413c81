"""The coverage of pixels by discs, strokes and rectangles, whose edges are one pixel soft."""

from typing import Any

import numpy as np


def pixel_centres(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Computes x (1, side) to the right and y (side, 1) upwards of the pixel centres."""
    centres = np.arange(side) + 0.5
    return centres[None, :], centres[::-1, None]


def inside(distance: Any) -> np.ndarray:
    """Computes the coverage in [0, 1] of pixels whose centres lie at signed distances from an edge, negative within."""
    return np.clip(0.5 - distance, 0, 1)


def disc(x: Any, y: Any, centre: tuple[float, float], radius: float) -> np.ndarray:
    """Computes the coverage of a disc."""
    return inside(np.hypot(x - centre[0], y - centre[1]) - radius)


def stroke(x: Any, y: Any, start: tuple[float, float], end: tuple[float, float], radius: float) -> np.ndarray:
    """Computes the coverage of a line from start to end, with round ends."""
    along = np.subtract(end, start)
    length = float(along @ along)
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length if length > 0 else np.zeros(1)
    share = np.clip(share, 0, 1)
    return inside(np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1]) - radius)


def rectangle(x: Any, y: Any, left: float, right: float, bottom: float, top: float) -> np.ndarray:
    """Computes the exact coverage of an upright rectangle, the product of the overlaps along both axes."""
    across = np.clip(np.minimum(x + 0.5, right) - np.maximum(x - 0.5, left), 0, 1)
    return across * np.clip(np.minimum(y + 0.5, top) - np.maximum(y - 0.5, bottom), 0, 1)
