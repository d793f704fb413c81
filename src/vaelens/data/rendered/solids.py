"""Where rays meet a cube, a cylinder, a sphere and a capsule, which stand on the floor z = 0 about the z axis.

All have a half-width of 1. The cube, the cylinder and the sphere are 2 high, the capsule 4. Each is met in closed
form, as the intersection (or, for the capsule, the union) of stretches of the ray.
"""

from collections.abc import Callable

import numpy as np

TINY = 1e-12  # in place of a zero in a direction, so that a parallel ray never or always lies between two planes

Hits = tuple[np.ndarray, np.ndarray]  # distances (n,), in lengths of the direction, inf for a miss; normals (n, 3)
Solid = Callable[[np.ndarray, np.ndarray], Hits]


def cube(origins: np.ndarray, directions: np.ndarray) -> Hits:
    """Finds the first points at which rays (n, 3) enter the cube |x| ≤ 1, |y| ≤ 1, 0 ≤ z ≤ 2."""
    slabs = [_slab(origins, directions, axis, low, low + 2) for axis, low in enumerate((-1, -1, 0))]
    return _common(slabs)


def cylinder(origins: np.ndarray, directions: np.ndarray) -> Hits:
    """Finds the first points at which rays (n, 3) enter the cylinder x² + y² ≤ 1, 0 ≤ z ≤ 2."""
    return _common([_tube(origins, directions), _slab(origins, directions, 2, 0, 2)])


def sphere(origins: np.ndarray, directions: np.ndarray) -> Hits:
    """Finds the first points at which rays (n, 3) enter the ball of radius 1 about (0, 0, 1)."""
    return _common([_ball(origins, directions, height=1)])


def capsule(origins: np.ndarray, directions: np.ndarray) -> Hits:
    """Finds the first points at which rays (n, 3) enter all that is within 1 of the line from z = 1 to z = 3."""
    parts = [
        _common([_tube(origins, directions), _slab(origins, directions, 2, 1, 3)]),
        _common([_ball(origins, directions, height=1)]),
        _common([_ball(origins, directions, height=3)]),
    ]
    distances = np.stack([distance for distance, _ in parts])
    first = distances.argmin(axis=0)
    rays = np.arange(len(origins))
    return distances[first, rays], np.stack([normal for _, normal in parts])[first, rays]


SOLIDS: dict[str, Solid] = {"cube": cube, "cylinder": cylinder, "sphere": sphere, "capsule": capsule}

_Stretch = tuple[
    np.ndarray, np.ndarray, np.ndarray
]  # where rays enter (n,) and leave (n,), normals at the entry (n, 3)


def _common(stretches: list[_Stretch]) -> Hits:
    """Intersects stretches, as a convex solid is entered when the last of them is, before any is left."""
    entries = np.stack([enter for enter, _, _ in stretches])
    last = entries.argmax(axis=0)
    rays = np.arange(entries.shape[1])
    enter = entries[last, rays]
    leave = np.min([leave for _, leave, _ in stretches], axis=0)
    normals = np.stack([normal for _, _, normal in stretches])[last, rays]
    return np.where((enter < leave) & (enter > 0), enter, np.inf), normals


def _slab(origins: np.ndarray, directions: np.ndarray, axis: int, low: float, high: float) -> _Stretch:
    """Finds the stretch of each ray between two planes across an axis."""
    along = directions[:, axis]
    along = np.where(np.abs(along) < TINY, TINY, along)
    to_low, to_high = (low - origins[:, axis]) / along, (high - origins[:, axis]) / along
    normals = np.zeros_like(directions)
    normals[:, axis] = -np.sign(along)
    return np.minimum(to_low, to_high), np.maximum(to_low, to_high), normals


def _tube(origins: np.ndarray, directions: np.ndarray) -> _Stretch:
    """Finds the stretch of each ray within 1 of the z axis."""
    flat = np.array([1.0, 1.0, 0.0])
    return _quadric(origins * flat, directions * flat)


def _ball(origins: np.ndarray, directions: np.ndarray, height: float) -> _Stretch:
    """Finds the stretch of each ray within 1 of a point on the z axis."""
    return _quadric(origins - np.array([0, 0, height]), directions)


def _quadric(origins: np.ndarray, directions: np.ndarray) -> _Stretch:
    """Finds the stretch of each ray within 1 of the origin of the coordinates given."""
    square = np.maximum((directions**2).sum(axis=1), TINY**2)
    half = (origins * directions).sum(axis=1)
    under_root = half**2 - square * ((origins**2).sum(axis=1) - 1)
    missed = under_root < 0
    root = np.sqrt(np.where(missed, 0, under_root))
    enter = np.where(missed, np.inf, (-half - root) / square)
    leave = np.where(missed, -np.inf, (-half + root) / square)
    return enter, leave, origins + np.where(missed, 0, enter)[:, None] * directions
