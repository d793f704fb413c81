import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.effects.activity import ACTIVE_NATS, active_count_interval, activity
from vaelens.statistics import percentile_interval, poisson_weights


def test_the_divergence_of_a_gaussian_is_the_closed_form():
    mean = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    logvar = torch.tensor([[0.0, 0.0], [0.0, np.log(4.0)]])
    known = activity(mean, logvar)
    # ½(μ² + σ² − ln σ² − 1): ½ for the first, and half of ½(4 − ln 4 − 1) for the second
    np.testing.assert_allclose(known.kl, [0.5, 0.25 * (3 - np.log(4))], rtol=1e-6)
    np.testing.assert_allclose(known.scale, [1, 0])
    assert known.active.tolist() == [True, True]


def test_a_latent_is_active_above_a_hundredth_of_a_nat():
    just = np.sqrt(2 * ACTIVE_NATS)  # KL = μ²/2
    mean = torch.tensor([[0.999 * just, 1.001 * just, 0.0]], dtype=torch.float64)
    known = activity(mean, torch.zeros(1, 3, dtype=torch.float64))
    assert ACTIVE_NATS == 0.01
    assert known.active.tolist() == [False, True, False]


def test_the_divergence_of_a_spatial_latent_is_summed_over_positions():
    mean = torch.full((3, 1, 2, 2), 0.1)
    known = activity(mean, torch.zeros(3, 1, 2, 2))
    np.testing.assert_allclose(known.kl, [4 * 0.005], rtol=1e-6)
    assert known.active.tolist() == [True]  # 0.005 at a position would not do


def test_without_a_variance_a_latent_is_active_by_its_spread():
    column = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    mean = torch.stack([column * 1000, column * 1.001, column * 0.999, column * 0 + 5], dim=1)
    known = activity(mean, None)
    assert known.kl is None
    assert known.active.tolist() == [True, True, False, False]
    np.testing.assert_allclose(known.scale, [1000, 1.001, 0.999, 0])


def test_the_spread_of_a_spatial_latent_is_over_images_and_positions():
    mean = torch.arange(12.0).reshape(3, 1, 2, 2)
    np.testing.assert_allclose(activity(mean, None).scale, [np.arange(12).std()])


@pytest.mark.parametrize("value", [1.0, 0.2])  # 0.2 has no exact mean
def test_codes_that_never_change_are_all_inactive(value):
    assert activity(torch.full((7, 2), value), None).active.tolist() == [False, False]


@pytest.mark.parametrize("logvar", [None, (0.0, -1.0, 0.5)])
def test_effects_report_activity_and_the_divergence_only_where_there_is_a_variance(linear, logvar):
    model = linear(logvar=logvar)
    effects = vl.latent_effects(model.lens, model.x)
    if logvar is None:
        assert "kl" not in effects
        expected = model.z.std(axis=0) > 1e-3 * model.z.std(axis=0).max()
    else:
        kl = 0.5 * (model.z**2 + np.exp(logvar) - np.array(logvar) - 1).mean(axis=0)
        np.testing.assert_allclose(effects.kl, kl, rtol=1e-5)
        expected = kl > 0.01
    assert effects.active.values.tolist() == expected.tolist()


def test_inactive_latents_are_reported_and_kept(linear_of):
    lens = linear_of(np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]]), np.ones((4, 2)), shape=(1, 2, 2), logvar=(-1.0, 0.0))
    effects = vl.latent_effects(lens, torch.rand(5, 1, 2, 2))
    assert effects.active.values.tolist() == [True, False]
    assert effects.kl[1] == 0
    assert effects.ces[1] == pytest.approx(2 * np.abs(np.linspace(-3, 3, 7)).mean())


def test_how_many_are_active_varies_as_over_resamples():
    rng = np.random.default_rng(1)
    n, seed = 40, 3
    # KL = μ²/2: the middle latent's mean lies at the threshold, those of the others far from it
    values = rng.normal(size=(n, 3))
    values *= np.sqrt(2 * ACTIVE_NATS / (values**2).mean(axis=0)) * [10, 1, 0.1]
    mean = torch.from_numpy(values)
    logvar = torch.zeros(n, 3, dtype=torch.float64)
    weights = poisson_weights(n, 1000, seed).astype(float)
    kl = weights @ (mean.numpy() ** 2 / 2) / weights.sum(axis=1, keepdims=True)
    low, high = percentile_interval((kl > ACTIVE_NATS).sum(axis=1), images=n)
    assert [float(end) for end in active_count_interval(mean, logvar, seed)] == [np.floor(low), np.ceil(high)] == [1, 2]


@pytest.mark.parametrize("positions", [(), (2, 3)])
def test_the_same_without_a_variance_goes_by_the_spread(positions):
    rng = np.random.default_rng(1)
    n, seed = 40, 3
    shape = [1] * len(positions)
    values = rng.normal(size=(n, 3, *positions))
    spreads = values.swapaxes(0, 1).reshape(3, -1).std(axis=1)
    mean = torch.from_numpy(5 + values * (np.array([1.0, 1e-3, 1e-5]) / spreads).reshape(3, *shape))
    weights = poisson_weights(n, 1000, seed).astype(float)
    flat = mean.numpy().reshape(n, 3, -1) - 5
    first, second = (
        np.einsum("rn,ndp->rd", weights, flat**k) / (weights.sum(axis=1, keepdims=True) * flat.shape[2]) for k in (1, 2)
    )
    spread = np.sqrt(second - first**2)
    low, high = percentile_interval((spread > 1e-3 * spread.max(axis=1, keepdims=True)).sum(axis=1), images=n)
    ends = [float(end) for end in active_count_interval(mean, None, seed)]
    assert ends == [np.floor(low), np.ceil(high)] == [1, 2]


def test_what_is_the_same_for_every_image_is_counted_exactly():
    still = torch.full((6, 2), 0.2)
    assert [float(end) for end in active_count_interval(still, None, 0)] == [0, 0]
    pushed = torch.ones(6, 2)
    assert [float(end) for end in active_count_interval(pushed, torch.zeros(6, 2), 0)] == [2, 2]
