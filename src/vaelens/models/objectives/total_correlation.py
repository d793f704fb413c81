"""Beta-TC-VAE, with the divergence taken apart into mutual information, total correlation and dimension-wise KL.

Costs one matrix of densities, (n, n, d) for a batch of n.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.models.posterior import kl_per_latent, log_density


def log_weights(batch: int, dataset_size: int, sampling: str) -> Float[Tensor, "n n"]:
    """Computes the log-weight of the density of code i under the posterior of image j in the estimate of q(z).

    `minibatch-weighted`: 1 / (N n) for every j, with N images in the dataset and n in the batch. It is biased: a row
    sums to 1/N, so the densities come out N times too low, which adds log N to the mutual information, (d − 1) log N
    to the total correlation and takes d log N from the dimension-wise KL; constants, without a gradient.

    `stratified`: with m = n − 1 rest, 1/N for j = i, (N − m) / (N m) for one other (the next), 1/m for the rest,
    which makes the estimate of q(z) unbiased, the images of a batch being drawn without replacement. Public
    implementations that fill these in along a flattened matrix with the stride n put them into its first two columns.

    Args:
        batch: the number n of images.
        dataset_size: the number N of images that the batch was drawn from.
        sampling: `minibatch-weighted` or `stratified`.

    Raises:
        VaelensError: for stratified sampling, if the batch has one image or more than the dataset.

    References:
        Chen, Li, Grosse, Duvenaud: Isolating Sources of Disentanglement in Variational Autoencoders (2018),
        appendices C.1 and C.2.

    Example:
        >>> log_weights(3, 10, "stratified").exp()
        tensor([[0.1000, 0.4000, 0.5000],
                [0.5000, 0.1000, 0.4000],
                [0.4000, 0.5000, 0.1000]])
    """
    if sampling == "minibatch-weighted":
        return torch.full((batch, batch), -math.log(dataset_size * batch))
    assert sampling == "stratified", "the catalogue has checked the name"
    rest = batch - 1
    if rest < 1 or dataset_size <= rest:
        raise VaelensError(
            f"stratified sampling takes batches of at least 2 and at most the dataset's {dataset_size} images, not "
            f"{batch}; use another batch_size, or sampling='minibatch-weighted'"
        )
    rows = torch.arange(batch)
    weights = torch.full((batch, batch), 1 / rest)
    weights[rows, rows] = 1 / dataset_size
    weights[rows, (rows + 1) % batch] = (dataset_size - rest) / (dataset_size * rest)
    return weights.log()


def decompose(
    z: Float[Tensor, "n d"],
    mu: Float[Tensor, "n d"],
    logvar: Float[Tensor, "n d"],
    dataset_size: int,
    sampling: str = "minibatch-weighted",
) -> tuple[Tensor, Tensor, Tensor]:
    """Estimates the three parts of the mean divergence `E KL(q(z|x) || p(z))`, of one sampled code an image.

    `MI = E[log q(z|x) − log q(z)]`, `TC = E[log q(z) − Σ_i log q(z_i)]`, `DW = E[Σ_i log q(z_i) − log p(z)]`, where
    q(z) and q(z_i) are estimated from the batch with `log_weights`. Their sum is the mean of log q(z|x) − log p(z).

    Args:
        z: sampled codes.
        mu: posterior means.
        logvar: posterior log-variances.
        dataset_size: the number of images that the batch was drawn from.
        sampling: `minibatch-weighted` or `stratified`.

    Returns:
        Mutual information, total correlation and dimension-wise KL, in nats. Each is an estimate, which may be
        negative.

    References:
        Chen, Li, Grosse, Duvenaud: Isolating Sources of Disentanglement in Variational Autoencoders (2018),
        equation 2.
    """
    weights = log_weights(len(z), dataset_size, sampling).to(z)  # (n, n)
    densities = log_density(z[:, None], mu[None], logvar[None])  # (n, n, d)
    log_q_given_x = log_density(z, mu, logvar).sum(1)
    log_q = torch.logsumexp(weights + densities.sum(2), dim=1)
    log_marginals = torch.logsumexp(weights[:, :, None] + densities, dim=1).sum(1)
    log_prior = log_density(z, torch.zeros_like(z), torch.zeros_like(z)).sum(1)
    return (log_q_given_x - log_q).mean(), (log_q - log_marginals).mean(), (log_marginals - log_prior).mean()


def beta_tc_vae(
    reconstruction: Float[Tensor, " n"],
    mu: Float[Tensor, "n d"],
    logvar: Float[Tensor, "n d"],
    z: Float[Tensor, "n d"],
    dataset_size: int,
    *,
    beta: float,
    sampling: str,
) -> dict[str, Tensor]:
    """Multiplies the total correlation alone in the evidence lower bound by β, `R + MI + β·TC + DW`.

    The three parts of the divergence are estimated from the batch (`decompose`).

    Args:
        reconstruction: R of each image, in nats.
        mu: posterior means.
        logvar: posterior log-variances.
        z: sampled codes.
        dataset_size: the number of images that the batch was drawn from.
        beta: the weight β, at least 0.
        sampling: `minibatch-weighted` or `stratified`.

    Returns:
        loss, reconstruction, mutual_information, total_correlation, dimension_wise_kl; and kl, in closed form, which
        is no part of the loss. Means over the batch, in nats an image.

    Raises:
        VaelensError: for stratified sampling, if the batch has one image or more than the dataset.

    References:
        Chen, Li, Grosse, Duvenaud: Isolating Sources of Disentanglement in Variational Autoencoders (2018),
        equation 4 with α = γ = 1.
    """
    negative_log_likelihood = reconstruction.mean()
    information, total_correlation, dimension_wise = decompose(z, mu, logvar, dataset_size, sampling)
    return {
        "loss": negative_log_likelihood + information + beta * total_correlation + dimension_wise,
        "reconstruction": negative_log_likelihood,
        "kl": kl_per_latent(mu, logvar).sum(1).mean(),
        "mutual_information": information,
        "total_correlation": total_correlation,
        "dimension_wise_kl": dimension_wise,
    }
