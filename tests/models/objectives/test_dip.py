"""DIP-VAE's covariance penalties against loops, and on codes whose covariance is known exactly."""

import itertools
import math

import numpy as np
import pytest
import torch

from vaelens.models.objectives import dip_vae_i, dip_vae_ii, vae
from vaelens.models.objectives.dip import covariance_of_means

CASES = list(
    itertools.product([dip_vae_i, dip_vae_ii], [(2, 1), (6, 4), (33, 10)], [(10.0, 100.0), (0.0, 3.0), (2, 0)])
)
BOTH = pytest.mark.parametrize("objective", [dip_vae_i, dip_vae_ii])


def slow_covariance(mu):
    """E[mu_i mu_j] − E[mu_i] E[mu_j], every expectation a sum over images divided by their number."""
    n, d = mu.shape
    covariance = np.zeros((d, d))
    for i, j in itertools.product(range(d), range(d)):
        product = sum(mu[k, i] * mu[k, j] for k in range(n)) / n
        covariance[i, j] = product - sum(mu[k, i] for k in range(n)) / n * sum(mu[k, j] for k in range(n)) / n
    return covariance


def slow_penalties(covariance):
    d = len(covariance)
    off_diagonal = sum(covariance[i, j] ** 2 for i, j in itertools.product(range(d), range(d)) if i != j)
    return off_diagonal, sum((covariance[i, i] - 1) ** 2 for i in range(d))


def means_with_covariance(covariance, n, seed=0):
    """Means whose covariance over their n rows is that very matrix: noise whitened, then coloured."""
    noise = np.random.default_rng(seed).normal(size=(n, len(covariance)))
    noise -= noise.mean(0)
    white = noise @ np.linalg.inv(np.linalg.cholesky(noise.T @ noise / n)).T
    return white @ np.linalg.cholesky(covariance).T


@pytest.mark.parametrize(("objective", "shape", "weights"), CASES)
def test_every_term_matches_numpy(objective, shape, weights):
    lambda_od, lambda_d = weights
    for seed in range(3):
        rng = np.random.default_rng(seed)
        reconstruction, mu, logvar = rng.uniform(10, 300, shape[0]), rng.normal(size=shape) + 1, rng.normal(size=shape)
        covariance = slow_covariance(mu)
        if objective is dip_vae_ii:
            for i in range(shape[1]):
                covariance[i, i] += sum(math.exp(logvar[k, i]) for k in range(shape[0])) / shape[0]
        off_diagonal, diagonal = slow_penalties(covariance)
        kl = 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar).sum() / shape[0]
        expected = {
            "loss": reconstruction.mean() + kl + lambda_od * off_diagonal + lambda_d * diagonal,
            "reconstruction": reconstruction.mean(),
            "kl": kl,
            "off_diagonal": off_diagonal,
            "diagonal": diagonal,
        }
        for dtype in (torch.float32, torch.float64):
            tensors = [torch.tensor(array, dtype=dtype) for array in (reconstruction, mu, logvar)]
            terms = objective(*tensors, lambda_od=lambda_od, lambda_d=lambda_d)
            assert terms.keys() == expected.keys()
            for name, value in expected.items():
                assert terms[name].item() == pytest.approx(value, rel=1e-5, abs=1e-6), name


def test_penalties_of_a_known_covariance():
    covariance = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.25], [0.0, -0.25, 0.5]])
    mu = torch.tensor(means_with_covariance(covariance, 50))
    logvar = torch.tensor([0.5, 0.25, 0.125]).double().log().expand(50, 3)
    torch.testing.assert_close(covariance_of_means(mu), torch.tensor(covariance))
    zeros = torch.zeros(50).double()
    first = dip_vae_i(zeros, mu, logvar, lambda_od=1.0, lambda_d=1.0)
    assert first["off_diagonal"].item() == pytest.approx(2 * (0.25 + 0.0625))
    assert first["diagonal"].item() == pytest.approx(1 + 0 + 0.25)
    second = dip_vae_ii(zeros, mu, logvar, lambda_od=1.0, lambda_d=1.0)
    assert second["off_diagonal"].item() == pytest.approx(2 * (0.25 + 0.0625))
    assert second["diagonal"].item() == pytest.approx(1.5**2 + 0.25**2 + 0.375**2)


def test_an_aggregated_posterior_of_the_prior_costs_nothing():
    # Cov[mu] = ¾ I and E[sigma²] = ¼ I
    mu = torch.tensor(means_with_covariance(0.75 * np.eye(4), 20))
    logvar = torch.full((20, 4), math.log(0.25), dtype=torch.float64)
    terms = dip_vae_ii(torch.zeros(20).double(), mu, logvar, lambda_od=1e3, lambda_d=1e3)
    assert terms["off_diagonal"].item() == pytest.approx(0, abs=1e-20)
    assert terms["diagonal"].item() == pytest.approx(0, abs=1e-20)


def test_the_divisor_is_n_over_the_batch_by_hand():
    # ±1: E[mu²] = 1 with n = 2, 2 with n − 1; over the wrong axis the matrix would be 2×2
    assert covariance_of_means(torch.tensor([[1.0], [-1.0]])).tolist() == [[1.0]]
    assert covariance_of_means(torch.tensor([[1.0, 3.0, 0.0], [-1.0, 1.0, 0.0]])).tolist() == [
        [1.0, 1.0, 0.0],
        [1.0, 1.0, 0.0],
        [0.0, 0.0, 0.0],
    ]


@BOTH
def test_shifting_the_means_changes_no_penalty(objective):
    generator = torch.Generator().manual_seed(0)
    mu, logvar = (torch.randn(9, 4, generator=generator).double() for _ in range(2))
    zeros = torch.zeros(9).double()
    one = objective(zeros, mu, logvar, lambda_od=1.0, lambda_d=1.0)
    other = objective(zeros, mu + torch.tensor([3.0, -100.0, 0.5, 7.0]), logvar, lambda_od=1.0, lambda_d=1.0)
    for name in ("off_diagonal", "diagonal"):
        torch.testing.assert_close(one[name], other[name])


@BOTH
def test_without_weights_it_is_the_vae(objective):
    generator = torch.Generator().manual_seed(0)
    mu, logvar, reconstruction = (torch.randn(*shape, generator=generator) for shape in ((9, 4), (9, 4), (9,)))
    found = objective(reconstruction, mu, logvar, lambda_od=0.0, lambda_d=0.0)["loss"]
    torch.testing.assert_close(found, vae(reconstruction, mu, logvar)["loss"])
