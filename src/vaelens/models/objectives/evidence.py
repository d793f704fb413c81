"""The evidence lower bound and its two variants with one weight, beta-VAE and the annealed capacity."""

from jaxtyping import Float
from torch import Tensor

from vaelens.models.posterior import kl_per_latent


def vae(
    reconstruction: Float[Tensor, " n"], mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"]
) -> dict[str, Tensor]:
    """Computes the negative evidence lower bound, `R + KL`.

    R is the reconstruction's negative log-likelihood, `KL = Σ_i KL(q(z_i|x) || N(0, 1))`.

    Args:
        reconstruction: R of each image, in nats.
        mu: posterior means.
        logvar: posterior log-variances.

    Returns:
        loss, reconstruction, kl: means over the batch, in nats an image; lower is better.

    References:
        Kingma, Welling: Auto-Encoding Variational Bayes (2014), equation 7.
    """
    return beta_vae(reconstruction, mu, logvar, beta=1.0)


def beta_vae(
    reconstruction: Float[Tensor, " n"], mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"], *, beta: float
) -> dict[str, Tensor]:
    """Multiplies the divergence in the evidence lower bound by β, `R + β·KL`.

    R is the reconstruction's negative log-likelihood, `KL = Σ_i KL(q(z_i|x) || N(0, 1))`.

    Args:
        reconstruction: R of each image, in nats.
        mu: posterior means.
        logvar: posterior log-variances.
        beta: the weight β, at least 0; 1 gives `vae`.

    Returns:
        loss, reconstruction, kl (without its weight): means over the batch, in nats an image; lower is better.

    References:
        Higgins, Matthey, Pal, Burgess, Glorot, Botvinick, Mohamed, Lerchner: beta-VAE: Learning Basic Visual
        Concepts with a Constrained Variational Framework (2017), equation 4.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1)
        >>> beta_vae(torch.tensor([3.0]), 2 * one, 0 * one, beta=4.0)["loss"]  # KL(N(2, 1) || N(0, 1)) = 2
        tensor(11.)
    """
    negative_log_likelihood, kl = reconstruction.mean(), kl_per_latent(mu, logvar).sum(1).mean()
    return {"loss": negative_log_likelihood + beta * kl, "reconstruction": negative_log_likelihood, "kl": kl}


def annealed_vae(
    reconstruction: Float[Tensor, " n"],
    mu: Float[Tensor, "n d"],
    logvar: Float[Tensor, "n d"],
    step: int,
    *,
    gamma: float,
    c_max: float,
    annealing_steps: int,
) -> dict[str, Tensor]:
    """Keeps the divergence near a capacity that grows as training goes on, `R + γ·|KL − C(t)|`.

    `C(t) = C_max · min(1, t / T)` at step t (the first is 0) with T annealing steps: linear from 0.

    Args:
        reconstruction: R of each image, in nats.
        mu: posterior means.
        logvar: posterior log-variances.
        step: t, the steps done before this one.
        gamma: the weight γ, at least 0.
        c_max: the capacity C_max that is reached, in nats.
        annealing_steps: T, after how many steps it is reached.

    Returns:
        loss, reconstruction, kl, capacity (C(t)): means over the batch, in nats an image.

    References:
        Burgess, Higgins, Pal, Matthey, Watters, Desjardins, Lerchner: Understanding Disentangling in beta-VAE
        (2018), equation 8.
    """
    negative_log_likelihood, kl = reconstruction.mean(), kl_per_latent(mu, logvar).sum(1).mean()
    capacity = kl.new_tensor(c_max * min(1.0, step / annealing_steps))
    return {
        "loss": negative_log_likelihood + gamma * (kl - capacity).abs(),
        "reconstruction": negative_log_likelihood,
        "kl": kl,
        "capacity": capacity,
    }
