"""DIP-VAE, which penalises the distance of the latents' covariance from the identity."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaelens.models.posterior import kl_per_latent


def covariance_of_means(mu: Float[Tensor, "n d"]) -> Float[Tensor, "d d"]:
    """Computes `Cov[mu] = E[mu muᵀ] − E[mu] E[mu]ᵀ`, over the images of a batch, divided by their number n."""
    centred = mu - mu.mean(0)
    return centred.T @ centred / len(mu)


def dip_vae_i(
    reconstruction: Float[Tensor, " n"],
    mu: Float[Tensor, "n d"],
    logvar: Float[Tensor, "n d"],
    *,
    lambda_od: float,
    lambda_d: float,
) -> dict[str, Tensor]:
    """Adds to the evidence lower bound a penalty on the covariance of the posterior means.

    `R + KL + λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)²` with `C = Cov[mu]`.

    Args:
        reconstruction: R of each image, in nats.
        mu: posterior means.
        logvar: posterior log-variances.
        lambda_od: the weight λ_od of the off-diagonal elements, at least 0.
        lambda_d: the weight λ_d of the diagonal elements, at least 0.

    Returns:
        loss, reconstruction, kl: in nats an image; off_diagonal, diagonal: the two sums without their weights.

    References:
        Kumar, Sattigeri, Balakrishnan: Variational Inference of Disentangled Latent Concepts from Unlabeled
        Observations (2018), equation 6.
    """
    return _penalised(reconstruction, mu, logvar, covariance_of_means(mu), lambda_od, lambda_d)


def dip_vae_ii(
    reconstruction: Float[Tensor, " n"],
    mu: Float[Tensor, "n d"],
    logvar: Float[Tensor, "n d"],
    *,
    lambda_od: float,
    lambda_d: float,
) -> dict[str, Tensor]:
    """Adds to the evidence lower bound a penalty on the covariance of the aggregated posterior.

    `R + KL + λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)²` with `C = Cov[mu] + E[diag(sigma²)]`, the covariance of z
    by the law of total covariance.

    Args:
        reconstruction: R of each image, in nats.
        mu: posterior means.
        logvar: posterior log-variances.
        lambda_od: the weight λ_od of the off-diagonal elements, at least 0.
        lambda_d: the weight λ_d of the diagonal elements, at least 0.

    Returns:
        loss, reconstruction, kl: in nats an image; off_diagonal, diagonal: the two sums without their weights.

    References:
        Kumar, Sattigeri, Balakrishnan: Variational Inference of Disentangled Latent Concepts from Unlabeled
        Observations (2018), equation 7.
    """
    covariance = covariance_of_means(mu) + torch.diag(logvar.exp().mean(0))
    return _penalised(reconstruction, mu, logvar, covariance, lambda_od, lambda_d)


def _penalised(
    reconstruction: Tensor, mu: Tensor, logvar: Tensor, covariance: Tensor, lambda_od: float, lambda_d: float
) -> dict[str, Tensor]:
    negative_log_likelihood, kl = reconstruction.mean(), kl_per_latent(mu, logvar).sum(1).mean()
    variances = covariance.diagonal()
    off_diagonal = (covariance - torch.diag(variances)).square().sum()
    diagonal = (variances - 1).square().sum()
    return {
        "loss": negative_log_likelihood + kl + lambda_od * off_diagonal + lambda_d * diagonal,
        "reconstruction": negative_log_likelihood,
        "kl": kl,
        "off_diagonal": off_diagonal,
        "diagonal": diagonal,
    }
