"""Every term against its formula written in NumPy, in double precision."""

import math

import numpy as np
import pytest
import torch

from vaelens.errors import VaelensError
from vaelens.models import CATALOGUE
from vaelens.models.likelihoods import LIKELIHOODS, find_likelihood
from vaelens.models.objectives import ForwardPass, beta_vae, vae
from vaelens.models.posterior import kl_per_latent, sample


def numpy_kl(mu, logvar):
    variance = np.exp(logvar)
    return 0.5 * (mu**2 + variance - 1 - np.log(variance))


@pytest.fixture
def forward():
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return ForwardPass(draw(12).abs() * 100, draw(12, 5), draw(12, 5), draw(12, 5))


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


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0, 17.5])
def test_beta_vae_matches_numpy(forward, beta):
    terms = beta_vae(forward, beta=beta)
    reconstruction = forward.reconstruction.double().numpy().mean()
    kl = numpy_kl(forward.mu.double().numpy(), forward.logvar.double().numpy()).sum(1).mean()
    expected = {"loss": reconstruction + beta * kl, "reconstruction": reconstruction, "kl": kl}
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-5)


def test_vae_is_beta_vae_at_one_exactly(forward):
    plain, weighted = vae(forward), beta_vae(forward, beta=1.0)
    assert all(torch.equal(plain[name], weighted[name]) for name in weighted)


@pytest.mark.parametrize("objective", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_every_objective_names_its_terms_and_ranges(objective, forward):
    terms = objective.function(forward, **objective.resolve(None))
    assert {"loss", "reconstruction", "kl"} <= terms.keys()
    assert all(term.shape == () for term in terms.values())
    for hyperparameter in objective.hyperparameters:
        assert hyperparameter.low <= hyperparameter.default <= hyperparameter.high
        assert hyperparameter.meaning
    assert objective.source[-4:].isdigit()


def test_bernoulli_matches_numpy():
    generator = torch.Generator().manual_seed(1)
    logits, x = torch.randn(4, 3, 8, 8, generator=generator) * 5, torch.rand(4, 3, 8, 8, generator=generator)
    p = 1 / (1 + np.exp(-logits.double().numpy()))
    expected = -(x.numpy() * np.log(p) + (1 - x.numpy()) * np.log(1 - p)).sum((1, 2, 3))
    found = LIKELIHOODS["bernoulli"].negative_log_likelihood(logits, x)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(LIKELIHOODS["bernoulli"].mean()(logits).numpy(), p, rtol=1e-5, atol=1e-6)


def test_bernoulli_is_finite_for_extreme_logits():
    logits, x = torch.tensor([[[[-1000.0, 1000.0]]]]), torch.tensor([[[[1.0, 1.0]]]])
    assert LIKELIHOODS["bernoulli"].negative_log_likelihood(logits, x).item() == 1000.0


def test_gaussian_matches_numpy():
    generator = torch.Generator().manual_seed(2)
    mean, x = torch.randn(4, 1, 8, 8, generator=generator), torch.rand(4, 1, 8, 8, generator=generator)
    density = np.exp(-((x - mean).double().numpy() ** 2) / 2) / np.sqrt(2 * np.pi)
    found = LIKELIHOODS["gaussian"].negative_log_likelihood(mean, x)
    np.testing.assert_allclose(found.numpy(), -np.log(density).sum((1, 2, 3)), rtol=1e-5)
    assert torch.equal(LIKELIHOODS["gaussian"].mean()(mean), mean)


def test_an_unknown_likelihood_is_refused():
    with pytest.raises(VaelensError, match="unknown likelihood 'gauss'; known: bernoulli, gaussian; did you mean"):
        find_likelihood("gauss")
