"""The distribution of a pixel that the decoder's output stands for, with its negative log-likelihood and mean.

A new likelihood is a function and a line in `LIKELIHOODS`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vaelens.errors import unknown
from vaelens.models.annotations import LikelihoodName
from vaelens.shapes import Images


def bernoulli_negative_log_likelihood(logits: Float[Tensor, "n c h w"], x: Images) -> Float[Tensor, " n"]:
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


def gaussian_negative_log_likelihood(logits: Float[Tensor, "n c h w"], x: Images) -> Float[Tensor, " n"]:
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


@dataclass(frozen=True)
class Likelihood:
    """A pixel's distribution."""

    name: str
    negative_log_likelihood: Callable[[Tensor, Tensor], Tensor]
    """Decoder output `(n, c, h, w)` and images to one value an image `(n,)`, in nats."""
    mean: Callable[[], nn.Module]
    """Makes the module that turns the decoder's output into the mean image."""


LIKELIHOODS = MappingProxyType(
    {
        likelihood.name: likelihood
        for likelihood in (
            Likelihood("bernoulli", bernoulli_negative_log_likelihood, nn.Sigmoid),
            Likelihood("gaussian", gaussian_negative_log_likelihood, nn.Identity),
        )
    }
)


def find_likelihood(name: LikelihoodName) -> Likelihood:
    """Finds the likelihood of that name.

    Raises:
        VaelensError: if there is none.

    Example:
        >>> find_likelihood("bernoulli").mean()
        Sigmoid()
    """
    if not isinstance(name, str) or name not in LIKELIHOODS:
        raise unknown("likelihood", name, LIKELIHOODS)
    return LIKELIHOODS[name]
