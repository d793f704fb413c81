"""Gaussian total correlation on the reference's cases, on codes whose value is known, and its laws."""

import numpy as np
import pytest

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import gaussian_total_correlation


def test_total_correlation_agrees_with_the_reference(reference):
    arrays, expected = reference
    value = gaussian_total_correlation(arrays["codes"])
    if expected["gaussian_total_correlation"] is None:  # the reference does not leave constant latents out
        varying = arrays["codes"][:, np.ptp(arrays["codes"], axis=0) > 0].astype(np.float64)
        covariance = np.cov(varying, rowvar=False)
        by_definition = 0.5 * (np.log(np.diag(covariance)).sum() - np.log(np.linalg.det(covariance)))
        assert value == pytest.approx(by_definition, abs=1e-9)
    else:
        assert value == pytest.approx(expected["gaussian_total_correlation"], abs=1e-6)


def test_uncorrelated_latents_have_none(grid):
    assert gaussian_total_correlation(grid) == pytest.approx(0, abs=1e-12)
    assert gaussian_total_correlation(grid[:, :1]) == 0
    assert gaussian_total_correlation(np.ones((5, 3))) == 0
    # Dependent, but uncorrelated: a Gaussian does not see it.
    z = np.array([-1.0, 0.0, 1.0])
    assert gaussian_total_correlation(np.column_stack([z, z**2])) == pytest.approx(0, abs=1e-12)


def test_a_correlation_on_paper(grid):
    signs = 2.0 * np.column_stack([grid[:, 0], grid[:, 2] % 2]) - 1
    for rho in (0.6, -0.8):
        codes = np.column_stack([signs[:, 0], rho * signs[:, 0] + np.sqrt(1 - rho**2) * signs[:, 1]])
        assert gaussian_total_correlation(codes) == pytest.approx(-0.5 * np.log(1 - rho**2), abs=1e-12)
    # A rotation by half a right angle leaves equal variances uncorrelated, unequal ones not.
    turn = np.array([[1, 1], [1, -1]])
    assert gaussian_total_correlation(signs @ turn) == pytest.approx(0, abs=1e-12)
    # Variances 1 and 4 give the correlation (1 - 4) / (1 + 4).
    expected = -0.5 * np.log(1 - (3 / 5) ** 2)
    assert gaussian_total_correlation(signs * [1, 2] @ turn) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("columns", [[0, 1, 2, 0], [0, 0], [1, 1, 1]])
def test_a_latent_that_others_determine_makes_it_infinite(grid, columns):
    assert gaussian_total_correlation(grid[:, columns] * 3.7) == np.inf
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(100, 4))
    assert gaussian_total_correlation(np.column_stack([codes, codes @ generator.normal(size=4)])) == np.inf


def test_constant_latents_are_left_out():
    codes = np.random.default_rng(0).normal(size=(50, 3))
    assert gaussian_total_correlation(np.insert(codes, 1, 2.0, axis=1)) == gaussian_total_correlation(codes)


def test_permuting_flipping_and_scaling_change_nothing():
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(100, 5)) @ generator.normal(size=(5, 5))
    correlation = gaussian_total_correlation(codes)
    assert correlation > 0.1
    assert gaussian_total_correlation(codes[:, generator.permutation(5)]) == pytest.approx(correlation, abs=1e-12)
    assert gaussian_total_correlation(codes * [-1, 1, -1, -1, 1]) == pytest.approx(correlation, abs=1e-12)
    assert gaussian_total_correlation(codes * [1e-6, 1, 1e6, -3, 1] + 16) == pytest.approx(correlation, abs=1e-8)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.ones((1, 3)), "codes hold 1 images for 0 latents that vary; expected more images than latents"),
        (np.eye(3), "codes hold 3 images for 3 latents that vary; expected more images than latents"),
        ([[0.0, np.nan], [1.0, 2.0]], r"codes hold values that are not finite \(1 of 4\)"),
        ([1.0, 2.0], r"codes have shape \(2,\); expected \(N, d\)"),
    ],
)
def test_codes_without_a_covariance_are_refused(codes, message):
    with pytest.raises(VaelensError, match=message):
        gaussian_total_correlation(codes)


def test_a_dead_latent_that_follows_the_others_counts_only_where_it_is_asked_for():
    generator = np.random.default_rng(0)
    live = generator.normal(size=(500, 3))
    dead = 1e-4 * (live @ [1, -2, 1] + 1e-3 * generator.normal(size=500))
    codes = np.column_stack([live[:, 0], dead, live[:, 1:]])
    assert gaussian_total_correlation(codes) > 5
    expected = gaussian_total_correlation(live)
    assert expected < 0.05
    for latents in ([0, 2, 3], [3, 0, -2], [True, False, True, True], np.array([0, 2, 3], dtype=np.uint8)):
        assert gaussian_total_correlation(codes, latents) == pytest.approx(expected, abs=1e-12)
    assert gaussian_total_correlation(codes, latents=[]) == gaussian_total_correlation(codes, [False] * 4) == 0


@pytest.mark.parametrize("latents", [[0, 0], [0, -3], [[0, 1]], [0.5], [True, False], ["a"]])
def test_latents_that_are_no_choice_are_refused(latents):
    with pytest.raises(VaelensError, match=r"latents is .*; expected different indices of latents, or True and False"):
        gaussian_total_correlation(np.random.default_rng(0).normal(size=(20, 3)), latents)
    with pytest.raises(VaelensError, match=r"latents is \[3\]; expected indices from 0 to 2"):
        gaussian_total_correlation(np.random.default_rng(0).normal(size=(20, 3)), [3])
