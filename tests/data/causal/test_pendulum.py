import math

import numpy as np
import pytest

from vaelens.data import Pendulum
from vaelens.data.causal.pendulum import shadow_ends

ROOT3 = math.sqrt(3)


@pytest.mark.parametrize(
    ("pendulum", "light", "pivot", "bob"),
    [
        (0, 0, 0, 0),
        (30, 0, 0, 1 / 2),
        (-30, 0, 0, -1 / 2),
        (0, 45, -3 / 2, -1 / 2),
        (30, 30, -ROOT3 / 2, 1 - ROOT3 / 2),  # length sin 60 / cos 30 = 1
        (-30, 30, -ROOT3 / 2, -ROOT3 / 2),  # the rod points along the rays: no length
        (30, -30, ROOT3 / 2, ROOT3 / 2),
        (-30, -30, ROOT3 / 2, ROOT3 / 2 - 1),
    ],
)
def test_shadow_by_hand(pendulum, light, pivot, bob):
    np.testing.assert_allclose(shadow_ends(pendulum, light), (pivot, bob), atol=1e-12)


def test_levels_of_length_and_position_for_all_angles():
    model = Pendulum().model
    for i in range(20):
        for j in range(20):
            a, b = math.radians(-40 + 80 * i / 19), math.radians(-40 + 80 * j / 19)
            length = abs(math.sin(a + b)) / math.cos(b)
            position = (math.sin(a) - (3 - math.cos(a)) * math.tan(b)) / 2
            assert length <= 1.3
            assert abs(position) <= 1.3
            levels = [
                model[name].equation(np.array([i]), np.array([j]))[0] for name in ("shadow_length", "shadow_position")
            ]
            assert abs(1.3 * levels[0] / 19 - length) <= 0.65 / 19 + 1e-9
            assert abs(-1.3 + 2.6 * levels[1] / 19 - position) <= 1.3 / 19 + 1e-9


def test_noise_has_its_probability():
    ds = Pendulum(noise=0.2)
    f = ds.factor_values(np.arange(20_000))
    for column, name in ((2, "shadow_length"), (3, "shadow_position")):
        level = ds.model[name].equation(f[:, 0], f[:, 1])
        free = (level > 0) & (level < 19)
        share = np.bincount((f[:, column] - level)[free] + 1) / free.sum()
        np.testing.assert_allclose(share, [0.2, 0.6, 0.2], atol=4 * math.sqrt(0.25 / free.sum()))
    exact = Pendulum(noise=0).factor_values(np.arange(1000))
    assert (ds.model["shadow_length"].equation(exact[:, 0], exact[:, 1]) == exact[:, 2]).all()


def extent(mask):
    columns = np.flatnonzero(mask)
    return columns[0], columns[-1] + 1


def test_picture_shows_each_variable_where_it_belongs():
    ds = Pendulum()
    for a, b, length, position in ((0, 19, 0, 10), (19, 0, 19, 0), (10, 9, 12, 19), (4, 12, 7, 5)):
        red, green, blue = ds.images([[a, b, length, position]])[0].numpy()
        # The shadow: a line 3.5 pixels above the lower edge, its round ends of radius 1.6.
        long, at = 1.3 * length / 19, -1.3 + 2.6 * position / 19
        left, right = extent(red[60] < 0.3)
        assert left == pytest.approx(32 + 16 * (at - long / 2) - 1.6, abs=1)
        assert right == pytest.approx(32 + 16 * (at + long / 2) + 1.6, abs=1)
        # The bob is red, one rod of 16 pixels from the pivot, which is 31 pixels above the lower edge.
        angle = math.radians(-40 + 80 * a / 19)
        rows, columns = np.nonzero((red > 0.6) & (green < 0.3))
        assert columns.mean() + 0.5 == pytest.approx(32 + 16 * math.sin(angle), abs=0.5)
        assert 64 - (rows.mean() + 0.5) == pytest.approx(31 - 16 * math.cos(angle), abs=0.5)
        # The light is yellow, in its direction from the pivot.
        rows, columns = np.nonzero((red > 0.9) & (blue < 0.4))
        angle = math.radians(-40 + 80 * b / 19)
        assert math.atan2(columns.mean() + 0.5 - 32, 64 - (rows.mean() + 0.5) - 31) == pytest.approx(angle, abs=0.02)


def test_every_level_changes_the_picture_and_edges_are_soft():
    for k in range(4):
        levels = np.full((20, 4), 8)
        levels[:, k] = np.arange(20)
        x = Pendulum().images(levels).numpy()
        assert min(np.abs(x[i] - x[j]).max() for i in range(20) for j in range(i)) > 0.1
    assert len(np.unique(x[0])) > 30
