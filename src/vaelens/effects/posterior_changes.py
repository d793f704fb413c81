"""How far apart two Gaussian posteriors of a latent are, in their standard deviations and in nats."""

import torch
from torch import Tensor

from vaelens.float64 import to_float64


def posterior_shift(mean: Tensor, logvar: Tensor, other_mean: Tensor, other_logvar: Tensor) -> Tensor:
    """Measures how far apart the posteriors of each latent are in their standard deviations, float64 (n, d).

    |μ' − μ| / √((σ² + σ'²) / 2), the sensitivity index d′; over positions the root of the sum of squares.

    Args:
        mean: μ, (n, d, *positions).
        logvar: log σ², of the same shape.
        other_mean: μ'.
        other_logvar: log σ'².

    Example:
        >>> posterior_shift(*(torch.tensor([[value]]) for value in (0.0, 0.0, 3.0, 0.0)))
        tensor([[3.]], dtype=torch.float64)
    """
    mean, logvar, other_mean, other_logvar = map(to_float64, (mean, logvar, other_mean, other_logvar))
    spread = ((logvar.exp() + other_logvar.exp()) / 2).sqrt()
    shift = (other_mean - mean) / spread
    return shift.reshape(*shift.shape[:2], -1).norm(dim=2)


def posterior_divergence(mean: Tensor, logvar: Tensor, other_mean: Tensor, other_logvar: Tensor) -> Tensor:
    """Computes the symmetric divergence of the posteriors of each latent in nats, float64 (n, d).

    (KL(q ‖ q') + KL(q' ‖ q)) / 2 = ¼ (σ²/σ'² + σ'²/σ² − 2 + (μ' − μ)² (1/σ² + 1/σ'²)), summed over positions.

    Args:
        mean: μ, (n, d, *positions).
        logvar: log σ², of the same shape.
        other_mean: μ'.
        other_logvar: log σ'².

    Example:
        >>> posterior_divergence(*(torch.tensor([[value]]) for value in (0.0, 0.0, 2.0, 0.0)))
        tensor([[2.]], dtype=torch.float64)
    """
    mean, logvar, other_mean, other_logvar = map(to_float64, (mean, logvar, other_mean, other_logvar))
    spreads = 2 * torch.cosh(logvar - other_logvar) - 2
    means = (other_mean - mean).square() * ((-logvar).exp() + (-other_logvar).exp())
    divergence = (spreads + means) / 4
    return divergence.reshape(*divergence.shape[:2], -1).sum(dim=2)
