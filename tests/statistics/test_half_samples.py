import itertools

import numpy as np
import pytest
from scipy.stats import t

import vaelens as vl
from vaelens.statistics import half_sample_interval, half_samples


def test_of_a_mean_all_halves_give_its_usual_standard_error():
    values = np.random.default_rng(0).gamma(2.0, size=8)
    halves = [values[list(half)].mean() for half in itertools.combinations(range(8), 4)]
    assert np.std(halves) == pytest.approx(values.std(ddof=1) / np.sqrt(8))


def test_the_interval_is_students():
    low, high = half_sample_interval([2.0, 0.0], [[1.0, 0.0], [3.0, 0.0], [2.0, 0.0]])
    reach = t.ppf(0.975, 2)  # the standard deviation of 1, 3 and 2 is 1
    np.testing.assert_allclose((low, high), ([2 - reach, 0], [2 + reach, 0]))


def test_a_bias_of_halves_does_not_move_the_interval():
    halves = np.random.default_rng(1).normal(size=20)
    np.testing.assert_allclose(half_sample_interval(0.0, halves), half_sample_interval(0.0, halves + 5))


def test_drift_is_followed_over_doublings():
    # Halves with mean 1 and standard deviation 1 of a value of 3: drift 2 a doubling.
    halves, reach = [0.0, 2.0, 1.0], t.ppf(0.975, 2)
    for doublings, far in ((1.0, 5.0), (2.5, 8.0)):
        low, high = half_sample_interval(3.0, halves, doublings=doublings)
        error = np.sqrt(1 + doublings**2 / 3)
        np.testing.assert_allclose((low, high), (3 - reach * error, far + reach * error))
    low, high = half_sample_interval(-1.0, halves, doublings=1.0)  # the drift is downwards
    np.testing.assert_allclose((low, high), (-3 - reach * np.sqrt(4 / 3), -1 + reach * np.sqrt(4 / 3)))


def test_a_bias_of_one_over_n_is_covered_where_the_drift_is_followed():
    # The variance with 1/n: of 64 images it is small by 1/64, much more than the error of some correlated thousands.
    rng, covered = np.random.default_rng(0), np.zeros(2)
    for trial in range(100):
        values = rng.normal(size=(16, 400))
        halves = [values[half].var(axis=0).mean() for half in half_samples(16, 20, seed=trial)]
        value = values.var(axis=0).mean()
        for k, doublings in enumerate((0.0, np.log2(1000))):
            low, high = half_sample_interval(value, halves, doublings=doublings)
            covered[k] += bool(low < 1 < high)
    assert covered[0] < 80
    assert covered[1] >= 93


def test_halves_are_half_as_large_without_repetition_and_decided_by_the_seed():
    halves = half_samples(9, 30, seed=2)
    assert halves.shape == (30, 4)
    assert all(len(set(half)) == 4 and set(half) <= set(range(9)) for half in halves.tolist())
    assert np.array_equal(halves, half_samples(9, 30, seed=2))
    assert not np.array_equal(halves, half_samples(9, 30, seed=3))


def test_an_infinite_statistic_has_no_interval():
    assert np.isnan(half_sample_interval(np.inf, [np.inf, np.inf])).all()


def test_coverage_of_a_statistic_that_is_no_mean():
    rng, covered = np.random.default_rng(0), 0
    for trial in range(200):
        values = rng.exponential(size=200)
        halves = [values[half].std() for half in half_samples(200, 50, seed=trial)]
        low, high = half_sample_interval(values.std(), halves)
        covered += bool(low < 1 < high)
    assert 0.88 <= covered / 200 <= 0.98


@pytest.mark.parametrize("n", [1, 0, -3])
def test_too_few_images_are_refused(n):
    with pytest.raises(vl.VaelensError, match=f"n is {n}, halves 50"):
        half_samples(n)


def test_shapes_and_levels_are_checked():
    with pytest.raises(vl.VaelensError, match=r"replicates have shape \(1,\)"):
        half_sample_interval(0.0, [1.0])
    with pytest.raises(vl.VaelensError, match="level is 1"):
        half_sample_interval(0.0, [1.0, 2.0], level=1)
    with pytest.raises(vl.VaelensError, match="doublings is -1; expected 0 or more"):
        half_sample_interval(0.0, [1.0, 2.0], doublings=-1)
