"""The negative binomial of counts, such as of RNA, zero-inflated or not, about each feature's share of their sum.

The decoder's output is shares before a softmax; an observation's total, over the features given, is the offset. What
is decoded is log-normalised expression, log(1 + 10,000 · share), which no total changes.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vaelens.errors import VaelensError

NORMALISED_TO = 10_000  # counts an observation
NORMALISED = "log-normalised expression"  # the unit of what is decoded
_FEWEST_ZEROS = -2.0  # the logit of the share of zeros that are put in, before training

Vectors = Float[Tensor, "n features"]
PerFeature = Float[Tensor, " features"]


class Log1p(nn.Module):
    """Returns log(1 + x), which an encoder of counts begins with."""

    def forward(self, counts: Tensor) -> Tensor:
        """Computes it elementwise."""
        return torch.log1p(counts)


class NegativeBinomial(nn.Module):
    """Returns log-normalised expression, and holds the dispersion of each feature.

    Args:
        features: how many there are.
        inflated: whether each feature has a share of zeros besides, learned too.
    """

    def __init__(self, features: int, inflated: bool = False) -> None:
        super().__init__()
        self.log_dispersion = nn.Parameter(torch.zeros(features))
        if inflated:
            self.zero_logit = nn.Parameter(torch.full((features,), _FEWEST_ZEROS))

    def forward(self, output: Tensor) -> Tensor:
        """Returns log(1 + 10,000 · softmax(output))."""
        return torch.log1p(NORMALISED_TO * torch.softmax(output, dim=1))


def negative_binomial_negative_log_likelihood(
    output: Vectors, x: Vectors, log_dispersion: PerFeature
) -> Float[Tensor, " n"]:
    """Computes the negative log-probability of counts under a negative binomial, in nats.

    `−Σ log NB(x; μ, θ)` with mean `μ = total(x) · softmax(output)` and variance `μ + μ²/θ`. The dispersion θ is one for
    each feature, the same for all observations. The total is the observation's own, over the features given.

    Args:
        output: the decoder's, any real number.
        x: counts.
        log_dispersion: log θ.

    Returns:
        One value an observation, at least 0; lower is better.

    Raises:
        VaelensError: if x are no counts.

    References:
        Lopez, Regier, Cole, Jordan, Yosef: Deep generative modeling for single-cell transcriptomics (2018).

    Example:
        >>> import torch
        >>> one = negative_binomial_negative_log_likelihood(torch.zeros(1, 1), torch.ones(1, 1), torch.zeros(1))
        >>> one.exp()  # mean 1 and θ = 1: a geometric distribution, of which 1 has a probability of 1/4
        tensor([4.])
    """
    return -_log_probabilities(output, x, log_dispersion).sum(dim=1)


def inflated_negative_log_likelihood(
    output: Vectors, x: Vectors, log_dispersion: PerFeature, zero_logit: PerFeature
) -> Float[Tensor, " n"]:
    """Computes the negative log-probability of counts under a zero-inflated negative binomial, in nats.

    `−Σ log (π · [x = 0] + (1 − π) · NB(x; μ, θ))` with the share of zeros π = σ(zero_logit) of each feature, the
    same for all observations; μ and θ as of the negative binomial.

    Args:
        output: the decoder's, any real number.
        x: counts.
        log_dispersion: log θ.
        zero_logit: the logit of π.

    Returns:
        One value an observation, at least 0; lower is better.

    Raises:
        VaelensError: if x are no counts.

    Example:
        >>> import torch
        >>> counts, zero = torch.tensor([[0.0, 2.0]]), torch.zeros(2)
        >>> inflated_negative_log_likelihood(torch.zeros(1, 2), counts, zero, zero).exp()  # (1 + 1/2) / 2 · 1/8 / 2
        tensor([21.3333])
    """
    count = _log_probabilities(output, x, log_dispersion) + functional.logsigmoid(-zero_logit)
    return -torch.where(x > 0, count, torch.logaddexp(functional.logsigmoid(zero_logit), count)).sum(dim=1)


def output_of_expression(expression: Vectors, precision: torch.finfo) -> Vectors:
    """Returns the decoder's output for log-normalised expression, but for a constant, the logarithm of each share."""
    return torch.expm1(expression).clamp(min=precision.tiny).log()


def log_normalised(counts: Vectors) -> Vectors:
    """Returns what counts are in the decoder's units, log(1 + 10,000 · counts / their sum)."""
    return torch.log1p(NORMALISED_TO * counts / counts.sum(dim=1, keepdim=True).clamp(min=1))


def as_counts(expression: Vectors) -> Vectors:
    """Returns log-normalised expression as an observation of 10,000 counts, which an encoder of counts takes."""
    return torch.expm1(expression)


def check_not_negative(counts: Tensor) -> None:
    """Refuses numbers below 0.

    Raises:
        VaelensError: with the least.
    """
    if (counts < 0).any():
        raise VaelensError(
            f"counts are as low as {counts.min().item():.4g}; expected none below 0: give them as they were measured"
        )


def check_counts(counts: Tensor) -> None:
    """Refuses numbers that are no counts.

    Raises:
        VaelensError: below 0, or no whole numbers.
    """
    check_not_negative(counts)
    if (fractions := counts != counts.round()).any():
        raise VaelensError(
            f"counts hold {counts[fractions][0].item():.4g}; expected whole numbers: give them as they were measured, "
            'or take the likelihood "gaussian-learned" for values that were normalised'
        )


def _log_probabilities(output: Vectors, x: Vectors, log_dispersion: PerFeature) -> Vectors:
    """Computes the log-probability of each count x under the negative binomial NB(μ, θ)."""
    check_counts(x)
    log_mean = functional.log_softmax(output, dim=1) + x.sum(dim=1, keepdim=True).clamp(min=1).log()
    dispersion = log_dispersion.exp()
    log_sum = torch.logaddexp(log_mean, log_dispersion)
    combinations = torch.lgamma(x + dispersion) - torch.lgamma(dispersion) - torch.lgamma(x + 1)
    return combinations + dispersion * (log_dispersion - log_sum) + x * (log_mean - log_sum)
