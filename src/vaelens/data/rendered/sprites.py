"""White sprites on black, rendered on demand, a stand-in for dSprites calibrated on its real frames.

Costs about 10 microseconds an image: only a window about the sprite is computed, in double precision so that
a pixel never depends on its batch.
"""

import numpy as np

from vaelens.data.annotations import Count
from vaelens.data.factors import Factor, Factors
from vaelens.data.grid import GridDataset
from vaelens.data.smaller import checked_side, smaller
from vaelens.observation import Observation

SIDE = 64
REACH = 14  # the farthest corner of the largest shape, from the pixel its centre rounds to
CHUNK = 64  # images at once: their windows stay in the cache

# The heart's outline: its radius in pixels at the angles -pi + 2 pi k / 180, linear in between.
# fmt: off
HEART_RADII = np.array([
    8.0911, 8.3956, 8.4333, 8.7464, 9.0262, 9.1924, 9.4068, 9.5654, 9.8846, 10.0245, 10.3181, 10.3628,
    10.3181, 10.6535, 10.7470, 10.8633, 11.0226, 11.1809, 11.2019, 11.0647, 11.2019, 11.2019, 11.2237, 11.2019,
    11.2019, 11.2019, 11.0647, 11.2019, 11.0226, 10.9213, 10.7005, 10.6465, 10.2349, 10.3181, 9.9247, 9.7206,
    9.3937, 9.2465, 8.8032, 8.4185, 7.8419, 7.5166, 7.2444, 6.5192, 5.6118, 5.3352, 5.6118, 6.2027,
    7.2444, 7.4495, 7.8419, 8.4185, 8.8032, 9.1924, 9.3937, 9.7206, 9.9368, 10.3181, 10.2349, 10.6465,
    10.7005, 10.9213, 11.0226, 11.2019, 11.0647, 11.2019, 11.2019, 11.2019, 11.2237, 11.2019, 11.2019, 11.0647,
    11.2019, 11.1809, 11.0226, 10.8633, 10.7470, 10.6535, 10.5119, 10.3628, 10.1242, 10.0245, 9.8846, 9.5654,
    9.4068, 9.2465, 9.0262, 8.7464, 8.4333, 8.3956, 8.0911, 7.9057, 7.8419, 7.5314, 7.3824, 7.2444,
    7.2444, 6.9642, 6.8175, 6.7236, 6.5950, 6.4416, 6.4416, 6.2027, 6.2027, 6.2381, 6.2027, 6.2027,
    5.8712, 5.8712, 5.8712, 5.8712, 5.9670, 5.8712, 5.8712, 5.8712, 5.8712, 5.8712, 5.8712, 6.2027,
    6.2381, 6.2027, 6.2027, 6.1940, 6.4416, 6.4416, 6.6708, 6.8175, 7.0353, 7.2444, 7.2444, 7.7134,
    7.8976, 8.2127, 8.8032, 9.4068, 8.8032, 8.2127, 7.8976, 7.7134, 7.2444, 7.2444, 6.9642, 6.8175,
    6.7236, 6.4416, 6.4416, 6.1940, 6.2027, 6.2027, 6.2381, 6.2027, 5.8712, 5.8712, 5.8712, 5.8712,
    5.8712, 5.8712, 5.9670, 5.8712, 5.8712, 5.8712, 5.8712, 6.2027, 6.2027, 6.2381, 6.2027, 6.2027,
    6.4416, 6.4416, 6.5950, 6.7236, 6.8175, 7.0353, 7.2444, 7.2444, 7.3824, 7.5314, 7.8419, 7.9057,
])
# fmt: on
HEART_STEPS = np.roll(HEART_RADII, -1) - HEART_RADII


def inside_square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Says which points lie in the square, in its own frame."""
    return np.maximum(np.abs(u), np.abs(v)) <= 9.6


def inside_ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Says which points lie in the ellipse, in its own frame."""
    return (u / 12.8) ** 2 + (v / 7.2) ** 2 <= 1


def inside_heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Says which points lie in the heart, in its own frame, no farther out than the outline at their angle."""
    position = (np.arctan2(v, u) + np.pi) * (len(HEART_RADII) / (2 * np.pi))
    below = position.astype(np.intp)
    np.minimum(below, len(HEART_RADII) - 1, out=below)  # the angle pi is the end of the last step
    radius = HEART_RADII[below] + (position - below) * HEART_STEPS[below]
    return u * u + v * v <= radius * radius


class Sprites(GridDataset):
    """A square, an ellipse or a heart at 6 scales, 40 orientations and 32 × 32 positions, 737,280 images.

    The factors, their values, their order and the sampling (one hard sample a pixel) are those of dSprites; the
    outlines were fitted to its published frames. On 46 frames of each shape the renderings differ from the real
    ones by at most 1.5 of 4,096 pixels on average, which a test checks. As there, the first and the
    last orientation, 0 and 2 pi, are the same picture, and shapes have symmetries of their own.

    With column i, row j, scale s in linspace(0.5, 1, 6), orientation t in linspace(0, 2 pi, 40) and centre
    (15.5 + 32 x, 15.5 + 32 y), x and y in linspace(0, 1, 32), a pixel is white if (u, v) lies in the shape:
    u = (cos t (i - cx) - sin t (j - cy)) / s and v = (sin t (i - cx) + cos t (j - cy)) / s.

    Args:
        size: Side of the images in pixels, 64, or 32 or 16 as means of blocks of the full rendering's.

    References:
        Matthey, Higgins, Hassabis, Lerchner. dSprites: Disentanglement testing Sprites dataset. 2017.
        https://github.com/google-deepmind/dsprites-dataset

    Example:
        >>> sprites = Sprites()
        >>> len(sprites), sprites.image_shape
        (737280, (1, 64, 64))
        >>> x = sprites.images([[0, 5, 0, 0, 0]])  # the largest square, upright, in the upper left corner
        >>> int(x.sum())  # 20 pixels wide
        400
    """

    name = "sprites"
    observation = Observation.image((1, SIDE, SIDE))
    factors = Factors(
        (
            Factor("shape", 3, "categorical"),
            Factor("scale", 6, "ordinal"),
            Factor("orientation", 40, "circular"),
            Factor("position_x", 32, "ordinal"),
            Factor("position_y", 32, "ordinal"),
        )
    )

    def __init__(self, size: Count = SIDE) -> None:
        self._side = checked_side(size)
        self.observation = Observation.image((1, self._side, self._side))

    @property
    def options(self) -> dict[str, object]:
        """Lists the size, where it is not the full one."""
        return {} if self._side == SIDE else {"size": self._side}

    def render(self, factors: np.ndarray) -> np.ndarray:
        """Renders factor values int64 (n, 5) as float32 (n, 1, size, size), of full size each pixel 0 or 1."""
        shape = factors[:, 0]
        scale = np.linspace(0.5, 1, 6)[factors[:, 1]]
        angle = np.linspace(0, 2 * np.pi, 40)[factors[:, 2]]
        centre = 15.5 + 32 * np.linspace(0, 1, 32)[factors[:, 3:]]  # (n, 2): column, row
        corner = np.rint(centre).astype(np.intp) - REACH  # always inside the image, and so is the window
        offset = (corner - centre)[:, :, None] + np.arange(2 * REACH + 1)  # (n, 2, window)
        cos = (np.cos(angle) / scale)[:, None]
        sin = (np.sin(angle) / scale)[:, None]
        x_cos, x_sin = cos * offset[:, 0], sin * offset[:, 0]  # (n, window) along columns
        y_cos, y_sin = cos * offset[:, 1], sin * offset[:, 1]  # (n, window) along rows

        images = np.zeros((len(factors), SIDE, SIDE), dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(
            images, (2 * REACH + 1, 2 * REACH + 1), axis=(1, 2), writeable=True
        )
        for value, inside in enumerate((inside_square, inside_ellipse, inside_heart)):
            alike = np.flatnonzero(shape == value)
            for start in range(0, len(alike), CHUNK):
                rows = alike[start : start + CHUNK]
                u = x_cos[rows, None, :] - y_sin[rows, :, None]  # (rows, window, window)
                v = x_sin[rows, None, :] + y_cos[rows, :, None]
                windows[rows, corner[rows, 1], corner[rows, 0]] = inside(u, v)
        return smaller(images[:, None], self._side)
