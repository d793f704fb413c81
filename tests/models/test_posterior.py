import math

import numpy as np
import pytest
import torch

from vaelens.models.posterior import kl_per_latent, log_density, sample


def test_kl_by_hand():
    # N(1, 4) from N(0, 1): (1 + 4 − 1 − log 4) / 2
    kl = kl_per_latent(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, math.log(4.0)]]))
    torch.testing.assert_close(kl, torch.tensor([[0.0, 2.0 - math.log(2.0)]]))


def test_kl_is_never_negative_near_the_prior():
    logvar = torch.linspace(-1e-4, 1e-4, 1001).reshape(1, -1)
    assert (kl_per_latent(torch.zeros_like(logvar), logvar) >= 0).all()


def test_kl_is_the_mean_of_the_log_ratio():
    # Monte Carlo over 200,000 samples; log q − log p has a standard deviation below 2 here, so 5 errors are 0.022
    mu, logvar = torch.tensor([[0.7]]), torch.tensor([[-0.5]])
    z = sample(mu.expand(200_000, 1), logvar.expand(200_000, 1), torch.Generator().manual_seed(0)).double()
    q = torch.distributions.Normal(mu.double(), logvar.double().mul(0.5).exp())
    ratio = q.log_prob(z) - torch.distributions.Normal(0.0, 1.0).log_prob(z)
    assert ratio.std() < 2
    assert abs(ratio.mean() - kl_per_latent(mu, logvar)).item() < 5 * 2 / math.sqrt(200_000)


def test_a_sample_is_the_generators_noise_scaled_and_shifted():
    mu, logvar = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, math.log(9.0)]])
    noise = torch.randn(1, 2, generator=torch.Generator().manual_seed(3))
    drawn = sample(mu, logvar, torch.Generator().manual_seed(3))
    torch.testing.assert_close(drawn, mu + torch.tensor([[1.0, 3.0]]) * noise)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_density_matches_numpy_and_is_by_latent(dtype):
    rng = np.random.default_rng(0)
    z, mu, logvar = (rng.normal(size=shape) for shape in ((4, 1, 3), (1, 5, 3), (1, 5, 3)))
    expected = np.log(np.exp(-((z - mu) ** 2) / (2 * np.exp(logvar))) / np.sqrt(2 * np.pi * np.exp(logvar)))
    found = log_density(*(torch.tensor(array, dtype=dtype) for array in (z, mu, logvar)))
    assert found.shape == (4, 5, 3)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)
