"""Information of posteriors against numerical integration, against what is known on paper, and its laws."""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from vaelens.errors import VaelensError
from vaelens.statistics import posterior_information


def integrated(mean, logvar):
    """Σ_i 1/n ∫ q_i log(q_i / q) of one latent."""
    deviation = np.exp(np.asarray(logvar) / 2)
    total = 0.0
    for m, s in zip(mean, deviation, strict=True):

        def gain(z, m=m, s=s):
            mixture = stats.norm.pdf(z, mean, deviation).mean()
            own = stats.norm.pdf(z, m, s)
            return own * (stats.norm.logpdf(z, m, s) - np.log(mixture))

        total += integrate.quad(gain, m - 9 * s, m + 9 * s, limit=200)[0]
    return total / len(mean)


@pytest.mark.parametrize("seed", range(4))
def test_a_gaussian_mixture_has_the_information_of_numerical_integration(seed):
    rng = np.random.default_rng(seed)
    mean, logvar = rng.normal(0, 2, size=(6, 2)), rng.normal(-1, 1.5, size=(6, 2))
    information = posterior_information(mean, logvar, points=30_000)
    expected = [integrated(mean[:, j], logvar[:, j]) for j in range(2)]
    np.testing.assert_allclose(information.nats, expected, atol=0.01)
    assert (information.images, information.draws) == (6, 5000)


def test_a_latent_that_is_the_same_for_all_images_tells_nothing():
    information = posterior_information(np.full((50, 2), 3.0), np.tile([0.5, -8.0], (50, 1)))
    np.testing.assert_allclose(information.nats, 0, atol=1e-12)
    np.testing.assert_allclose(information.high, 0, atol=1e-12)


@pytest.mark.parametrize("clusters", [2, 5, 20])
def test_far_clusters_tell_which_they_are(clusters):
    mean = np.repeat(100.0 * np.arange(clusters), 10)[:, None]
    information = posterior_information(mean, np.zeros_like(mean))
    assert information.nats[0] == pytest.approx(np.log(clusters), abs=1e-9)


def test_no_estimate_exceeds_the_logarithm_of_the_images():
    mean = np.random.default_rng(0).normal(size=(7, 3))
    information = posterior_information(mean, np.full_like(mean, -30.0))
    np.testing.assert_allclose(information.nats, np.log(7))
    assert information.limit == np.log(7)
    assert (information.high <= information.limit).all()
    alone = posterior_information(mean[:1], np.zeros((1, 3)))
    np.testing.assert_array_equal(alone.nats, 0)
    assert np.isnan(alone.low).all()


def test_positions_are_told_together():
    # Of two bits at two positions: both, one twice, and which of two images where each position tells it alone.
    bits = np.array(list(itertools.product([0.0, 100.0], repeat=2)))
    both, twice = bits[:, None, :], bits[:, None, [0, 0]]
    mean = np.concatenate([both, twice], axis=1)
    information = posterior_information(mean, np.zeros_like(mean))
    np.testing.assert_allclose(information.nats, [np.log(4), np.log(2)], atol=1e-9)
    # In the plane by numerical integration: two images a distance 1 apart along the diagonal are one Gaussian pair.
    near = np.array([[0.0, 0.0], [np.sqrt(0.5), np.sqrt(0.5)]])[:, None]
    plane = posterior_information(near, np.zeros_like(near), points=40_000)
    line = integrated(np.array([0.0, 1.0]), np.zeros(2))
    assert plane.nats[0] == pytest.approx(line, abs=0.01)
    assert plane.nats[0] == posterior_information(near.reshape(2, 1, 2, 1), np.zeros((2, 1, 2, 1)), 40_000).nats[0]


def test_neither_shift_nor_scale_of_a_latent_matters():
    rng = np.random.default_rng(0)
    mean, logvar = rng.normal(size=(40, 2)), rng.normal(-1, 1, size=(40, 2))
    plain = posterior_information(mean, logvar).nats
    moved = posterior_information(1000 * mean - 7, logvar + 2 * np.log(1000)).nats
    np.testing.assert_allclose(moved, plain, rtol=1e-9)


def test_blocks_do_not_show(monkeypatch):
    rng = np.random.default_rng(0)
    mean, logvar = rng.normal(size=(30, 2)), rng.normal(size=(30, 2))
    whole = posterior_information(mean, logvar)
    monkeypatch.setattr("vaelens.statistics.information._CELLS", 97)
    np.testing.assert_allclose(posterior_information(mean, logvar).nats, whole.nats, rtol=1e-12)


def test_of_more_images_than_points_some_are_drawn_from_and_all_are_in_the_mixture():
    rng = np.random.default_rng(0)
    mean = np.where(rng.permutation(900) < 450, 0.0, 50.0)[:, None]
    information = posterior_information(mean, np.zeros_like(mean), points=200)
    assert (information.images, information.draws) == (200, 1)
    assert information.limit == np.log(900)
    assert information.nats[0] == pytest.approx(np.log(2), abs=1e-9)
    first, again, other = (
        posterior_information(rng.normal(0, 0, (900, 1)) + mean / 50, np.zeros_like(mean), 200, seed).nats
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_intervals_hold_the_information_of_what_images_are_drawn_from():
    # Means N(0, 1) and a deviation of 1/2: I = log(1 + 4) / 2, of which 400 images lack e^I / 400 = 0.006.
    covered, estimates = 0, []
    for seed in range(100):
        mean = np.random.default_rng(seed).normal(size=(400, 1))
        information = posterior_information(mean, np.full((400, 1), 2 * np.log(0.5)), seed=seed)
        covered += bool(information.low[0] <= np.log(5) / 2 <= information.high[0])
        estimates.append(information.nats[0])
    assert covered >= 89
    assert np.log(5) / 2 - np.mean(estimates) == pytest.approx(np.sqrt(5) / 400, abs=4 * np.std(estimates) / 10)


@pytest.mark.parametrize(
    ("mean", "logvar", "options", "message"),
    [
        (np.zeros((4, 2)), np.zeros((4, 3)), {}, r"mean has shape \(4, 2\) and logvar \(4, 3\); expected \(n, d"),
        (np.zeros(4), np.zeros(4), {}, r"mean has shape \(4,\)"),
        (np.zeros((0, 2)), np.zeros((0, 2)), {}, r"mean has shape \(0, 2\)"),
        (np.full((4, 2), np.nan), np.zeros((4, 2)), {}, "mean holds 8 of 8 values that are not finite"),
        (np.zeros((4, 2)), np.full((4, 2), -np.inf), {}, "logvar holds 8 of 8 values that are not finite"),
        (np.zeros((4, 2)), np.zeros((4, 2)), {"points": 0}, "points is 0; expected 1 or more"),
        (np.zeros((4, 2)), np.zeros((4, 2)), {"seed": -1}, "seed is -1; expected a whole number"),
        (np.zeros((4, 2)), np.zeros((4, 2)), {"level": 95.0}, "level is 95.0; expected a probability"),
    ],
)
def test_what_is_no_posterior_is_refused(mean, logvar, options, message):
    with pytest.raises(VaelensError, match=message):
        posterior_information(mean, logvar, **options)
