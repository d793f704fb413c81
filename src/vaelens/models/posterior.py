"""The Gaussian posterior q(z|x) = N(mu, exp(logvar)), independent over latents: its samples and its divergence."""

import torch
from jaxtyping import Float
from torch import Tensor


def sample(mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"], generator: torch.Generator) -> Float[Tensor, "n d"]:
    """Draws one code an image, `z = mu + exp(logvar / 2) · noise`, through which gradients flow.

    The noise is drawn on the generator's device: a CPU generator gives the same noise whatever the model runs on.

    References:
        Kingma, Welling: Auto-Encoding Variational Bayes (2014), section 2.4.
    """
    noise = torch.randn(mu.shape, generator=generator, device=generator.device, dtype=mu.dtype)
    return mu + torch.exp(0.5 * logvar) * noise.to(mu.device)


def kl_per_latent(mu: Float[Tensor, "n d"], logvar: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The divergence of each latent's posterior from the standard normal, in nats, in closed form.

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
