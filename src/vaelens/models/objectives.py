"""The objectives, as functions from a forward pass to the named terms of the loss.

Every term is summed over pixels and latents, averaged over the batch, in nats an image; `loss` is what is
minimised. A new objective is a new function here and a line in `vaelens.models.catalogue`.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from vaelens.models.posterior import kl_per_latent


@dataclass(frozen=True)
class ForwardPass:
    """What a pass of a batch through encoder, sampling and decoder leaves for an objective."""

    reconstruction: Float[Tensor, " n"]
    """Negative log-likelihood of each image given its code, in nats."""
    mu: Float[Tensor, "n d"]
    """Posterior means."""
    logvar: Float[Tensor, "n d"]
    """Posterior log-variances."""
    code: Float[Tensor, "n d"]
    """The sampled codes that were decoded."""


def vae(forward: ForwardPass) -> dict[str, Tensor]:
    """The negative evidence lower bound, `R + KL`.

    R is the reconstruction's negative log-likelihood, `KL = Σ_i KL(q(z_i|x) || N(0, 1))`.

    Returns:
        loss, reconstruction, kl; lower is better.

    References:
        Kingma, Welling: Auto-Encoding Variational Bayes (2014), equation 7.
    """
    return beta_vae(forward, beta=1.0)


def beta_vae(forward: ForwardPass, *, beta: float) -> dict[str, Tensor]:
    """The evidence lower bound with a weight on the divergence, `R + β·KL`.

    R is the reconstruction's negative log-likelihood, `KL = Σ_i KL(q(z_i|x) || N(0, 1))`.

    Args:
        forward: the pass.
        beta: the weight β, at least 0; 1 gives `vae`.

    Returns:
        loss, reconstruction, kl (without its weight); lower is better.

    References:
        Higgins, Matthey, Pal, Burgess, Glorot, Botvinick, Mohamed, Lerchner: beta-VAE: Learning Basic Visual
        Concepts with a Constrained Variational Framework (2017), equation 4.
    """
    reconstruction = forward.reconstruction.mean()
    kl = kl_per_latent(forward.mu, forward.logvar).sum(1).mean()
    return {"loss": reconstruction + beta * kl, "reconstruction": reconstruction, "kl": kl}
