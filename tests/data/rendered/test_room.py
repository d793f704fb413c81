import colorsys
from pathlib import Path

import numpy as np
import pytest

from vaelens.data import Room
from vaelens.data.rendered.room_view import DISTANCE, EYE, FIELD_OF_VIEW, HALF_ROOM, WALL_HEIGHT

REAL = Path(__file__).parents[4] / "shared" / "data" / "shapes3d" / "six_tiles.npy"
FOCAL = 32 / np.tan(np.radians(FIELD_OF_VIEW / 2))  # pixels
CUBE, CYLINDER, SPHERE, CAPSULE = range(4)
AHEAD = 7  # of 15 orientations: 0 degrees
SKY = np.array([153, 226, 249]) / 255


def image(*values):
    return Room().images([values])[0].numpy()


def test_order_sizes_and_kinds():
    ds = Room()
    assert len(ds) == 480_000
    assert ds.factors.names == ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    assert ds.factors.kinds == ("circular", "circular", "circular", "ordinal", "categorical", "ordinal")
    bases = [48_000, 4_800, 480, 60, 15, 1]
    assert (ds.factor_values(np.array(bases)) == np.eye(6, dtype=int)).all()
    assert ds.factors.graph.number_of_edges() == 0


@pytest.mark.skipif(not REAL.exists(), reason="the real images are not on this machine")
def test_pictures_are_near_the_published_ones():
    # Unlabelled: the values are those whose picture is nearest. The hues can be read off the pictures.
    values = [
        (5, 1, 2, 2, SPHERE, 4),
        (8, 9, 2, 4, CAPSULE, 13),
        (9, 2, 3, 1, CUBE, 0),
        (1, 0, 2, 0, CAPSULE, 9),
        (6, 2, 9, 5, CYLINDER, 4),
        (5, 7, 6, 4, CYLINDER, 11),
    ]
    real = np.load(REAL).transpose(0, 3, 1, 2).astype(float)
    for row, tile in list(zip(values, real, strict=True))[1::3]:
        scales = range(row[3] - 1, row[3] + 2)  # of all of them a quarter of a minute
        views = [(*row[:3], scale, shape, turn) for scale in scales for shape in range(4) for turn in range(15)]
        differences = np.abs(Room().images(views).numpy() * 255 - tile).mean(axis=(1, 2, 3))
        assert views[differences.argmin()] == row
        assert differences.min() < 2.4  # of 255; what is left is mostly the texture of walls and floor


def test_walls_stand_where_perspective_puts_them():
    # Straight ahead the back wall is DISTANCE + HALF_ROOM away; the camera looks level, so row 32 is its height.
    column = image(3, 6, 0, 0, SPHERE, AHEAD)[:, :, 4]  # beside the object
    hue = np.array(colorsys.hsv_to_rgb(0.6, 1, 1))
    depth = DISTANCE + HALF_ROOM
    top, bottom = 32 - FOCAL * (WALL_HEIGHT - EYE) / depth, 32 + FOCAL * EYE / depth
    np.testing.assert_allclose(column[:, : int(top)], np.tile(SKY[:, None], int(top)), atol=1e-3)
    wall = column[:, int(top) + 1 : int(bottom)]
    np.testing.assert_allclose(wall, np.tile(hue[:, None], wall.shape[1]), atol=0.035)  # about fully lit
    assert (column[2, int(bottom) + 1 :] == 0).all()  # the floor's hue 0.3 has no blue
    # The topmost row of the wall is covered up to the edge.
    share = column[0, int(top)] / SKY[0]  # the wall's hue 0.6 has no red
    assert share == pytest.approx(top - int(top), abs=1 / 3 + 0.01)  # three rays a pixel


def test_object_s_outline_is_as_wide_as_its_scale_says():
    for scale, radius in ((0, 0.75), (7, 1.25)):
        # A floor, wall and object of three pure colours: the object is where there is red.
        red = image(3, 6, 0, scale, CYLINDER, AHEAD)[0]
        row = red[40]
        reach = FOCAL * radius / np.sqrt(DISTANCE**2 - radius**2)
        covered = np.flatnonzero((row > 0.3) & (image(3, 6, 6, scale, CYLINDER, AHEAD)[0][40] < 0.2))
        assert covered[0] == pytest.approx(32 - reach, abs=1)
        assert covered[-1] + 1 == pytest.approx(32 + reach, abs=1)


def test_each_hue_changes_its_own_material_only():
    base = image(0, 3, 6, 4, CUBE, 2)
    floor, wall, thing = image(4, 3, 6, 4, CUBE, 2), image(0, 5, 6, 4, CUBE, 2), image(0, 3, 1, 4, CUBE, 2)
    changed = [np.abs(other - base).max(axis=0) > 0.02 for other in (floor, wall, thing)]
    assert (np.sum(changed, axis=0) <= 2).all()  # an edge pixel shows two materials, never all three here
    assert np.mean([a & b for a in changed for b in changed if a is not b]) < 0.01
    assert all(one.mean() > 0.03 for one in changed)
    assert not np.any(changed, axis=0)[:10].any()  # the sky


def test_the_camera_orbits():
    # Turned by 30 degrees the left face of the cube is seen, turned by -30 the right one; ahead neither.
    # The camera at angle a stands at (D sin a, -D cos a); a corner (x, y) lies x cos a + y sin a across, and
    # D - x sin a + y cos a ahead.
    for turn, degrees in ((0, -30), (AHEAD, 0), (14, 30)):
        a = np.radians(degrees)
        across = {
            FOCAL * (x * np.cos(a) + y * np.sin(a)) / (DISTANCE - x * np.sin(a) + y * np.cos(a))
            for x in (-1.25, 1.25)
            for y in (-1.25, 1.25)
        }
        picture = image(3, 6, 0, 7, CUBE, turn)
        blue = image(3, 6, 6, 7, CUBE, turn)
        thing = np.flatnonzero(np.abs(picture - blue).max(axis=0)[36] > 0.2)
        assert thing[0] == pytest.approx(32 + min(across), abs=1)
        assert thing[-1] + 1 == pytest.approx(32 + max(across), abs=1)


def test_shadow_lies_on_the_side_away_from_the_lamp():
    # The lamp hangs to the left: under it the floor right of the object is as dark as without the lamp.
    brightness = image(3, 6, 0, 4, CAPSULE, AHEAD)[1]
    assert brightness[55, 40] < 0.5 < 0.9 < brightness[55, 20]
