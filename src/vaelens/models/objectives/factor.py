"""FactorVAE, with the total correlation by a discriminator that tells codes from codes with permuted latents."""

import itertools

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vaelens.models.posterior import kl_per_latent

LAYERS, WIDTH, SLOPE = 6, 1000, 0.2


def factor_vae(
    reconstruction: Float[Tensor, " n"],
    mu: Float[Tensor, "n d"],
    logvar: Float[Tensor, "n d"],
    log_ratio: Float[Tensor, " n"],
    *,
    gamma: float,
) -> dict[str, Tensor]:
    """Adds to the evidence lower bound a penalty on the total correlation, `R + KL + γ·TC`.

    `TC = E_q(z)[log q(z) / Π_i q(z_i)]`, the log-ratio being the discriminator's.

    Args:
        reconstruction: R of each image, in nats.
        mu: posterior means.
        logvar: posterior log-variances.
        log_ratio: the discriminator's estimate of log q(z) / Π_i q(z_i) for each image's sampled code.
        gamma: the weight γ, at least 0.

    Returns:
        loss, reconstruction, kl, total_correlation: means over the batch, in nats an image. The estimated total
        correlation may be negative.

    References:
        Kim, Mnih: Disentangling by Factorising (2018), equation 2.
    """
    negative_log_likelihood, kl = reconstruction.mean(), kl_per_latent(mu, logvar).sum(1).mean()
    total_correlation = log_ratio.mean()
    return {
        "loss": negative_log_likelihood + kl + gamma * total_correlation,
        "reconstruction": negative_log_likelihood,
        "kl": kl,
        "total_correlation": total_correlation,
    }


class Discriminator(nn.Sequential):
    """Tells sampled codes (class 0) from codes whose latents were permuted over images (class 1).

    Six dense layers of 1000 with leaky ReLUs (slope 0.2), two logits.

    Args:
        latent_dim: the number of latents.

    References:
        Kim, Mnih: Disentangling by Factorising (2018), appendix A.
    """

    def __init__(self, latent_dim: int) -> None:
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((latent_dim, *[WIDTH] * LAYERS)):
            layers += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
        super().__init__(*layers, nn.Linear(WIDTH, 2))

    def log_ratio(self, z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Estimates log q(z) / Π_i q(z_i), as the difference of the two logits."""
        logits = self(z)
        return logits[:, 0] - logits[:, 1]


def discriminator_loss(codes: Float[Tensor, "n 2"], permuted: Float[Tensor, "m 2"]) -> Tensor:
    """Computes what the discriminator minimises, its mean cross-entropy on codes and on permuted codes, half each.

    Args:
        codes: logits of sampled codes, which are of class 0.
        permuted: logits of codes whose latents were permuted, which are of class 1.

    Returns:
        In nats; log 2 for a discriminator that knows nothing.

    References:
        Kim, Mnih: Disentangling by Factorising (2018), algorithm 2.

    Example:
        >>> discriminator_loss(torch.zeros(3, 2), torch.zeros(3, 2))
        tensor(0.6931)
    """
    first = torch.zeros(len(codes), dtype=torch.long, device=codes.device)
    second = torch.ones(len(permuted), dtype=torch.long, device=permuted.device)
    return 0.5 * (F.cross_entropy(codes, first) + F.cross_entropy(permuted, second))


def permute_latents(z: Float[Tensor, "n d"], generator: torch.Generator) -> Float[Tensor, "n d"]:
    """Samples from Π_i q(z_i) by permuting the values of each latent over the images, each latent on its own.

    References:
        Kim, Mnih: Disentangling by Factorising (2018), algorithm 1.
    """
    order = torch.rand(z.shape, generator=generator, device=generator.device).argsort(dim=0)
    return z.gather(0, order.to(z.device))
