"""Confidence sequences: by how often they ever miss, against the products that they bound, and by their laws."""

import numpy as np
import pytest

from vaelens.errors import VaelensError
from vaelens.statistics import ConfidenceSequence


def followed(values, bounds=(0.0, 1.0), level=0.95, batch=16):
    """The sequence after all values, and its ends after each batch, (looks, 2, *shape)."""
    sequence = ConfidenceSequence(values.shape[1:], bounds, level)
    ends = []
    for start in range(0, len(values), batch):
        sequence.update(values[start : start + batch])
        ends.append(sequence.interval())
    return sequence, np.array(ends)


DRAWS = {
    "uniform": (lambda rng, size: rng.random(size), 0.5),
    "rare": (lambda rng, size: (rng.random(size) < 0.03) * 1.0, 0.03),
    "frequent": (lambda rng, size: (rng.random(size) < 0.8) * 1.0, 0.8),
    "skewed": (lambda rng, size: rng.beta(0.5, 8, size), 0.5 / 8.5),
    "narrow": (lambda rng, size: 0.05 + 0.001 * rng.normal(size=size).clip(-9, 9), 0.05),
}


@pytest.mark.parametrize("name", DRAWS)
def test_it_ever_misses_no_more_often_than_it_says(name):
    draw, mean = DRAWS[name]
    _, ends = followed(draw(np.random.default_rng(0), (600, 400)), level=0.8, batch=5)
    missed = ((ends[:, 0] > mean) | (ends[:, 1] < mean)).any(axis=0)
    assert missed.mean() <= 0.2


def test_a_percentile_interval_that_is_looked_at_as_often_misses_far_more():
    # What the sequence is for: the same looks at 95 % intervals of the normal distribution.
    values = np.random.default_rng(0).random((600, 400))
    n = np.arange(1, 601)[:, None]
    mean = np.cumsum(values, axis=0) / n
    reach = 1.96 * np.sqrt(np.maximum(np.cumsum(values**2, axis=0) / n - mean**2, 0) / n)
    assert (np.abs(mean - 0.5) > reach)[20:].any(axis=0).mean() > 0.2
    _, ends = followed(values)
    assert ((ends[:, 0] > 0.5) | (ends[:, 1] < 0.5)).any(axis=0).mean() <= 0.05


@pytest.mark.parametrize("name", DRAWS)
def test_every_mean_outside_is_ruled_out_by_the_gamblers_own_capital(name):
    values = DRAWS[name][0](np.random.default_rng(1), 300)
    sequence = ConfidenceSequence(())
    sequence.update(values)
    j = np.arange(14)
    bets, weights = 2.0**-j, 15 / 14 / ((j + 1) * (j + 2))
    np.testing.assert_allclose(weights.sum(), 1)
    low, high = sequence.interval()
    above, below = np.linspace(high + 1e-9, 0.999, 50), np.linspace(low - 1e-9, 0.001, 50)
    with np.errstate(over="ignore"):  # fortunes without end
        for m in above[above >= high]:
            assert np.prod(1 + bets[:, None] * (m - values) / (1 - m), axis=1) @ weights >= 40
        for m in below[(below > 0) & (below <= low)]:
            assert np.prod(1 + bets[:, None] * (values - m) / m, axis=1) @ weights >= 40


def test_it_narrows_like_one_over_the_root_of_n():
    values = np.random.default_rng(2).random(40_000)
    _, ends = followed(values, batch=1000)
    widths = ends[:, 1] - ends[:, 0]
    assert (np.diff(widths) <= 0).all()
    # 2·1.96·0.2887/√40000 is the width of the normal interval, which holds at one look only.
    assert 0.00566 < widths[-1] < 2.2 * 0.00566


def test_it_needs_far_fewer_images_than_bounds_alone_would_say():
    values = np.random.default_rng(3).normal(3, 1, size=2000).clip(0, 64)
    low, high = followed(values, bounds=(0, 64))[0].interval()
    hoeffding = 64 * np.sqrt(np.log(40) / 4000)
    assert (high - low) / 2 < hoeffding / 10


def test_units_batches_and_mirrors():
    values = np.random.default_rng(4).random((200, 2, 3))
    plain, _ = followed(values)
    single, _ = followed(values[:, 1, 2])
    np.testing.assert_allclose([end[1, 2] for end in plain.interval()], single.interval(), rtol=1e-12)
    moved, _ = followed(5 + 10 * values, bounds=(5.0, 15.0))
    np.testing.assert_allclose(moved.interval(), 5 + 10 * np.array(plain.interval()), rtol=1e-9)
    np.testing.assert_allclose(moved.mean, (5 + 10 * values).mean(axis=0), rtol=1e-12)
    mirrored, _ = followed(1 - values)
    np.testing.assert_allclose(mirrored.interval(), 1 - np.array(plain.interval())[::-1], rtol=1e-9)
    # Looks at other times give another intersection, but of the same last interval.
    seldom, _ = followed(values, batch=200)
    assert (plain.interval()[0] >= seldom.interval()[0] - 1e-9).all()
    assert seldom.count == plain.count == 200


def test_before_any_image_all_is_possible_and_constants_are_found():
    sequence = ConfidenceSequence((2,), bounds=(-1.0, 3.0))
    sequence.update(np.empty((0, 2)))
    assert np.isnan(sequence.mean).all()
    np.testing.assert_array_equal(sequence.interval(), [[-1, -1], [3, 3]])
    sequence.update(np.tile([-1.0, 3.0], (1000, 1)))
    low, high = sequence.interval()
    assert (low[0], high[1]) == (-1, 3)
    # All in on the mean being lower: Π (m − 0)/(1 − m) + 1 … at stake 1 grows by 1/(1 − m) an image, weighted by 15/28.
    np.testing.assert_allclose(high[0], -1 + 4 * (1 - np.exp(-np.log(40 * 28 / 15) / 1000)), rtol=0.02)
    np.testing.assert_allclose(low[1], 3 - (high[0] + 1), rtol=1e-9)


def test_nan_stays_in_its_cell():
    values = np.random.default_rng(0).random((50, 2))
    values[7, 1] = np.nan
    sequence, _ = followed(values)
    low, high = sequence.interval()
    assert np.isnan([low[1], high[1], sequence.mean[1]]).all()
    assert low[0] < sequence.mean[0] < high[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ({"bounds": (1.0, 1.0)}, r"bounds are \(1.0, 1.0\); expected the smallest and the largest value"),
        ({"bounds": (0.0, np.inf)}, "bounds are"),
        ({"level": 0.0}, "level is 0.0; expected a probability"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(VaelensError, match=message):
        ConfidenceSequence((), **make)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0.5]], r"values have shape \(1, 1\); expected \(n\)"),
        ([0.5, 1.5], "values reach 1.5; expected all of them within the bounds 0 and 1"),
        ([-0.1], "values reach -0.1"),
        ([np.inf], "values reach inf"),
    ],
)
def test_bad_values_are_refused(values, message):
    with pytest.raises(VaelensError, match=message):
        ConfidenceSequence(()).update(values)
