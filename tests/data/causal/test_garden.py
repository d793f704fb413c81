import numpy as np
import pytest

from vaelens.data import Garden
from vaelens.data.causal.garden import CLOUD, FLOWER, POND, RAIN, SKY, SUN


def picture(**levels):
    values = [levels.get(name, 8) for name in Garden().factors.names]
    return Garden().images([values])[0].numpy()


@pytest.mark.parametrize("others", [0, 8, 15])
def test_every_level_of_every_variable_can_be_told_whatever_the_others_are(others):
    for k in range(6):
        levels = np.full((16, 6), others)
        levels[:, k] = np.arange(16)
        x = Garden().images(levels).numpy()
        assert min(np.abs(x[i] - x[j]).max() for i in range(16) for j in range(i)) > 0.04


def test_columns_and_kinds():
    factors = Garden().factors
    assert [factors.index(name) for name in ("cloud", "sun", "sky", "rain", "pond", "flower")] == [
        CLOUD,
        SUN,
        SKY,
        RAIN,
        POND,
        FLOWER,
    ]
    assert set(factors.kinds) == {"ordinal"}


def test_picture_by_hand():
    # The water stands on the basin's floor, one pixel deep and 0.9 more for each level.
    for level in (0, 5, 15):
        red, _, blue = picture(pond=level)[:, :, 16]
        height = ((red < 0.15) & (blue > 0.7)).sum()
        assert height == pytest.approx(1 + 0.9 * level, abs=1)
    # The sun's disc of radius 5 moves up by 2.2 pixels a level.
    for level in (0, 15):
        red, _, blue = picture(sun=level)
        rows, columns = np.nonzero((red > 0.9) & (blue < 0.3))
        assert columns.mean() + 0.5 == pytest.approx(56, abs=0.3)
        assert 64 - rows.mean() - 0.5 == pytest.approx(24 + 2.2 * level, abs=0.5)
    # The cloud is 2 (5 + 0.7 k + 4.5) pixels wide.
    for level in (0, 15):
        white = picture(cloud=level).min(axis=0)[8] > 0.9
        assert white.sum() == pytest.approx(2 * (9.5 + 0.7 * level), abs=1.5)
    # The sky brightens from 0.3 to 1 of its colour.
    for level, brightness in ((0, 0.3), (15, 1.0)):
        np.testing.assert_allclose(picture(sky=level)[:, 20, 47], np.array([0.50, 0.72, 0.95]) * brightness, atol=1e-6)
