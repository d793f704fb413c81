"""FactorVAE's terms against loops, its permutation, and its discriminator where the best one is known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from vaelens.models.objectives import factor_vae, vae
from vaelens.models.objectives.factor import Discriminator, discriminator_loss, permute_latents


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (32, 10)])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 35.0])
def test_every_term_matches_numpy(shape, gamma):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        reconstruction, log_ratio = rng.uniform(1, 300, shape[0]), rng.normal(size=shape[0])
        mu, logvar = rng.normal(size=shape), rng.normal(size=shape)
        kl = sum(
            0.5 * (mu[i, j] ** 2 + math.exp(logvar[i, j]) - 1 - logvar[i, j])
            for i in range(shape[0])
            for j in range(shape[1])
        )
        kl, total_correlation = kl / shape[0], sum(log_ratio) / shape[0]
        expected = {
            "loss": reconstruction.mean() + kl + gamma * total_correlation,
            "reconstruction": reconstruction.mean(),
            "kl": kl,
            "total_correlation": total_correlation,
        }
        for dtype in (torch.float32, torch.float64):
            tensors = [torch.tensor(array, dtype=dtype) for array in (reconstruction, mu, logvar, log_ratio)]
            terms = factor_vae(*tensors, gamma=gamma)
            assert terms.keys() == expected.keys()
            for name, value in expected.items():
                assert terms[name].item() == pytest.approx(value, rel=1e-5, abs=1e-6), name


def test_without_its_weight_it_is_the_vae():
    generator = torch.Generator().manual_seed(0)
    mu, logvar, reconstruction = (torch.randn(*shape, generator=generator) for shape in ((9, 4), (9, 4), (9,)))
    found = factor_vae(reconstruction, mu, logvar, torch.ones(9), gamma=0.0)["loss"]
    torch.testing.assert_close(found, vae(reconstruction, mu, logvar)["loss"])


@pytest.mark.parametrize(("n", "m"), [(1, 1), (4, 4), (5, 3), (32, 31)])
def test_the_discriminators_loss_matches_numpy(n, m):
    rng = np.random.default_rng(n)
    codes, permuted = rng.normal(size=(n, 2)) * 3, rng.normal(size=(m, 2)) * 3

    def cross_entropy(logits, label):
        chances = [math.exp(row[label]) / (math.exp(row[0]) + math.exp(row[1])) for row in logits]
        return -sum(math.log(chance) for chance in chances) / len(chances)

    expected = 0.5 * (cross_entropy(codes, 0) + cross_entropy(permuted, 1))
    found = discriminator_loss(torch.tensor(codes), torch.tensor(permuted))
    assert found.item() == pytest.approx(expected, rel=1e-12)
    found = discriminator_loss(torch.tensor(codes).float(), torch.tensor(permuted).float())
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_an_ignorant_discriminator_loses_log_two_and_a_perfect_one_nothing():
    same, sure = torch.full((7, 2), 3.0), torch.tensor([[50.0, 0.0]]).expand(7, 2)
    assert discriminator_loss(same, same).item() == pytest.approx(math.log(2), rel=1e-6)
    assert discriminator_loss(sure, sure.flip(1)).item() == pytest.approx(0, abs=1e-12)
    assert discriminator_loss(sure.flip(1), sure).item() == pytest.approx(50, rel=1e-6)


def test_the_discriminator_has_the_published_layers():
    layers = list(Discriminator(10))
    assert [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, nn.Linear)] == [
        (10, 1000),
        *[(1000, 1000)] * 5,
        (1000, 2),
    ]
    assert [layer.negative_slope for layer in layers if isinstance(layer, nn.LeakyReLU)] == [0.2] * 6


def test_the_log_ratio_is_the_first_logit_minus_the_second():
    discriminator, z = Discriminator(3), torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = discriminator(z)
        assert torch.equal(discriminator.log_ratio(z), logits[:, 0] - logits[:, 1])


COVARIANCE = np.array([[1.0, 0.6, 0.0], [0.6, 1.5, -0.4], [0.0, -0.4, 0.8]])


def log_ratio_features(z):
    """The monomials that the log-ratio of a centred Gaussian and the product of its marginals is made of."""
    pairs = [(i, j) for i in range(3) for j in range(i, 3)]
    return torch.stack([z[:, i] * z[:, j] for i, j in pairs] + [torch.ones(len(z), dtype=z.dtype)], dim=1)


def test_the_best_discriminator_of_correlated_codes_gives_their_total_correlation():
    # Between a Gaussian and the product of its marginals the best logit is quadratic in z, so that logistic
    # regression on squares and products finds it. Its mean is the total correlation, −½ log det of the correlations.
    generator = torch.Generator().manual_seed(0)
    factor = torch.tensor(np.linalg.cholesky(COVARIANCE))
    codes, others = (torch.randn(40_000, 3, generator=generator, dtype=torch.float64) @ factor.T for _ in range(2))
    features, permuted = log_ratio_features(codes), log_ratio_features(permute_latents(others, generator))
    weights = torch.zeros(features.shape[1], dtype=torch.float64, requires_grad=True)

    def logits(rows):
        return torch.stack([rows @ weights, torch.zeros(len(rows), dtype=torch.float64)], dim=1)

    optimizer = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = discriminator_loss(logits(features), logits(permuted))
        loss.backward()
        return loss

    assert closure().item() == pytest.approx(math.log(2))
    optimizer.step(closure)
    scale = np.sqrt(np.diag(COVARIANCE))
    expected = -0.5 * math.log(np.linalg.det(COVARIANCE / np.outer(scale, scale)))
    terms = factor_vae(
        torch.zeros(40_000), torch.zeros(40_000, 3), torch.zeros(40_000, 3), (features @ weights).detach(), gamma=2.0
    )
    # 40,000 draws: the error of the mean log-ratio is about 0.005
    assert terms["total_correlation"].item() == pytest.approx(expected, abs=0.02)
    assert terms["loss"].item() == pytest.approx(2 * expected, abs=0.04)
    precision = np.linalg.inv(COVARIANCE)
    quadratic = [
        -0.5 * (precision[i, i] - 1 / COVARIANCE[i, i]) if i == j else -precision[i, j]
        for i in range(3)
        for j in range(i, 3)
    ]
    np.testing.assert_allclose(weights.detach().numpy()[:-1], quadratic, atol=0.05)


def test_the_discriminator_learns_to_tell_correlated_codes():
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        discriminator = Discriminator(2)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
    factor = torch.tensor([[1.0, 0.0], [0.9, math.sqrt(1 - 0.81)]])
    for _ in range(20):
        codes, others = (torch.randn(32, 2, generator=generator) @ factor.T for _ in range(2))
        loss = discriminator_loss(discriminator(codes), discriminator(permute_latents(others, generator)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = discriminator.log_ratio(torch.randn(500, 2, generator=generator) @ factor.T).mean().item()
    # −½ log(1 − 0.81) = 0.83; independent codes would give 0
    assert 0.5 < found < 1.2


@pytest.mark.parametrize("shape", [(2, 1), (16, 5), (1000, 2)])
def test_permuting_keeps_what_each_latent_takes(shape):
    z = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    permuted = permute_latents(z, torch.Generator().manual_seed(1))
    assert torch.equal(permuted.sort(dim=0).values, z.sort(dim=0).values)


def test_latents_are_permuted_each_on_its_own_and_uniformly():
    z = torch.arange(3.0)[:, None].expand(3, 2)
    generator, counts = torch.Generator().manual_seed(0), {}
    for _ in range(3600):
        order = tuple(map(tuple, permute_latents(z, generator).T.tolist()))
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 36  # 3! orders of one latent with 3! of the other
    # 100 expected of each, standard deviation 10
    assert max(abs(count - 100) for count in counts.values()) < 50


def test_permuting_draws_from_the_given_generator_only():
    z = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    one, again, other = (permute_latents(z, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)
