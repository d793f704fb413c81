import numpy as np
import pytest
import torch

from vaelens.errors import VaelensError
from vaelens.models.likelihoods import LIKELIHOODS, find_likelihood


def test_bernoulli_matches_numpy():
    generator = torch.Generator().manual_seed(1)
    logits, x = torch.randn(4, 3, 8, 8, generator=generator) * 5, torch.rand(4, 3, 8, 8, generator=generator)
    p = 1 / (1 + np.exp(-logits.double().numpy()))
    expected = -(x.numpy() * np.log(p) + (1 - x.numpy()) * np.log(1 - p)).sum((1, 2, 3))
    found = LIKELIHOODS["bernoulli"].negative_log_likelihood(logits, x)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(LIKELIHOODS["bernoulli"].mean((1, 2, 3))(logits).numpy(), p, rtol=1e-5, atol=1e-6)


def test_bernoulli_is_finite_for_extreme_logits():
    logits, x = torch.tensor([[[[-1000.0, 1000.0]]]]), torch.tensor([[[[1.0, 1.0]]]])
    assert LIKELIHOODS["bernoulli"].negative_log_likelihood(logits, x).item() == 1000.0


def test_gaussian_matches_numpy():
    generator = torch.Generator().manual_seed(2)
    mean, x = torch.randn(4, 1, 8, 8, generator=generator), torch.rand(4, 1, 8, 8, generator=generator)
    density = np.exp(-((x - mean).double().numpy() ** 2) / 2) / np.sqrt(2 * np.pi)
    found = LIKELIHOODS["gaussian"].negative_log_likelihood(mean, x)
    np.testing.assert_allclose(found.numpy(), -np.log(density).sum((1, 2, 3)), rtol=1e-5)
    assert torch.equal(LIKELIHOODS["gaussian"].mean((1, 2, 3))(mean), mean)


@pytest.mark.parametrize("name", ["gauss", None, 3])
def test_an_unknown_likelihood_is_refused(name):
    with pytest.raises(VaelensError, match=f"unknown likelihood {name!r}; known: bernoulli, gaussian"):
        find_likelihood(name)
