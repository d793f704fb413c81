"""Effect sizes by hand, against pingouin and by their laws; intervals by how often they cover."""

import numpy as np
import pingouin
import pytest
from scipy import stats

from vaelens.errors import VaelensError
from vaelens.statistics import cliffs_delta, hedges_g


def test_g_by_hand():
    # means 4 and 2, variances 4 and 1: d = 2 / √2.5; J(4) = Γ(2) / (√2 Γ(1.5)) = 1 / (√2 · √π / 2)
    effect = hedges_g([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(effect.estimate, 2 / np.sqrt(2.5) * 2 / np.sqrt(2 * np.pi), rtol=1e-12)
    # differences 1, 2, 3: d = 2 / 1; J(2) = Γ(1) / (1 · Γ(0.5)) = 1 / √π
    paired = hedges_g([2.0, 4.0, 6.0], [1.0, 2.0, 3.0], paired=True)
    np.testing.assert_allclose(paired.estimate, 2 / np.sqrt(np.pi), rtol=1e-12)


def test_g_is_that_of_pingouin_but_for_its_approximate_correction():
    first, second = np.random.default_rng(0).normal([[0.5], [0.0]], 1, size=(2, 30))
    theirs = pingouin.compute_effsize(first, second[:20], eftype="hedges")
    np.testing.assert_allclose(hedges_g(first, second[:20]).estimate, theirs, rtol=1e-4)


@pytest.mark.parametrize("paired", [False, True])
def test_ends_are_where_the_noncentral_t_has_the_tails(paired):
    first, second = np.random.default_rng(1).normal([[1.0], [0.0]], 1, size=(2, 9))
    effect = hedges_g(first, second, paired=paired, level=0.9)
    t = (stats.ttest_rel if paired else stats.ttest_ind)(first, second).statistic
    freedom, size = (8, 9) if paired else (16, 4.5)
    tails = stats.nct.cdf(t, freedom, np.sqrt(size) * np.array([effect.low, effect.high]))
    np.testing.assert_allclose(tails, [0.95, 0.05], rtol=1e-5)


def test_g_is_unbiased_and_its_interval_covers():
    rng, delta = np.random.default_rng(2), 0.8
    first, second = rng.normal(delta, 1, size=(5, 20_000)), rng.normal(size=(8, 20_000))
    effect = hedges_g(first, second)
    np.testing.assert_allclose(effect.estimate.mean(), delta, atol=0.02)
    np.testing.assert_allclose(((effect.low <= delta) & (delta <= effect.high)).mean(), 0.95, atol=0.006)


def test_no_spread_and_nan():
    values = np.array([[1.0, 1.0, 1.0, np.nan], [1.0, 1.0, 2.0, 1.0]])
    effect = hedges_g(values, [[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 1.0]])
    assert np.isnan(effect.estimate[[0, 3]]).all()
    assert effect.estimate[1] == np.inf
    assert np.isnan([effect.low[[0, 1, 3]], effect.high[[0, 1, 3]]]).all()
    assert np.isfinite(effect.low[2])


def test_delta_by_hand():
    # 9 pairs: 2 beats 1, ties 2, loses to 3; 4 and 6 beat all: (7 − 1) / 9
    effect = cliffs_delta([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(effect.estimate, 6 / 9)


def test_delta_is_mann_whitney_and_changes_sign_with_the_order():
    first, second = np.random.default_rng(3).integers(0, 9, size=(2, 25)).astype(float)
    effect, back = cliffs_delta(first, second[:20]), cliffs_delta(second[:20], first)
    u = stats.mannwhitneyu(first, second[:20]).statistic
    np.testing.assert_allclose(effect.estimate, 2 * u / (25 * 20) - 1, rtol=1e-12)
    np.testing.assert_allclose(
        [effect.estimate, effect.low, effect.high], [-back.estimate, -back.high, -back.low], rtol=1e-12
    )
    assert -1 <= effect.low < effect.estimate < effect.high <= 1


def test_a_monotone_change_changes_nothing():
    first, second = np.random.default_rng(4).normal(size=(2, 12))
    plain, bent = cliffs_delta(first, second), cliffs_delta(np.exp(first), np.exp(second))
    assert (plain.estimate, plain.low, plain.high) == (bent.estimate, bent.low, bent.high)


@pytest.mark.parametrize("shift", [0.0, 0.7, 1.5])
def test_deltas_interval_covers(shift):
    rng = np.random.default_rng(5)
    first, second = rng.normal(shift, 1, size=(20, 4000)), rng.normal(size=(15, 4000))
    effect = cliffs_delta(first, second)
    delta = 2 * stats.norm.cdf(shift / np.sqrt(2)) - 1
    np.testing.assert_allclose(((effect.low <= delta) & (delta <= effect.high)).mean(), 0.95, atol=0.02)


def test_samples_apart_keep_an_interval():
    effect = cliffs_delta(np.arange(10.0) + 20, np.arange(12.0))
    z2 = stats.norm.ppf(0.975) ** 2
    np.testing.assert_allclose([effect.estimate, effect.low, effect.high], [1, (10 - z2) / (10 + z2), 1])
    assert np.isnan(cliffs_delta([1.0, np.nan], [0.0, 1.0]).estimate)


@pytest.mark.parametrize("size", [hedges_g, cliffs_delta])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first": [1.0]}, r"first has shape \(1,\) and second \(2,\); expected .* at least 2 rows each"),
        ({"second": [[1.0], [2.0]]}, r"second \(2, 1\)"),
        ({"level": 1.0}, "level is 1.0; expected a probability"),
    ],
)
def test_bad_arguments_are_refused(size, change, message):
    with pytest.raises(VaelensError, match=message):
        size(**{"first": [1.0, 2.0], "second": [1.0, 3.0], **change})


def test_pairs_need_partners():
    with pytest.raises(VaelensError, match="first has 3 rows and second 2; paired samples have as many each"):
        hedges_g([1.0, 2.0, 3.0], [1.0, 2.0], paired=True)
