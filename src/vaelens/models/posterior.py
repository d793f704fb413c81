"""The Gaussian posterior q(z|x) = N(mu, exp(logvar)), with its samples, density and divergence."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

ACTIVE_NATS = 0.01  # a latent whose mean KL is above this is active


def sample(mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"], generator: torch.Generator) -> Float[Tensor, "n d"]:
    """Samples one code an image, `z = mu + exp(logvar / 2) · noise`, through which gradients flow.

    The noise is drawn on the generator's device: a CPU generator gives the same noise whatever the model runs on.

    References:
        Kingma, Welling: Auto-Encoding Variational Bayes (2014), section 2.4.
    """
    noise = torch.randn(mu.shape, generator=generator, device=generator.device, dtype=mu.dtype)
    return mu + torch.exp(0.5 * logvar) * noise.to(mu.device)


def kl_per_latent(mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Computes the divergence of each latent's posterior from the standard normal, in nats, in closed form.

    `KL(q(z_i|x) || N(0, 1)) = (mu² + sigma² − 1 − log sigma²) / 2`

    Returns:
        One value an image and latent, at least 0; 0 for a latent that says nothing about the image.

    References:
        Kingma, Welling: Auto-Encoding Variational Bayes (2014), appendix B.

    Example:
        >>> kl_per_latent(torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2))
        tensor([[0., 2.]])
    """
    # expm1: near the prior, sigma² − 1 in floats would lose the digits the result consists of
    return 0.5 * (mu.square() + torch.expm1(logvar) - logvar)


def log_density(
    z: Float[Tensor, "*#any d"], mu: Float[Tensor, "*#any d"], logvar: Float[Tensor, "*#any d"]
) -> Float[Tensor, "... d"]:
    """Computes the log-density of each latent z_i under its posterior `N(mu_i, sigma_i²)`, in nats.

    Example:
        >>> log_density(torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, 1))  # −log(2π) / 2
        tensor([[-0.9189]])
    """
    return -0.5 * (math.log(2 * math.pi) + logvar + (z - mu).square() * torch.exp(-logvar))
