"""The divergence's three parts against loops, and against closed forms and exact averages over all batches."""

import itertools
import math

import numpy as np
import pytest
import torch

from vaelens.errors import VaelensError
from vaelens.models.objectives import beta_tc_vae, vae
from vaelens.models.objectives.total_correlation import decompose, log_weights
from vaelens.models.posterior import log_density

SAMPLINGS = pytest.mark.parametrize("sampling", ["minibatch-weighted", "stratified"])


def drawn(n, d, seed, spread=1.0):
    rng = np.random.default_rng(seed)
    mu, logvar = rng.normal(size=(n, d)) * spread, rng.normal(size=(n, d)) - 1
    return mu + np.exp(logvar / 2) * rng.normal(size=(n, d)), mu, logvar


def normal(z, mu, logvar):
    return math.exp(-((z - mu) ** 2) / (2 * math.exp(logvar))) / math.sqrt(2 * math.pi * math.exp(logvar))


def slow_weight(i, j, n, size, sampling):
    """Chen et al., appendices C.1 and C.2, with M = n − 1 images besides one's own."""
    if sampling == "minibatch-weighted":
        return 1 / (size * n)
    m = n - 1
    if j == i:
        return 1 / size
    return (size - m) / (size * m) if j == (i + 1) % n else 1 / m


def slow_parts(z, mu, logvar, size, sampling):
    n, d = z.shape
    information = correlation = dimension_wise = 0.0
    for i in range(n):
        weights = [slow_weight(i, j, n, size, sampling) for j in range(n)]
        densities = [[normal(z[i, k], mu[j, k], logvar[j, k]) for k in range(d)] for j in range(n)]
        log_q = math.log(sum(w * math.prod(row) for w, row in zip(weights, densities, strict=True)))
        log_marginals = sum(
            math.log(sum(w * row[k] for w, row in zip(weights, densities, strict=True))) for k in range(d)
        )
        information += math.log(math.prod(densities[i])) - log_q
        correlation += log_q - log_marginals
        dimension_wise += log_marginals - math.log(math.prod(normal(z[i, k], 0.0, 0.0) for k in range(d)))
    return information / n, correlation / n, dimension_wise / n


@SAMPLINGS
@pytest.mark.parametrize(("shape", "size"), [((2, 1), 2), ((5, 3), 5), ((8, 4), 1000), ((16, 10), 737_280)])
def test_every_term_matches_numpy(shape, size, sampling):
    for seed, beta in itertools.product(range(2), (0.0, 1.0, 6.0)):
        z, mu, logvar = drawn(*shape, seed)
        reconstruction = np.random.default_rng(seed).uniform(10, 300, shape[0])
        information, correlation, dimension_wise = slow_parts(z, mu, logvar, size, sampling)
        expected = {
            "loss": reconstruction.mean() + information + beta * correlation + dimension_wise,
            "reconstruction": reconstruction.mean(),
            "kl": 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar).sum() / shape[0],
            "mutual_information": information,
            "total_correlation": correlation,
            "dimension_wise_kl": dimension_wise,
        }
        for dtype in (torch.float32, torch.float64):
            tensors = [torch.tensor(array, dtype=dtype) for array in (reconstruction, mu, logvar, z)]
            terms = beta_tc_vae(*tensors, size, beta=beta, sampling=sampling)
            assert terms.keys() == expected.keys()
            for name, value in expected.items():
                assert terms[name].item() == pytest.approx(value, rel=1e-5, abs=1e-5), name


@SAMPLINGS
def test_the_parts_add_up_to_the_mean_log_ratio_of_posterior_and_prior(sampling):
    z, mu, logvar = (torch.tensor(array) for array in drawn(12, 5, 0))
    zeros = torch.zeros_like(z)
    expected = (log_density(z, mu, logvar) - log_density(z, zeros, zeros)).sum(1).mean()
    torch.testing.assert_close(sum(decompose(z, mu, logvar, 100, sampling)), expected)


@SAMPLINGS
def test_at_beta_one_the_gradient_is_that_of_the_vae_with_sampled_divergence(sampling):
    z, mu, logvar = (torch.tensor(array) for array in drawn(6, 3, 0))
    mu.requires_grad_()
    code = z - mu.detach() + mu
    loss = beta_tc_vae(torch.zeros(6).double(), mu, logvar, code, 50, beta=1.0, sampling=sampling)["loss"]
    zeros = torch.zeros_like(z)
    sampled = (log_density(code, mu, logvar) - log_density(code, zeros, zeros)).sum(1).mean()
    torch.testing.assert_close(*(torch.autograd.grad(value, mu, retain_graph=True)[0] for value in (loss, sampled)))


@pytest.mark.parametrize(
    ("batch", "size", "expected"),
    [
        (2, 2, [[1 / 2, 1 / 2], [1 / 2, 1 / 2]]),
        (2, 10, [[1 / 10, 9 / 10], [9 / 10, 1 / 10]]),
        (3, 3, [[1 / 3, 1 / 6, 1 / 2], [1 / 2, 1 / 3, 1 / 6], [1 / 6, 1 / 2, 1 / 3]]),
        (3, 4, [[1 / 4, 1 / 4, 1 / 2], [1 / 2, 1 / 4, 1 / 4], [1 / 4, 1 / 2, 1 / 4]]),
        (
            4,
            5,
            [
                [1 / 5, 2 / 15, 1 / 3, 1 / 3],
                [1 / 3, 1 / 5, 2 / 15, 1 / 3],
                [1 / 3, 1 / 3, 1 / 5, 2 / 15],
                [2 / 15, 1 / 3, 1 / 3, 1 / 5],
            ],
        ),
    ],
)
def test_stratified_weights_by_hand(batch, size, expected):
    np.testing.assert_allclose(log_weights(batch, size, "stratified").exp().numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(("batch", "size"), [(2, 2), (2, 737_280), (7, 9), (64, 64), (64, 100_000)])
def test_rows_of_weights_sum_to_one_and_to_one_in_n(batch, size):
    np.testing.assert_allclose(log_weights(batch, size, "stratified").exp().sum(1).numpy(), 1, rtol=1e-5)
    weighted = log_weights(batch, size, "minibatch-weighted").exp()
    np.testing.assert_allclose(weighted.sum(1).numpy(), 1 / size, rtol=1e-5)
    assert weighted.unique().numel() == 1


def log_q(z, mu, logvar, size, sampling):
    """log q(z) of each code as `decompose` estimates it, from the mutual information of a batch."""
    information, _, _ = decompose(z, mu, logvar, size, sampling)
    return log_density(z, mu, logvar).sum(1).mean() - information


@pytest.mark.parametrize("batch", [2, 3, 4])
def test_the_stratified_estimate_is_unbiased_over_all_batches(batch):
    # A code of image 0, and every batch of a dataset of five that image 0 leads, in every order: the average of the
    # estimates of q(z) is the exact (1/N) Σ_j q(z|x_j).
    size = 5
    z, mu, logvar = drawn(size, 2, 3, spread=0.5)
    exact = sum(math.prod(normal(z[0, k], mu[j, k], logvar[j, k]) for k in range(2)) for j in range(size)) / size
    estimates = []
    for others in itertools.permutations(range(1, size), batch - 1):
        rows = [0, *others]
        weights = log_weights(batch, size, "stratified").double()
        densities = log_density(torch.tensor(z[:1]), torch.tensor(mu[rows]), torch.tensor(logvar[rows])).sum(1)
        estimates.append(torch.logsumexp(weights[0] + densities, dim=0).exp().item())
    assert np.mean(estimates) == pytest.approx(exact, rel=1e-6)
    assert np.std(estimates) > 1e-3 * exact  # no single one is exact


def test_the_estimate_inside_the_parts_is_that_of_the_weights():
    z, mu, logvar = (torch.tensor(array) for array in drawn(4, 3, 1))
    weights = log_weights(4, 9, "stratified").double()
    expected = torch.logsumexp(weights + log_density(z[:, None], mu[None], logvar[None]).sum(2), dim=1).mean()
    torch.testing.assert_close(log_q(z, mu, logvar, 9, "stratified"), expected)


COVARIANCE = np.array([[1.0, 0.7], [0.7, 1.3]])
NOISE = 0.05  # the posterior's variance, small beside the means'


def correlated(n, seed=0):
    """Codes of n images whose aggregated posterior is N(0, COVARIANCE), nearly so for n finite."""
    rng = np.random.default_rng(seed)
    mu = rng.normal(size=(n, 2)) @ np.linalg.cholesky(COVARIANCE - NOISE * np.eye(2)).T
    z = mu + math.sqrt(NOISE) * rng.normal(size=(n, 2))
    return tuple(map(torch.tensor, (z, mu, np.full((n, 2), math.log(NOISE)))))


def closed_forms():
    """The three parts of KL(q(z|x) || p(z)) where q(z) = N(0, C) and q(z|x) has the variance s in each of 2 latents."""
    variances = np.diag(COVARIANCE)
    determinant = np.linalg.det(COVARIANCE)
    information = 0.5 * math.log(determinant / NOISE**2)
    correlation = -0.5 * math.log(determinant / variances.prod())
    dimension_wise = 0.5 * (variances - 1 - np.log(variances)).sum()
    return np.array([information, correlation, dimension_wise])


def test_the_weighted_parts_of_gaussian_codes_approach_their_closed_forms():
    # Its weights sum to 1/N in place of 1: log N too much information, (d − 1) log N too much correlation, d log N too
    # little dimension-wise KL. With the whole dataset as the batch nothing else is estimated.
    n = 2000
    bias = math.log(n) * np.array([1, 1, -2])
    parts = np.array([part.item() for part in decompose(*correlated(n), n, "minibatch-weighted")])
    np.testing.assert_allclose(parts - bias, closed_forms(), atol=0.06)


def test_the_stratified_parts_of_gaussian_codes_approach_their_closed_forms():
    # averaged over batches: a logarithm of an estimate lies below that of its mean, less so the larger the batch
    z, mu, logvar = correlated(2000)
    rng, parts = np.random.default_rng(0), []
    for _ in range(10):
        rows = torch.from_numpy(rng.choice(2000, 500, replace=False))
        parts.append([part.item() for part in decompose(z[rows], mu[rows], logvar[rows], 2000, "stratified")])
    np.testing.assert_allclose(np.mean(parts, axis=0), closed_forms(), atol=0.1)


def test_independent_codes_have_no_total_correlation():
    rng = np.random.default_rng(1)
    mu = rng.normal(size=(2000, 2)) * math.sqrt(1 - NOISE)
    z = mu + math.sqrt(NOISE) * rng.normal(size=(2000, 2))
    tensors = [torch.tensor(array) for array in (z, mu, np.full((2000, 2), math.log(NOISE)))]
    _, correlation, _ = decompose(*tensors, 2000, "stratified")
    assert correlation.item() == pytest.approx(0, abs=0.06)


def test_one_latent_has_no_total_correlation():
    z, mu, logvar = (torch.tensor(array) for array in drawn(9, 1, 0))
    for sampling in ("minibatch-weighted", "stratified"):
        assert decompose(z, mu, logvar, 50, sampling)[1].item() == pytest.approx(0, abs=1e-12)


@SAMPLINGS
def test_codes_far_from_all_others_stay_finite(sampling):
    mu = torch.tensor([[0.0, 0.0], [300.0, -300.0], [1000.0, 5.0]])
    parts = decompose(mu, mu, torch.full((3, 2), -10.0), 1000, sampling)
    assert all(torch.isfinite(part) for part in parts)


@pytest.mark.parametrize(("batch", "size"), [(1, 10), (11, 10), (64, 2)])
def test_stratified_batches_that_cannot_be_are_refused(batch, size):
    message = rf"at least 2 and at most the dataset's {size} images, not {batch}; .*sampling='minibatch-weighted'"
    with pytest.raises(VaelensError, match=message):
        log_weights(batch, size, "stratified")


def test_beta_tc_vae_says_reconstruction_and_closed_divergence_as_the_vae_does():
    z, mu, logvar = (torch.tensor(array) for array in drawn(6, 3, 0))
    reconstruction = torch.arange(6.0).double()
    terms = beta_tc_vae(reconstruction, mu, logvar, z, 50, beta=6.0, sampling="minibatch-weighted")
    plain = vae(reconstruction, mu, logvar)
    assert torch.equal(terms["kl"], plain["kl"])
    assert torch.equal(terms["reconstruction"], plain["reconstruction"])
