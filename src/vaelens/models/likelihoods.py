"""The distribution of a value that the decoder's output stands for, with its negative log-likelihood and mean.

A new likelihood is a function and a line in `LIKELIHOODS`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vaelens.errors import unknown
from vaelens.models.annotations import LikelihoodName
from vaelens.observation import Observation
from vaelens.shapes import Observations

LEAST_LOG_SCALE = -6.0  # of a learned Gaussian: a standard deviation of 0.0025


def bernoulli_negative_log_likelihood(logits: Observations, x: Observations) -> Float[Tensor, " n"]:
    """Computes the binary cross-entropy of each image, summed over its pixels, in nats.

    `−Σ x log σ(l) + (1 − x) log(1 − σ(l))`. Grey values between 0 and 1 are taken as probabilities, as is usual;
    the least possible value is then the image's own entropy, not zero.

    Args:
        logits: the decoder's output `l`, any real number.
        x: the images, in [0, 1].

    Returns:
        One value an image, at least 0; lower is better.

    Example:
        >>> import torch
        >>> bernoulli_negative_log_likelihood(torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2))  # 2 log 2
        tensor([1.3863])
    """
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def gaussian_negative_log_likelihood(logits: Observations, x: Observations) -> Float[Tensor, " n"]:
    """Computes the negative log-density of each image under a Gaussian of standard deviation 1 a pixel, in nats.

    `Σ (x − m)² / 2 + log(2π) / 2`, where the mean m is the decoder's output as it is.

    Args:
        logits: the decoder's output `m`, any real number.
        x: the images, in [0, 1].

    Returns:
        One value an image, at least log(2π)/2 a pixel; lower is better.

    Example:
        >>> import torch
        >>> gaussian_negative_log_likelihood(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2))  # log 2π
        tensor([1.8379])
    """
    return (0.5 * (x - logits).square() + 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)


class LearnedScale(nn.Module):
    """Returns the decoder's output as the mean, and holds the standard deviation of each feature about it.

    Args:
        features: how many there are on the first axis of an observation.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(features))

    def forward(self, output: Tensor) -> Tensor:
        """Returns the output as it is."""
        return output


def learned_gaussian_negative_log_likelihood(
    logits: Observations, x: Observations, log_scale: Float[Tensor, " features"]
) -> Float[Tensor, " n"]:
    """Computes the negative log-density of each observation under a Gaussian whose scale is learned, in nats.

    `Σ (x − m)² / 2s² + log s + log(2π) / 2`, with a standard deviation s for each feature, the same for all
    observations; m is the decoder's output as it is. Learning s weighs reconstruction against the prior by itself.

    Args:
        logits: the decoder's output `m`, any real number.
        x: the observations.
        log_scale: log s of each feature on the first axis; at least −6 counts.

    Returns:
        One value an observation; lower is better.

    References:
        Rybkin, Daniilidis, Levine: Simple and Effective VAE Training with Calibrated Decoders (2021).

    Example:
        >>> import torch
        >>> learned_gaussian_negative_log_likelihood(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(2))  # log 2π
        tensor([1.8379])
    """
    log_scale = log_scale.clamp(min=LEAST_LOG_SCALE).reshape(-1, *[1] * (x.ndim - 2))
    values = 0.5 * ((x - logits) * (-log_scale).exp()).square() + log_scale + 0.5 * math.log(2 * math.pi)
    return values.flatten(1).sum(1)


@dataclass(frozen=True)
class Likelihood:
    """A value's distribution."""

    name: str
    negative_log_likelihood: Callable[..., Tensor]
    """Decoder output `(n, *shape)` and observations, and a learned log scale, to one value each `(n,)`, in nats."""
    mean: Callable[[Sequence[int]], nn.Module]
    """Makes, for a shape, the module that turns the decoder's output into the mean observation."""
    learned: bool = False
    """Whether that module holds a log scale."""


LIKELIHOODS = MappingProxyType(
    {
        likelihood.name: likelihood
        for likelihood in (
            Likelihood("bernoulli", bernoulli_negative_log_likelihood, lambda shape: nn.Sigmoid()),
            Likelihood("gaussian", gaussian_negative_log_likelihood, lambda shape: nn.Identity()),
            Likelihood(
                "gaussian-learned",
                learned_gaussian_negative_log_likelihood,
                lambda shape: LearnedScale(shape[0]),
                learned=True,
            ),
        )
    }
)


def find_likelihood(name: LikelihoodName) -> Likelihood:
    """Finds the likelihood of that name.

    Raises:
        VaelensError: if there is none.

    Example:
        >>> find_likelihood("bernoulli").mean((1, 64, 64))
        Sigmoid()
    """
    if not isinstance(name, str) or name not in LIKELIHOODS:
        raise unknown("likelihood", name, LIKELIHOODS)
    return LIKELIHOODS[name]


def usual_likelihood(shape: Sequence[int]) -> str:
    """Names the likelihood where none is asked for: Bernoulli of images, else a Gaussian whose scale is learned."""
    return "bernoulli" if Observation.of_shape(shape).is_image else "gaussian-learned"


def observation_of(shape: Sequence[int], likelihood: str) -> Observation:
    """Describes what a model of a shape takes: of a Bernoulli likelihood values in [0, 1], as images always are."""
    kind = Observation.of_shape(shape)
    return replace(kind, low=0.0, high=1.0) if likelihood == "bernoulli" else kind
