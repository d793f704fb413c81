"""An object in a coloured room, seen by a camera that orbits it, a stand-in for 3DShapes by our own ray caster.

A colour only multiplies its material, so the 480 views are rendered once (see `room_bank`) and an image is the sum of
four weights times four colours: about 40 microseconds.
"""

import colorsys
from functools import cached_property

import numpy as np

from vaelens.cache import cache_folder
from vaelens.data.annotations import Count
from vaelens.data.factors import Factor, Factors
from vaelens.data.grid import GridDataset
from vaelens.data.rendered.room_bank import ORIENTATIONS, SCALES, SHAPES, load_bank
from vaelens.data.rendered.room_view import SIDE
from vaelens.data.smaller import checked_side, smaller
from vaelens.observation import Observation

HUES = np.array([colorsys.hsv_to_rgb(k / 10, 1, 1) for k in range(10)], dtype=np.float32)  # (10, 3)
SKY = np.array([153, 226, 249], dtype=np.float32) / 255


class Room(GridDataset):
    """A cube, cylinder, sphere or capsule in a room, 480,000 images (3, 64, 64).

    The factors, their values and their order are those of 3DShapes: floor, wall and object hue hsv(k / 10, 1, 1);
    scale linspace(0.75, 1.25, 8); shape cube, cylinder, sphere, capsule; orientation, the camera's angle about the
    object, linspace(-30, 30, 15) degrees. The pictures are our own: walls and floor have no texture. Camera, room
    and lights were fitted to six published images of 3DShapes, and a test states how near they come. The fit put the
    field of view at 50 degrees, where the six lie on the grids of scales and orientations; as they carry no labels,
    the sign of the orientation is ours.

    With the weights w of floor, wall, object and sky in a view (brightness times coverage), an image is
    min(1, w_floor c_floor + w_wall c_wall + w_object c_object + w_sky c_sky), c_sky = (153, 226, 249) / 255.

    The first image has all views rendered, which takes some ten seconds, and keeps them in the cache folder (the one
    that the environment variable VAELENS_CACHE names, else the user's).

    Args:
        size: Side of the images in pixels, 64, or 32 or 16 as means of blocks of the full rendering's.

    References:
        Burgess, Kim. 3D Shapes Dataset. 2018. https://github.com/google-deepmind/3d-shapes

    Example:
        >>> room = Room()
        >>> len(room), room.image_shape, room.factors.sizes
        (480000, (3, 64, 64), (10, 10, 10, 8, 4, 15))
    """

    name = "room"
    observation = Observation.image((3, SIDE, SIDE))
    factors = Factors(
        (
            Factor("floor_hue", len(HUES), "circular"),
            Factor("wall_hue", len(HUES), "circular"),
            Factor("object_hue", len(HUES), "circular"),
            Factor("scale", len(SCALES), "ordinal"),
            Factor("shape", len(SHAPES), "categorical"),
            Factor("orientation", len(ORIENTATIONS), "ordinal"),
        )
    )

    def __init__(self, size: Count = SIDE) -> None:
        self._side = checked_side(size)
        self.observation = Observation.image((3, self._side, self._side))

    @property
    def options(self) -> dict[str, object]:
        """Lists the size, where it is not the full one."""
        return {} if self._side == SIDE else {"size": self._side}

    @cached_property
    def _bank(self) -> np.ndarray:
        return load_bank(cache_folder())

    def render(self, factors: np.ndarray) -> np.ndarray:
        """Renders factor values int64 (n, 6) as float32 (n, 3, size, size) in [0, 1]."""
        views = np.asarray(np.ravel_multi_index(tuple(factors[:, 3:].T), self.factors.sizes[3:]))
        colours = np.empty((len(factors), 3, 4), dtype=np.float32)  # (n, red green blue, layer)
        colours[:, :, :3] = np.moveaxis(HUES[factors[:, :3]], 1, 2)
        colours[:, :, 3] = SKY
        images = np.empty((len(factors), 3, SIDE * SIDE), dtype=np.float32)
        # One product an image: the views stay where they are, and a pixel never depends on its batch.
        for image, view, colour in zip(images, views.tolist(), colours, strict=True):
            np.matmul(colour, self._bank[view], out=image)
            np.minimum(image, 1, out=image)
        return smaller(images.reshape(-1, 3, SIDE, SIDE), self._side)
