"""DCI on the reference's cases, on codes whose scores are known, and its laws."""

import dataclasses

import numpy as np
import pytest

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import dci
from vaelens.metrics.disentanglement.dci import _concentration
from vaelens.metrics.disentanglement.predictors import PREDICTORS

SCORES = ("disentanglement", "completeness", "informativeness")


def scores_of(result):
    return [getattr(result, name) for name in SCORES]


@pytest.fixture
def mixed(grid):
    """Noisy codes: two latents for the last factor, one for both others, one of noise."""
    noise = np.random.default_rng(0).normal(size=(len(grid), 4))
    return 0.3 * noise + np.column_stack([grid[:, 2], grid[:, 0] + grid[:, 1], grid[:, 2], 0 * grid[:, 0]])


# Half a minute of boosting in all: the others tell nothing that this one, with constant and shared latents, does not.
@pytest.mark.parametrize("reference", ["dead"], indirect=True)
def test_dci_agrees_with_the_reference(reference):
    arrays, expected = reference
    result = dci(**arrays)
    np.testing.assert_allclose(result.importance, expected["dci_importance"], atol=0.02)
    assert result.disentanglement == pytest.approx(expected["dci_disentanglement"], abs=0.01)
    assert result.completeness == pytest.approx(expected["dci_completeness"], abs=0.01)
    assert result.informativeness == pytest.approx(expected["dci_informativeness_test"], abs=0.01)
    constant = np.flatnonzero(np.sum(expected["dci_importance"], axis=1) == 0)
    assert set(result.constant_latents) <= set(constant)
    assert (result.estimator, result.n_train, result.n_test) == ("gradient-boosting", 2000, 1000)


def test_one_latent_for_each_factor_scores_one(grid):
    result = dci(2.0 * grid[:, [2, 0, 1]] - 3, grid)
    assert scores_of(result) == pytest.approx([1, 1, 1], abs=1e-6)
    np.testing.assert_allclose(result.importance, np.eye(3)[[2, 0, 1]], atol=1e-9)
    assert (result.n_train, result.n_test) == (160, 80)
    assert result.constant_latents == result.constant_factors == ()


def test_concentration_on_paper():
    # Rows: all on one column, evenly on two of four, evenly on four: 1, 1 - log_4 2 = 1/2, 0.
    rows = np.array([[3.0, 0, 0, 0], [0, 1, 1, 0], [0.25, 0.25, 0.25, 0.25]])
    for row, expected in zip(rows, (1, 0.5, 0), strict=True):
        assert _concentration(row[None]) == pytest.approx(expected, abs=1e-9)
    # Weighted by the rows' sums 3, 2 and 1: (3 · 1 + 2 · 1/2 + 1 · 0) / 6.
    assert _concentration(rows) == pytest.approx(4 / 6, abs=1e-9)
    assert _concentration(np.zeros((2, 3))) == pytest.approx(0, abs=1e-9)


def test_codes_that_know_nothing_score_zero(grid):
    result = dci(np.ones((len(grid), 3)), grid, np.ones((24, 3)), grid[:24])
    assert scores_of(result)[:2] == pytest.approx([0, 0], abs=1e-9)
    # Guessing the commonest value: one of 2, of 3 and of 4, all equally common.
    assert result.informativeness == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)
    assert result.constant_latents == (0, 1, 2)
    np.testing.assert_array_equal(result.importance, np.zeros((3, 3)))


def test_constant_latents_and_factors_are_left_out_and_listed(mixed, grid):
    plain = dci(mixed, grid)
    result = dci(np.insert(mixed, 1, 5.0, axis=1), np.insert(grid, [0, 3], 2, axis=1))
    assert result.constant_latents == (1,)
    assert result.constant_factors == (0, 4)
    assert result.importance.shape == (5, 5)
    np.testing.assert_array_equal(result.importance[1], np.zeros(5))
    np.testing.assert_array_equal(result.importance[:, [0, 4]], np.zeros((5, 2)))
    np.testing.assert_allclose(result.importance[[0, 2, 3, 4], 1:4], plain.importance, atol=0.02)
    assert result.disentanglement == pytest.approx(plain.disentanglement, abs=0.02)
    assert result.informativeness == pytest.approx(plain.informativeness, abs=0.02)
    # The constant latent is counted in the base of the logarithm: 1 - C shrinks from base 4 to base 5.
    without = _concentration(result.importance[[0, 2, 3, 4], 1:4].T)
    assert result.completeness == pytest.approx(1 - (1 - without) * np.log(4) / np.log(5), abs=1e-6)
    assert result.completeness - without > 0.05


def test_a_score_whose_logarithm_has_base_one_is_nan(grid):
    single_factor = dci(grid, grid[:, :1])
    assert np.isnan(single_factor.disentanglement)
    assert (single_factor.completeness, single_factor.informativeness) == pytest.approx((1, 1), abs=1e-6)
    single_latent = dci(grid[:, 2:], grid)
    assert np.isnan(single_latent.completeness)
    assert 0 <= single_latent.disentanglement <= 1


def test_permuting_and_flipping_latents_permutes_importances_and_keeps_scores(mixed, grid):
    result = dci(mixed, grid)
    order = [2, 0, 3, 1]
    moved = dci((mixed * [-1, 1, 1, -1])[:, order], grid)
    np.testing.assert_allclose(moved.importance, result.importance[order], atol=0.03)
    assert scores_of(moved) == pytest.approx(scores_of(result), abs=0.03)


def test_the_seed_decides_and_the_number_of_jobs_does_not(mixed, grid):
    first, again, alone = dci(mixed, grid), dci(mixed, grid, seed=0), dci(mixed, grid, jobs=1)
    for repeated in (again, alone):
        np.testing.assert_array_equal(first.importance, repeated.importance)
        assert scores_of(first) == scores_of(repeated)
    assert (first.importance != dci(mixed, grid, seed=1).importance).any()


def test_the_result_is_frozen(grid):
    result = dci(grid, grid)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        result.completeness = 1.0


def test_wrong_options_are_refused(grid):
    with pytest.raises(VaelensError, match=r"unknown estimator 'gradient-bosting'.*did you mean 'gradient-boosting'"):
        dci(grid, grid, estimator="gradient-bosting")
    with pytest.raises(VaelensError, match="jobs is 0; expected a number of threads"):
        dci(grid, grid, jobs=0)


def test_many_values_for_few_images_are_still_classes():
    factors = np.arange(12).reshape(12, 1) * 3 // 4  # nine values among twelve images; warnings are errors here
    codes = np.stack([factors[:, 0], np.zeros(12)], axis=1).astype(float)
    scored = dci(codes, factors, codes, factors)
    assert scored.informativeness == 1.0
    np.testing.assert_allclose(scored.importance[:, 0], [1.0, 0.0])


def test_a_forest_is_near_the_reference_estimator(reference):
    arrays, expected = reference
    result = dci(**arrays, estimator="random-forest")
    assert result.estimator == "random-forest"
    assert result.disentanglement == pytest.approx(expected["dci_disentanglement"], abs=0.1)
    assert result.completeness == pytest.approx(expected["dci_completeness"], abs=0.1)
    assert result.informativeness == pytest.approx(expected["dci_informativeness_test"], abs=0.1)


def test_a_forest_finds_one_latent_for_each_factor_whatever_the_threads(grid):
    codes = 2.0 * grid[:, [2, 0, 1]] - 3
    single_job, two_jobs = (dci(codes, grid, estimator="random-forest", seed=3, jobs=jobs) for jobs in (1, 2))
    assert scores_of(single_job) == pytest.approx([1, 1, 1], abs=1e-6)
    np.testing.assert_array_equal(single_job.importance, two_jobs.importance)


def test_a_forest_does_not_see_the_order_or_the_sign_of_latents(mixed, grid):
    plain = dci(mixed, grid, estimator="random-forest")
    turned = dci(mixed[:, ::-1] * [1, -1, 1, -1], grid, estimator="random-forest")
    # Which of equally good splits a tree takes hangs on the order: equal but for that.
    np.testing.assert_allclose(turned.importance[::-1], plain.importance, atol=0.05)
    assert scores_of(turned) == pytest.approx(scores_of(plain), abs=0.03)


def test_scores_of_each_factor(grid):
    # The first factor is in the code, of the last only the half: right for one of two values in each.
    codes = np.column_stack([grid[:, 0], grid[:, 2] // 2]).astype(float)
    factors = grid[:, [0, 2, 1]] * [1, 1, 0]
    result = dci(codes, factors, codes, factors)
    np.testing.assert_allclose(result.informativeness_per_factor, [1, 1 / 2, np.nan])
    np.testing.assert_allclose(result.error_per_factor, [0, 1 / 2, np.nan])
    assert result.informativeness == pytest.approx(3 / 4)
    assert result.continuous_factors == ()


@pytest.mark.parametrize("estimator", PREDICTORS)
def test_continuous_factors_are_predicted_by_a_regressor(estimator):
    values = np.random.default_rng(0).uniform(size=(600, 3))
    codes = 10 - 3 * values[:, [2, 0, 1]]
    result = dci(codes, values, estimator=estimator, continuous=True)
    assert scores_of(result)[:2] == pytest.approx([1, 1], abs=0.02)
    np.testing.assert_allclose(result.importance, np.eye(3)[[2, 0, 1]], atol=0.01)
    assert (result.informativeness_per_factor > 0.98).all()
    np.testing.assert_allclose(result.error_per_factor**2, 1 - result.informativeness_per_factor)
    assert result.informativeness == pytest.approx(np.mean(result.informativeness_per_factor))
    assert (result.estimator, result.continuous_factors) == (estimator, (0, 1, 2))
    # The factor's unit says nothing.
    scaled = dci(codes, 1e6 * values - 3e5, estimator=estimator, continuous=True)
    assert scores_of(scaled) == pytest.approx(scores_of(result), abs=1e-3)


def test_the_error_of_a_continuous_factor_on_paper():
    # A code of one bit; the factor is 0 or 2 where it is 0, and 4 or 6 where it is 1. Predicted are 1 and 5, off by 1
    # everywhere; the factor's variance is (9 + 1 + 1 + 9) / 4 = 5.
    bits = np.tile([0.0, 0, 1, 1], 30)
    values = np.tile([0.0, 2, 4, 6], 30)[:, None]
    codes = np.column_stack([bits, np.zeros(120)])
    result = dci(codes, values, codes, values, continuous=True)
    np.testing.assert_allclose(result.informativeness_per_factor, [1 - 1 / 5], atol=1e-4)
    np.testing.assert_allclose(result.error_per_factor, [np.sqrt(1 / 5)], atol=1e-4)
    np.testing.assert_allclose(result.importance[:, 0], [1, 0])
    # The test images' factor has another mean: worse than a guess, which the score is cut at, and the error is not.
    # Off by 5 or by 3, squares of mean 17 on a variance of 5.
    moved = dci(codes, values, codes, values + 4, continuous=True)
    assert moved.informativeness == 0
    np.testing.assert_allclose(moved.error_per_factor, [np.sqrt(17 / 5)], atol=1e-4)


def test_codes_that_know_nothing_of_a_continuous_factor_score_zero(grid):
    result = dci(np.ones((len(grid), 3)), grid + 0.5, np.ones((24, 3)), grid[:24] + 0.5, continuous=True)
    assert scores_of(result) == pytest.approx([0, 0, 0], abs=1e-9)
    np.testing.assert_allclose(result.error_per_factor, np.ones(3))
    np.testing.assert_array_equal(result.importance, np.zeros((3, 3)))


def test_each_factor_is_predicted_as_what_it_is(mixed, grid):
    discrete, continuous = dci(mixed, grid), dci(mixed, grid, continuous=True)
    both = dci(mixed, grid, continuous=[False, True, False])
    for field in ("importance", "informativeness_per_factor", "error_per_factor"):
        mixed_kinds, classes, numbers = (getattr(result, field) for result in (both, discrete, continuous))
        np.testing.assert_array_equal(mixed_kinds[..., [0, 2]], classes[..., [0, 2]])
        np.testing.assert_array_equal(mixed_kinds[..., 1], numbers[..., 1])
    assert both.continuous_factors == (1,)


def test_factors_that_cannot_be_scored_are_refused(mixed, grid):
    with pytest.raises(VaelensError, match=r"factors hold 0.5 in image 0, factor 0; expected whole numbers"):
        dci(mixed, grid + 0.5)
    with pytest.raises(VaelensError, match=r"the continuous factor 1 is 2 in every test image; expected different"):
        dci(mixed, grid, mixed, grid * [1, 0, 1] + [0, 2, 0], continuous=[False, True, False])
    with pytest.raises(VaelensError, match=r"continuous is \[1\]; expected True or False"):
        dci(mixed, grid, continuous=[1])
