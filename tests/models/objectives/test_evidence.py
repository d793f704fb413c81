"""The evidence lower bound and its variants against loops over images and latents, in double precision."""

import itertools
import math

import numpy as np
import pytest
import torch

from vaelens.models.objectives import annealed_vae, beta_vae, vae

SHAPES = [(1, 1), (2, 10), (12, 5), (7, 64)]


def drawn(n, d, seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(10, 400, n), rng.normal(size=(n, d)) * 2, rng.normal(size=(n, d)) * 1.5


def slow_kl(mu, logvar):
    """Kingma and Welling's appendix B: −½ Σ (1 + log σ² − μ² − σ²), averaged over images."""
    total = 0.0
    for i, j in itertools.product(*map(range, mu.shape)):
        variance = math.exp(logvar[i, j])
        total -= 0.5 * (1 + math.log(variance) - mu[i, j] ** 2 - variance)
    return total / len(mu)


def assert_terms(terms, expected):
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        assert terms[name].shape == ()
        assert terms[name].item() == pytest.approx(value, rel=1e-5, abs=1e-5), name


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0, 17.5])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_beta_vae_matches_numpy(shape, beta, dtype):
    for seed in range(3):
        arrays = drawn(*shape, seed)
        kl = slow_kl(*arrays[1:])
        expected = {"loss": arrays[0].mean() + beta * kl, "reconstruction": arrays[0].mean(), "kl": kl}
        assert_terms(beta_vae(*(torch.tensor(array, dtype=dtype) for array in arrays), beta=beta), expected)


def test_vae_is_beta_vae_at_one_exactly():
    arrays = [torch.tensor(array) for array in drawn(12, 5, 0)]
    plain, weighted = vae(*arrays), beta_vae(*arrays, beta=1.0)
    assert plain.keys() == weighted.keys()
    assert all(torch.equal(plain[name], weighted[name]) for name in weighted)


def test_beta_vae_by_hand():
    # KL(N(2, 1) || N(0, 1)) = 2; KL(N(0, 4) || N(0, 1)) = (4 − 1 − log 4) / 2; two images with one of them each
    mu, logvar = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, math.log(4)]])
    kl = (2 + 1.5 - math.log(2)) / 2
    expected = {"loss": 15 + 3 * kl, "reconstruction": 15.0, "kl": kl}
    assert_terms(beta_vae(torch.tensor([10.0, 20.0]), mu, logvar, beta=3.0), expected)


@pytest.mark.parametrize(("step", "capacity"), [(0, 0.0), (1, 0.25), (50, 12.5), (100, 25.0), (101, 25.0), (10**9, 25)])
def test_capacity_grows_linearly_and_stays(step, capacity):
    reconstruction, mu, logvar = (torch.tensor(array) for array in drawn(4, 3, 0))
    terms = annealed_vae(reconstruction, mu, logvar, step, gamma=1.0, c_max=25.0, annealing_steps=100)
    assert terms["capacity"].item() == pytest.approx(capacity, rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("gamma", "c_max", "step"), [(1000.0, 25.0, 30), (3.0, 1000.0, 90), (0.0, 5.0, 10), (7, 0, 3)])
def test_annealed_vae_matches_numpy(shape, gamma, c_max, step):
    for seed in range(3):
        arrays = drawn(*shape, seed)
        kl, capacity = slow_kl(*arrays[1:]), c_max * step / 60 if step < 60 else c_max
        expected = {
            "loss": arrays[0].mean() + gamma * abs(kl - capacity),
            "reconstruction": arrays[0].mean(),
            "kl": kl,
            "capacity": capacity,
        }
        tensors = [torch.tensor(array) for array in arrays]
        assert_terms(annealed_vae(*tensors, step, gamma=gamma, c_max=c_max, annealing_steps=60), expected)


@pytest.mark.parametrize(("c_max", "sign"), [(0.0, 1.0), (1000.0, -1.0)])
def test_annealing_pushes_the_divergence_towards_the_capacity(c_max, sign):
    _, mu, logvar = (torch.tensor(array) for array in drawn(4, 3, 0))
    mu.requires_grad_()
    annealed_vae(torch.zeros(4).double(), mu, logvar, 1, gamma=5.0, c_max=c_max, annealing_steps=1)["loss"].backward()
    # the gradient of the KL by mu is mu, here averaged over four images and weighted by γ
    torch.testing.assert_close(mu.grad, sign * 5.0 * mu.detach() / 4)
