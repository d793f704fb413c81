"""One view of the room, which is how much of each material's colour every pixel shows, by casting rays.

Lengths are in half-widths of the object at scale 1. Camera, room and lights were fitted, by least squares over all
pixels, to six published images of 3DShapes. The empty room is lit once for each place of the camera (some 50
milliseconds); an object then costs some 10, spent on the rays that may meet it or its shadow.
"""

from typing import NamedTuple

import numpy as np

from vaelens.data.rendered.solids import SOLIDS, Solid

SIDE = 64
SUPERSAMPLING = 3  # rays along each side of a pixel
FLOOR, WALL, OBJECT, SKY = range(4)

FIELD_OF_VIEW = 50.0  # degrees
DISTANCE, EYE = 7.15, 2.14  # of the camera from the object's axis, and its height; it looks level, at that axis
HALF_ROOM, WALL_HEIGHT = 9.82, 5.68

AMBIENT = 0.352
HEADLIGHT = 0.596  # shines the way the camera looks, and casts no shadow
LAMP = 0.956  # a spot high above, the one light that casts shadows
LAMP_AT, LAMP_AIM = np.array([-4.49, 2.05, 23.36]), np.array([-4.3, 1.29, 0.0])
LAMP_EXPONENT = 12.0  # how fast the spot fades away from its axis
SHEEN, SHEEN_EXPONENT = 0.05, 13.0  # of floor and walls under the lamp
GLOSS = 0.18  # of the object under the lamp; it mirrors the sky

# A ball about the largest object: only rays through it can meet the object, or be kept from the lamp by it.
BALL_HEIGHT, BALL_RADIUS = 2.5, 2.8


class EmptyRoom(NamedTuple):
    """The room without the object, from one place of the camera, by n rays.

    Attributes:
        camera: Where the camera is, (3,).
        forward: The unit vector along which it looks, (3,).
        rays: Directions, (n, 3).
        distance: Where each ray ends, in lengths of its direction, (n,).
        material: What it ends on: `FLOOR`, `WALL` or `SKY`, (n,).
        lit: How bright that is under all lights, (n,).
        shaded: How bright it is without the lamp, (n,).
        may_meet: The indices of rays that may meet an object.
        may_shade: The indices of rays that end where an object may keep the lamp away.
    """

    camera: np.ndarray
    forward: np.ndarray
    rays: np.ndarray
    distance: np.ndarray
    material: np.ndarray
    lit: np.ndarray
    shaded: np.ndarray
    may_meet: np.ndarray
    may_shade: np.ndarray


def empty_room(degrees: float) -> EmptyRoom:
    """Renders the room as seen by a camera turned about its middle by an angle from the front, to the right."""
    azimuth = np.radians(degrees)
    forward = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    right = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    camera = np.array([0, 0, EYE]) - DISTANCE * forward
    rays = _rays(forward, right)
    distance, normal, material = _walls_and_floor(camera, rays)
    point = camera + distance[:, None] * rays
    shaded = _without_lamp(normal, forward)
    spot, facing, mirrored = _under_lamp(point, normal, camera)
    lit = shaded + spot * (LAMP * facing + SHEEN * mirrored**SHEEN_EXPONENT)
    lit[material == SKY] = shaded[material == SKY] = 1
    may_shade = np.flatnonzero((material != SKY) & _through_ball(point, LAMP_AT - point))
    may_meet = np.flatnonzero(_through_ball(np.broadcast_to(camera, rays.shape), rays))
    return EmptyRoom(camera, forward, rays, distance, material, lit, shaded, may_meet, may_shade)


def view_weights(room: EmptyRoom, shape: str, scale: float) -> np.ndarray:
    """Computes the weights (4, 64, 64) of floor, wall, object and sky in a view of an object.

    Args:
        room: The room from where the camera stands.
        shape: The object's shape, one of `SOLIDS`.
        scale: Its half-width.

    Returns:
        At each pixel the mean, over its rays, of the brightness of what they end on: at least 0, above 1 in full
        light. The sky's weight is 1 where a ray leaves the room, and holds the highlights on the object.
    """
    solid = SOLIDS[shape]
    material, brightness = room.material.copy(), room.lit.copy()
    highlight = np.zeros_like(brightness)
    _cast_shadow(room, solid, scale, brightness)
    rays = room.rays[room.may_meet]
    distance, normal = solid(np.broadcast_to(room.camera / scale, rays.shape), rays / scale)
    met = distance < room.distance[room.may_meet]
    at = room.may_meet[met]
    normal = normal[met]
    spot, facing, _ = _under_lamp(room.camera + distance[met, None] * rays[met], normal, room.camera)
    material[at] = OBJECT
    brightness[at] = _without_lamp(normal, room.forward) + LAMP * spot * facing
    highlight[at] = GLOSS * spot
    layers = brightness * (material == np.arange(4)[:, None])
    layers[SKY] += highlight
    return layers.reshape(4, SIDE, SUPERSAMPLING, SIDE, SUPERSAMPLING).mean(axis=(2, 4))


def _rays(forward: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Computes the directions (n, 3) of all rays through the picture, row by row, of length 1 along the view."""
    count = SIDE * SUPERSAMPLING
    reach = np.tan(np.radians(FIELD_OF_VIEW / 2))
    offset = ((np.arange(count) + 0.5) / count * 2 - 1) * reach
    up = np.array([0.0, 0.0, 1.0])
    directions = forward + offset[None, :, None] * right - offset[:, None, None] * up  # (rows, columns, 3)
    return directions.reshape(-1, 3)


def _walls_and_floor(camera: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds where rays end in the empty room, as distances (n,), normals (n, 3) and materials (n,)."""
    x, y, z = np.where(rays == 0, 1e-12, rays).T  # a ray along a plane meets it far outside the room
    planes = [  # the camera stands inside and never sees the front wall
        (-camera[2] / z, (0.0, 0.0, 1.0)),
        ((HALF_ROOM - camera[1]) / y, (0.0, -1.0, 0.0)),
        ((HALF_ROOM - camera[0]) / x, (-1.0, 0.0, 0.0)),
        ((-HALF_ROOM - camera[0]) / x, (1.0, 0.0, 0.0)),
    ]
    distances = np.stack([np.where(distance > 0, distance, np.inf) for distance, _ in planes])
    nearest = distances.argmin(axis=0)
    distance = distances.min(axis=0)
    material = np.where(nearest == 0, FLOOR, WALL)
    material[(nearest > 0) & (camera[2] + distance * z > WALL_HEIGHT)] = SKY
    return distance, np.array([normal for _, normal in planes])[nearest], material


def _cast_shadow(room: EmptyRoom, solid: Solid, scale: float, brightness: np.ndarray) -> None:
    """Takes the lamp's light from what the object keeps it from."""
    point = room.camera + room.distance[room.may_shade, None] * room.rays[room.may_shade]
    kept_away = np.isfinite(solid(point / scale, (LAMP_AT - point) / scale)[0])
    at = room.may_shade[kept_away]
    brightness[at] = room.shaded[at]


def _without_lamp(normal: np.ndarray, forward: np.ndarray) -> np.ndarray:
    return AMBIENT + HEADLIGHT * np.maximum(0, -normal @ forward)


def _under_lamp(point: np.ndarray, normal: np.ndarray, camera: np.ndarray) -> tuple[np.ndarray, ...]:
    """Computes the spot's strength (n,), 0 on what faces away, and the cosines (n,) of diffuse and mirrored light."""
    to_lamp = _unit(LAMP_AT - point)
    facing = np.maximum(0, _dot(normal, to_lamp))
    mirrored = np.maximum(0, _dot(normal, _unit(to_lamp + _unit(camera - point))))
    spot = np.maximum(0, to_lamp @ _unit(LAMP_AT - LAMP_AIM)) ** LAMP_EXPONENT
    return spot * (facing > 0), facing, mirrored


def _through_ball(origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Says which rays pass, anywhere along their line, through the ball that holds the largest object."""
    to_centre = np.array([0, 0, BALL_HEIGHT]) - origins
    along = _dot(to_centre, directions)
    squared = _dot(to_centre, to_centre) - along**2 / _dot(directions, directions)
    return squared < BALL_RADIUS**2


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first * second).sum(axis=-1)
