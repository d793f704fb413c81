"""Known answers: theory of the mean of normals, exact ratios, numpy as the independent reference."""

import numpy as np
import pytest
from scipy import stats

from vaelens.errors import VaelensError
from vaelens.statistics import BootstrapMean, percentile_interval, poisson_weights, ratio_interval


def accumulate(values, chunks=1, **options):
    values = np.asarray(values, dtype=float)
    total = BootstrapMean(values.shape[1:], **options)
    for chunk in np.array_split(values, chunks):
        total.update(chunk)
    return total


@pytest.mark.parametrize("resamples", [7, 100])
def test_weights_do_not_depend_on_how_images_are_batched(resamples):
    # With one-hot values the replicate times the number drawn is the weight itself.
    n = 600
    weights = poisson_weights(n, resamples, seed=3)
    drawn = weights.sum(axis=1)
    for chunks in (1, 2, 13, n):
        total = BootstrapMean((n,), resamples=resamples, seed=3)
        for chunk in np.array_split(np.eye(n), chunks):
            total.update(chunk)
        seen = np.rint(total.replicates * drawn[:, None])
        np.testing.assert_array_equal(seen, weights)


def test_weights_are_poisson_with_mean_and_variance_one():
    weights = poisson_weights(2000, 500, seed=0)
    assert weights.shape == (500, 2000)
    np.testing.assert_allclose(weights.mean(), 1, atol=0.005)
    np.testing.assert_allclose(weights.var(), 1, atol=0.01)
    np.testing.assert_allclose(np.mean(weights == 0), np.exp(-1), atol=0.002)
    assert (poisson_weights(2000, 500, seed=1) != weights).any()


def test_mean_and_replicates_equal_numpy():
    values = np.random.default_rng(0).normal(1e6, 1.0, size=(500, 2, 3))
    total = accumulate(values, chunks=7, resamples=20, seed=5)
    weights = poisson_weights(500, 20, seed=5)
    expected = np.einsum("ri,iab->rab", weights, values) / weights.sum(axis=1)[:, None, None]
    assert total.count == 500
    np.testing.assert_allclose(total.mean, values.mean(axis=0), rtol=1e-14)
    assert total.replicates.shape == (20, 2, 3)
    np.testing.assert_allclose(total.replicates, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cells", [1, 30, 10**6])
def test_replicates_in_blocks_are_the_replicates(monkeypatch, cells):
    monkeypatch.setattr("vaelens.statistics.bootstrap._CELLS", cells)
    total = accumulate(np.random.default_rng(0).normal(size=(40, 3, 2)), resamples=11)
    blocks = list(total.replicates_in_blocks())
    assert len(blocks) == {1: 11, 30: 3, 10**6: 1}[cells]
    np.testing.assert_array_equal(np.concatenate(blocks), total.replicates)
    assert list(BootstrapMean((2,), resamples=0).replicates_in_blocks()) == []


def test_interval_of_the_mean_of_normals_has_the_width_of_theory():
    n, sd = 1000, 3.0
    values = np.random.default_rng(0).normal(10.0, sd, size=(n, 200))
    total = accumulate(values, chunks=3)
    for level, quantile in ((0.95, 1.959964), (0.8, 1.281552)):
        low, high = total.interval(level)
        np.testing.assert_allclose((high - low).mean() / 2, quantile * sd / np.sqrt(n), rtol=0.02)
        np.testing.assert_allclose(((high + low) / 2 - total.mean).mean(), 0, atol=0.002)


def test_interval_covers_the_true_mean_as_often_as_it_says():
    values = np.random.default_rng(1).normal(0.5, 1.0, size=(200, 300))  # 300 repetitions of 200 images
    low, high = accumulate(values).interval(0.95)
    coverage = np.mean((low <= 0.5) & (high >= 0.5))
    assert 0.91 <= coverage <= 0.98


def test_ratio_interval_covers_the_true_ratio_and_is_tighter_than_independent_means():
    generator = np.random.default_rng(2)
    bottom = generator.uniform(1, 3, size=(200, 300))
    top = 0.4 * bottom + generator.normal(0, 0.2, size=bottom.shape)
    numerator, denominator = accumulate(top), accumulate(bottom, chunks=4)
    low, high = ratio_interval(numerator, denominator)
    coverage = np.mean((low <= 0.4) & (high >= 0.4))
    assert 0.91 <= coverage <= 0.98
    # Delta method: the ratio's error is that of the mean of (top - 0.4 bottom), over mean(bottom).
    np.testing.assert_allclose((high - low).mean() / 2, 1.96 * 0.2 / np.sqrt(200) / 2, rtol=0.03)


def test_an_interval_of_a_constant_is_the_constant():
    total = accumulate(np.full((300, 2), 0.1), chunks=3)
    low, high = total.interval()
    np.testing.assert_array_equal(low, np.full(2, 0.1))
    np.testing.assert_array_equal(high, np.full(2, 0.1))


def test_ratios_of_constants_are_exact():
    top = accumulate(np.tile([6.0, 0.0, 5.0, -5.0], (50, 1)))
    bottom = accumulate(np.tile([2.0, 0.0, 0.0, 0.0], (50, 1)))
    low, high = ratio_interval(top, bottom)
    np.testing.assert_array_equal(low, [3.0, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(high, [3.0, np.nan, np.inf, -np.inf])


def test_ratio_over_one_shared_denominator_broadcasts():
    values = np.random.default_rng(0).uniform(1, 2, size=100)
    scales = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    top = accumulate(values[:, None, None] * scales)
    for bottom in (accumulate(values), accumulate(np.tile(values[:, None], 3))):
        low, high = ratio_interval(top, bottom)
        np.testing.assert_allclose(low, scales, rtol=1e-5)
        np.testing.assert_allclose(high, scales, rtol=1e-5)


@pytest.mark.parametrize("options", [{"resamples": 0}, {"resamples": 10}])
def test_no_interval_without_resamples_or_with_one_image(options):
    n = 1 if options["resamples"] else 50
    total = accumulate(np.ones((n, 2)), **options)
    np.testing.assert_array_equal(total.mean, [1.0, 1.0])
    assert total.replicates.shape == (options["resamples"], 2)
    for end in (*total.interval(), *ratio_interval(total, total)):
        np.testing.assert_array_equal(end, [np.nan, np.nan])


def test_before_any_image_everything_is_nan():
    total = BootstrapMean((2,))
    total.update(np.empty((0, 2)))
    assert total.count == 0
    np.testing.assert_array_equal(total.mean, [np.nan, np.nan])
    np.testing.assert_array_equal(total.interval()[0], [np.nan, np.nan])


def test_nan_and_infinity_stay_in_their_cell():
    values = np.ones((20, 3))
    values[4, 0] = np.nan
    values[7, 1] = np.inf
    total = accumulate(values, chunks=3)
    for answer in (total.mean, *total.interval()):
        np.testing.assert_array_equal(answer, [np.nan, np.nan, 1.0])


def test_few_images_widen_the_interval_to_that_of_student():
    # Of normal replicates with the bootstrap's variance (1 − 1/n)/n, the expanded ends are those of the t interval.
    grid = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    for n in (5, 30, 1000):
        low, high = percentile_interval(grid * np.sqrt((n - 1) / n / n), 0.9, images=n)
        np.testing.assert_allclose([low, high], stats.t.ppf([0.05, 0.95], n - 1) / np.sqrt(n), rtol=2e-3)
    assert np.isnan(percentile_interval(grid, images=1)).all()


def test_few_skewed_images_are_covered_too():
    values = np.random.default_rng(0).gamma(2.0, size=(20, 4000))
    low, high = accumulate(values, resamples=500).interval()
    plain = percentile_interval(accumulate(values, resamples=500).replicates)
    assert np.mean((low <= 2) & (high >= 2)) > 0.925
    assert np.mean((plain[0] <= 2) & (plain[1] >= 2)) < 0.925


def test_percentile_interval_equals_numpy_and_leaves_nan_out():
    replicates = np.random.default_rng(0).normal(size=(101, 4, 3))
    low, high = percentile_interval(replicates, 0.9)
    np.testing.assert_allclose([low, high], np.quantile(replicates, [0.05, 0.95], axis=0), rtol=1e-12)
    replicates[::5, 1, 2] = np.nan
    low, high = percentile_interval(replicates, 0.9)
    np.testing.assert_allclose([low, high], np.nanquantile(replicates, [0.05, 0.95], axis=0), rtol=1e-12)


@pytest.mark.parametrize("shape", [(5,), (5, 4, 3), (5, 3), ()])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(VaelensError, match=r"values have shape .*; expected \(n, 4\): one row for each image"):
        BootstrapMean((4,)).update(np.zeros(shape))


@pytest.mark.parametrize(
    ("other", "difference"),
    [({"seed": 1}, "seed 0 and denominator 1"), ({"resamples": 5}, "resamples 9 and denominator 5")],
)
def test_a_ratio_needs_shared_weights(other, difference):
    options = {"resamples": 9, "seed": 0}
    top, bottom = BootstrapMean((), **options), BootstrapMean((), **options | other)
    with pytest.raises(VaelensError, match=f"numerator has {difference}; expected the same"):
        ratio_interval(top, bottom)


def test_a_ratio_needs_the_same_images_and_shapes_that_broadcast():
    with pytest.raises(VaelensError, match="count 4 and denominator 5; expected the same"):
        ratio_interval(accumulate(np.ones((4, 2))), accumulate(np.ones((5, 2))))
    with pytest.raises(VaelensError, match=r"shape \(2,\) and denominator \(3,\); expected shapes that broadcast"):
        ratio_interval(accumulate(np.ones((4, 2))), accumulate(np.ones((4, 3))))


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_is_a_probability(level):
    with pytest.raises(VaelensError, match="expected a probability between 0 and 1"):
        accumulate(np.ones((4, 2)), resamples=3).interval(level)


def test_negative_arguments_are_refused():
    with pytest.raises(VaelensError, match="resamples is -1; expected 0"):
        BootstrapMean((), resamples=-1)
    with pytest.raises(VaelensError, match="seed is -1; expected a whole number"):
        BootstrapMean((), seed=-1)
    with pytest.raises(VaelensError, match="n is -3 and resamples 1000; expected 0 or more"):
        poisson_weights(-3)
    with pytest.raises(VaelensError, match="replicates is one number"):
        percentile_interval(1.0)


@pytest.mark.parametrize("images", [1, 255, 256, 257, 1000])
def test_weights_of_some_images_are_those_they_have_among_all(images):
    of = np.sort(np.random.default_rng(1).choice(images, (images + 1) // 2, replace=False))
    np.testing.assert_array_equal(poisson_weights(images, 7, 3, of), poisson_weights(images, 7, 3)[:, of])
    assert poisson_weights(images, 7, 3, np.empty(0, dtype=int)).shape == (7, 0)
