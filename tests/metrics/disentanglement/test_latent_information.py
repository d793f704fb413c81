"""Information by nearest neighbours: of normal and uniform variables, where it is known, and against slow counting."""

import numpy as np
import pytest
from scipy.special import digamma

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement.latent_information import latent_information, neighbour_information

CONTINUOUS, DISCRETE = np.array([True]), np.array([False])


@pytest.mark.parametrize("correlation", [0.0, 0.5, -0.9])
def test_normal_variables_have_the_information_of_their_correlation(correlation):
    normal = np.random.default_rng(0).normal(size=(4000, 2))
    codes = correlation * normal[:, :1] + np.sqrt(1 - correlation**2) * normal[:, 1:]
    estimate = neighbour_information(codes, normal[:, :1], CONTINUOUS, 3, 0)
    assert estimate[0, 0] == pytest.approx(-np.log(1 - correlation**2) / 2, abs=0.04)


def test_a_uniform_latent_around_each_value_tells_what_does_not_overlap():
    # Values 0 and 1, the latent uniform in [v, v + 2]: half of the time it lies where both can be. I = log(2) / 2.
    generator = np.random.default_rng(0)
    values = generator.integers(2, size=(4000, 1))
    codes = values + 2 * generator.uniform(size=(4000, 1))
    estimate = neighbour_information(codes, values, DISCRETE, 3, 0)
    assert estimate[0, 0] == pytest.approx(np.log(2) / 2, abs=0.03)


def test_neighbours_are_counted_as_published():
    generator = np.random.default_rng(0)
    codes, values = generator.normal(size=(2, 60))
    codes, values = codes / codes.std(), (values + codes) / (values + codes).std()
    total = 0.0
    for i in range(60):
        apart = np.stack([np.abs(codes - codes[i]), np.abs(values - values[i])])
        radius = np.sort(apart.max(axis=0))[4]  # the image itself comes first
        total += sum(
            digamma(np.sum(distances < radius)) for distances in apart
        )  # as many as are nearer, and the image itself
    expected = digamma(4) + digamma(60) - total / 60
    estimate = neighbour_information(codes[:, None], values[:, None], CONTINUOUS, 4, 0)
    assert expected > 0.1
    assert estimate[0, 0] == pytest.approx(expected, abs=1e-6)


def test_neighbours_of_the_same_value_are_counted_as_published():
    generator = np.random.default_rng(0)
    values = np.repeat([0, 1, 2], [30, 20, 10])
    codes = generator.normal(size=60) + values
    counts = np.bincount(values)[values]
    total = 0.0
    for i in range(60):
        apart = np.abs(codes - codes[i])
        radius = np.sort(apart[values == values[i]])[3]
        total += digamma(counts[i]) + digamma(np.sum(apart < radius))
    expected = digamma(60) + digamma(3) - total / 60
    estimate = neighbour_information(codes[:, None], values[:, None], DISCRETE, 3, 0)
    assert expected > 0.05
    assert estimate[0, 0] == pytest.approx(expected, abs=1e-6)


def test_information_lies_between_nothing_and_the_entropy(grid):
    codes = np.insert(grid.astype(float), 1, 4.0, axis=1)
    estimate = neighbour_information(codes, grid, np.array([False] * 3), 3, 0)
    np.testing.assert_array_equal(estimate[1], np.zeros(3))  # a constant latent
    assert (estimate <= np.log([2, 3, 4]) + 1e-12).all()
    np.testing.assert_allclose(np.diag(estimate[[0, 2, 3]]), np.log([2, 3, 4]), atol=0.05)


def test_estimators_and_their_options_are_checked(grid):
    with pytest.raises(VaelensError, match=r"unknown estimator 'bin'.*did you mean 'bins'"):
        latent_information(grid.astype(float), grid, np.array([False] * 3), "bin", 20, 3, 0)
    for neighbours in (0, 5, 1.5):
        with pytest.raises(VaelensError, match=r"neighbours is .*; expected a whole number from 1 to 4"):
            neighbour_information(np.eye(5), np.arange(5.0)[:, None], CONTINUOUS, neighbours, 0)
    with pytest.raises(VaelensError, match="seed is -1"):
        neighbour_information(np.eye(5), np.arange(5.0)[:, None], CONTINUOUS, 3, -1)
    with pytest.raises(VaelensError, match="factor 0 has another value in every image; expected a value that several"):
        neighbour_information(np.eye(5), np.arange(5)[:, None], DISCRETE, 3, 0)
