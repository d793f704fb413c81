import math
from pathlib import Path

import numpy as np
import pytest

from vaelens.data import Sprites
from vaelens.data.rendered.sprites import HEART_RADII

REAL = Path(__file__).parents[4] / "shared" / "data" / "dsprites"
SIZES = (3, 6, 40, 32, 32)


def slow_pixel(factors, row, column):
    """The definition, one pixel at a time, with nothing shared but the outline table."""
    shape, scale, orientation, x, y = (int(value) for value in factors)
    s, t = 0.5 + 0.1 * scale, 2 * math.pi * orientation / 39
    di, dj = column - (15.5 + 32 * x / 31), row - (15.5 + 32 * y / 31)
    u = (math.cos(t) * di - math.sin(t) * dj) / s
    v = (math.sin(t) * di + math.cos(t) * dj) / s
    if shape == 0:
        return max(abs(u), abs(v)) <= 9.6
    if shape == 1:
        return (u / 12.8) ** 2 + (v / 7.2) ** 2 <= 1
    angles = [-math.pi + 2 * math.pi * k / 180 for k in range(181)]
    radius = np.interp(math.atan2(v, u), angles, [*HEART_RADII, HEART_RADII[0]])
    return math.hypot(u, v) <= radius


def labelled_frames():
    """Frame numbers and factor values of DATA.md: shape, first frame over scales, first over orientations."""
    for shape, scales, orientations in ((0, 256, 274), (1, 192, 210), (2, 0, 18)):
        yield from ((scales + k, (shape, k, 0, 0, 0)) for k in range(6))
        yield from ((orientations + k, (shape, 5, k, 0, 0)) for k in range(40))


def test_index_order_is_position_y_fastest():
    ds = Sprites()
    assert len(ds) == 3 * 6 * 40 * 32 * 32 == 737_280
    values = ds.factor_values(np.array([0, 1, 32, 1024, 40_960, 245_760, 737_279]))
    assert values.tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0],
        [0, 1, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [2, 5, 39, 31, 31],
    ]


def test_upright_square_is_where_arithmetic_puts_it():
    # Scale 1 and centre 15.5: |i - 15.5| <= 9.6 holds for columns and rows 6 to 25.
    image = Sprites().images([[0, 5, 0, 0, 0]])[0, 0]
    expected = np.zeros((64, 64))
    expected[6:26, 6:26] = 1
    assert (image.numpy() == expected).all()


def test_position_x_moves_along_columns_and_position_y_along_rows():
    right, down = Sprites().images([[0, 5, 0, 31, 0], [0, 5, 0, 0, 31]])[:, 0].numpy()
    assert right[6:26, 38:58].sum() == right.sum() == 400
    assert down[38:58, 6:26].sum() == down.sum() == 400


def test_first_and_last_orientation_are_one_picture():
    f = np.array([[shape, 3, 0, 7, 20] for shape in range(3)])
    turned = f + np.array([0, 0, 39, 0, 0])
    ds = Sprites()
    assert (ds.images(f) == ds.images(turned)).all()


def test_agrees_with_the_definition_pixel_by_pixel():
    rng = np.random.default_rng(0)
    corners = [[shape, 5, 20, x, y] for shape in range(3) for x in (0, 31) for y in (0, 31)]
    f = np.concatenate([np.stack([rng.integers(size, size=6) for size in SIZES], axis=1), corners])
    slow = [[[slow_pixel(row, j, i) for i in range(64)] for j in range(64)] for row in f]
    assert (Sprites().images(f)[:, 0].numpy() == np.array(slow)).all()


def test_a_picture_does_not_depend_on_its_batch():
    ds = Sprites()
    x, f = ds.sample(300, seed=1)
    assert all((ds.images(f[[k]])[0] == x[k]).all() for k in range(0, 300, 17))


def test_samples_do_not_repeat():
    _, f = Sprites().sample(3000, seed=0)
    assert len(f.unique(dim=0)) == 3000


@pytest.mark.parametrize("shape", [0, 1, 2], ids=["square", "ellipse", "heart"])
def test_differs_from_the_real_frames_by_at_most_1_5_pixels(shape):
    if not REAL.exists():
        pytest.skip(f"the real frames are not at {REAL}")
    frames, f = zip(*(labelled for labelled in labelled_frames() if labelled[1][0] == shape), strict=True)
    real = np.load(REAL / "official_gif_320_frames.npy")[list(frames)]
    wrong = (Sprites().images(list(f))[:, 0].numpy() != real).sum(axis=(1, 2))
    assert len(wrong) == 46
    assert wrong.mean() <= 1.5


def test_outline_is_the_table_of_the_real_frames():
    if not REAL.exists():
        pytest.skip(f"the real frames are not at {REAL}")
    np.testing.assert_allclose(HEART_RADII, np.load(REAL / "derived_heart_polar_r180.npy"), atol=0.5e-4, rtol=0)
