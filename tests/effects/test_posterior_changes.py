"""Level 1 by the posteriors: how far a factor moves each latent in standard deviations, and in nats."""

import itertools

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.effects.medians import MOST, Median
from vaelens.effects.posterior_changes import posterior_divergence, posterior_shift

SHAPE = (1, 4, 4)


@pytest.fixture
def grid():
    labels = np.array(list(itertools.product(range(3), range(2))) * 2)
    images = np.random.default_rng(0).random((3, 2, *SHAPE)).astype(np.float32)
    return vl.ArrayDataset(images[labels[:, 0], labels[:, 1]], labels, ["angle", "size"])


def divergence(mean, logvar, other_mean, other_logvar):
    """KL(q ‖ q') of two Gaussians in closed form."""
    variance, other = np.exp(logvar), np.exp(other_logvar)
    return 0.5 * (variance / other + (mean - other_mean) ** 2 / other - 1 + np.log(other / variance))


def test_shift_and_divergence_are_those_of_the_formulas():
    rng = np.random.default_rng(0)
    moments = [rng.normal(size=(5, 3)) for _ in range(4)]
    tensors = [torch.as_tensor(moment) for moment in moments]
    spread = np.sqrt((np.exp(moments[1]) + np.exp(moments[3])) / 2)
    np.testing.assert_allclose(posterior_shift(*tensors), np.abs(moments[2] - moments[0]) / spread, rtol=1e-12)
    both = (divergence(*moments) + divergence(*moments[2:], *moments[:2])) / 2
    np.testing.assert_allclose(posterior_divergence(*tensors), both, rtol=1e-9)


def test_over_positions_shifts_add_in_squares_and_divergences_as_they_are():
    moments = [torch.as_tensor(np.random.default_rng(1).normal(size=(4, 2, 3, 2))) for _ in range(4)]
    flat = [moment.flatten(2).transpose(1, 2).reshape(-1, 2) for moment in moments]  # positions as images
    for measure, together in (
        (posterior_shift, lambda v: (v**2).sum(1) ** 0.5),
        (posterior_divergence, lambda v: v.sum(1)),
    ):
        by_position = measure(*flat).reshape(4, 6, 2)
        np.testing.assert_allclose(measure(*moments), together(by_position), rtol=1e-9)


def test_effects_of_factors_are_in_the_posteriors_standard_deviations(linear, grid, intervals):
    logvar = [0.0, 2 * np.log(0.5), 2 * np.log(3.0)]
    model = linear(logvar=logvar)
    effects = vl.factor_effects(model.lens, grid, n=9, seed=4)
    sigma = np.exp(np.array(logvar) / 2)
    for k, name in enumerate(("angle", "size")):
        pairs = grid.pairs(name, 9, seed=4)
        before, after = (part.flatten(1).double().numpy() @ model.a.T + model.c for part in (pairs.x, pairs.x2))
        change = np.abs(after - before)
        np.testing.assert_allclose(effects.latent_shift[k], (change / sigma).mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(effects.latent_divergence[k], np.median(change**2 / 2 / sigma**2, axis=0), rtol=1e-4)
    intervals(effects, "latent_shift", "latent_divergence")
    manipulated = vl.manipulation_effects(model.lens, grid, "blur", n=9)
    assert manipulated.latent_shift.dims == manipulated.latent_divergence.dims == ("manipulation", "latent")


def test_rescaling_a_latent_changes_neither(linear, linear_of, grid):
    model, scale = linear(logvar=[0.0, 1.0, -1.0]), np.array([10.0, 1.0, 0.01])
    other = linear_of(
        model.a * scale[:, None],
        model.w / scale,
        model.c * scale,
        model.b,
        shape=SHAPE,
        logvar=(np.array([0.0, 1.0, -1.0]) + 2 * np.log(scale)).tolist(),
    )
    before, after = (vl.factor_effects(lens, grid, n=6) for lens in (model.lens, other))
    for name in ("latent_shift", "latent_divergence"):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-4)


def test_a_latent_that_hardly_varies_does_not_come_first(linear_of, grid):
    # latent 0 says everything about one pixel, latent 1 next to nothing about another, in the same standard deviations
    a = np.zeros((2, 16))
    a[0, 0], a[1, 1] = 10.0, 1e-3
    lens = linear_of(a, np.zeros((16, 2)), shape=SHAPE, logvar=[0.0, 0.0])
    effects = vl.factor_effects(lens, grid, "angle", n=12)
    assert effects.latent_effect[0, 1] > 0.5 * effects.latent_effect[0, 0]
    assert effects.latent_shift[0, 1] < 1e-3 * effects.latent_shift[0, 0]
    assert effects.latent_divergence[0, 1] < 1e-6


def test_an_encoder_without_variance_has_neither(linear, grid):
    effects = vl.factor_effects(linear().lens, grid, n=3)
    assert not {"latent_shift", "latent_divergence"} & set(effects)


# Medians


def test_the_median_and_its_interval_are_order_statistics():
    values = torch.as_tensor(np.random.default_rng(0).normal(size=(101, 2)))
    median = Median((2,))
    for part in values.split(17):
        median.update(part)
    np.testing.assert_allclose(median.median, np.median(values, axis=0))
    ordered = np.sort(values.numpy(), axis=0)
    np.testing.assert_array_equal(median.interval(), [ordered[40], ordered[60]])  # binomial(101, ½): ranks 41 and 61


def test_the_interval_covers_the_median_of_any_distribution():
    rng, covered = np.random.default_rng(1), 0
    for _ in range(400):
        median = Median(())
        median.update(torch.as_tensor(rng.lognormal(sigma=2, size=30)))
        low, high = median.interval()
        covered += low <= 1 <= high
    assert 0.93 <= covered / 400 <= 1


def test_a_few_values_have_no_interval_and_more_than_fit_are_left_out():
    few = Median(())
    assert np.isnan(few.median)
    few.update(torch.arange(5.0))
    assert few.median == 2
    assert np.isnan(few.interval()).all()
    many = Median(())
    many.update(torch.zeros(MOST - 1))
    many.update(torch.ones(10_000))
    assert (many.count, many.median) == (MOST, 0)
