"""Best sets against slow stepping over pairs, on paper, and by how often they hold what is best."""

import itertools

import numpy as np
import pytest
from benchmarks import coverage
from scipy import stats

from vaelens.errors import VaelensError
from vaelens.statistics import BootstrapMean, best_set


def slow(estimates, replicates, level):
    """The same, pair by pair, from all candidates on."""
    left = list(range(len(estimates)))
    centred = replicates - replicates.mean(axis=0)
    while len(left) > 1:
        error = {(j, k): np.std(centred[:, j] - centred[:, k]) for j, k in itertools.permutations(left, 2)}
        largest = [max((row[j] - row[k]) / error[j, k] for j, k in error) for row in centred]
        quantile = np.quantile(largest, 1 - (1 - level) * 0.999)
        behind = {k for j, k in error if (estimates[j] - estimates[k]) / error[j, k] > quantile}
        if not behind:
            break
        left = [k for k in left if k not in behind]
    return np.isin(np.arange(len(estimates)), left)


@pytest.mark.parametrize("seed", range(6))
def test_sets_are_those_of_slow_stepping(seed):
    rng = np.random.default_rng(seed)
    estimates = np.sort(rng.normal(size=7))
    replicates = estimates + rng.normal(size=(80, 1)) + rng.uniform(0.1, 0.5) * rng.normal(size=(80, 7))
    chosen = best_set(estimates, replicates, 0.9)
    np.testing.assert_array_equal(chosen, slow(estimates, replicates, 0.9))
    np.testing.assert_array_equal(best_set(-estimates, -replicates, 0.9, largest=False), chosen)


def test_two_candidates_are_a_two_sided_test_of_their_difference():
    quantiles = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    replicates = np.column_stack([quantiles, np.zeros(20_000)])  # the difference is standard normal
    assert best_set([1.95, 0.0], replicates).tolist() == [True, True]
    assert best_set([1.97, 0.0], replicates).tolist() == [True, False]
    # Of 10 images the quantile is Student's, widened by the images' own mean: √(10/9) · 2.262.
    ends = np.sqrt(10 / 9) * stats.t.ppf(0.975, 9)
    assert best_set([ends - 0.02, 0.0], replicates, images=10).tolist() == [True, True]
    assert best_set([ends + 0.02, 0.0], replicates, images=10).tolist() == [True, False]


def test_what_candidates_have_in_common_cancels():
    rng = np.random.default_rng(0)
    values = 5 * rng.normal(size=(300, 1)) + [0.0, 0.5] + 0.5 * rng.normal(size=(300, 2))
    total = BootstrapMean((2,))
    total.update(values)
    low, high = total.interval()
    assert high[0] > low[1]  # the intervals overlap
    assert best_set(total.mean, total.replicates).tolist() == [False, True]


def test_candidates_that_never_differ_stay_together():
    rng = np.random.default_rng(0)
    column = rng.normal(size=(500, 1))
    replicates = np.hstack([column, column, column - 0.001])
    # The third is behind by the same in every resample: there is nothing to doubt.
    assert best_set([1.0, 1.0, 0.999], replicates).tolist() == [True, True, False]


def test_what_is_no_number_is_no_candidate():
    replicates = np.random.default_rng(0).normal(size=(100, 3))
    replicates[7] = np.nan
    assert best_set([0.0, np.nan, 0.1], replicates).tolist() == [True, False, True]
    assert best_set([np.nan, 2.0, np.inf], replicates).tolist() == [False, True, False]
    assert best_set([], np.zeros((5, 0))).shape == (0,)


def test_many_candidates_take_little_time_and_the_set_does_not_depend_on_those_far_behind():
    rng = np.random.default_rng(0)
    means = np.concatenate([[1.0, 0.99], np.full(1500, -5.0)])
    replicates = means + 0.1 * rng.normal(size=(1000, len(means)))
    chosen = best_set(means, replicates)
    assert np.flatnonzero(chosen).tolist() == [0, 1]
    np.testing.assert_array_equal(best_set(means[:2], replicates[:, :2]), chosen[:2])


@pytest.mark.parametrize("name", ["two, tied", "ten, all tied", "ten, all tied, skewed", "ten, two tied far ahead"])
def test_all_that_tie_for_the_best_are_in_the_set_as_often_as_it_says(name):
    every_best, first_best, size = coverage.best_sets(coverage.CANDIDATES[name], images=200, repetitions=150, seed=1)
    assert abs(every_best - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 150)
    assert first_best >= every_best
    assert size > 1


@pytest.mark.parametrize("name", ["ten, one just ahead", "eight, three tied just ahead"])
def test_what_is_just_ahead_is_in_the_set(name):
    every_best, _, size = coverage.best_sets(coverage.CANDIDATES[name], images=200, repetitions=60, seed=1)
    assert every_best >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 60)
    assert size < 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], np.zeros((5, 3))), r"estimates have shape \(2,\) and replicates \(5, 3\); expected"),
        (([1.0, 2.0], [1.0, 2.0]), r"replicates \(2,\); expected"),
        (([1.0, 2.0], np.full((5, 2), np.nan)), "0 of 5 resamples have a finite value of every candidate"),
        (([1.0, 2.0], np.zeros((5, 2)), 95), "level is 95; expected a probability"),
        (([1.0, 2.0], np.zeros((5, 2)), 0.95, True, 1), "images is 1; expected at least 2"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments, message):
    with pytest.raises(VaelensError, match=message):
        best_set(*arguments)
