"""The distribution of a value that the decoder's output stands for, with its negative log-likelihood and mean.

A new likelihood is a function and a line in `LIKELIHOODS`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vaelens.errors import VaelensError, unknown
from vaelens.models.annotations import LikelihoodName
from vaelens.models.columns import (
    LEAST_LOG_SCALE,
    ColumnMeans,
    columns_negative_log_likelihood,
    log_odds,
    output_of_columns,
)
from vaelens.models.counts import (
    NegativeBinomial,
    inflated_negative_log_likelihood,
    log_normalised,
    negative_binomial_negative_log_likelihood,
    output_of_expression,
)
from vaelens.observation import Observation
from vaelens.shapes import Observations


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
    """Decoder output `(n, *shape)` and observations, and its parameters by name, to one value each `(n,)`, in nats."""
    mean: Callable[[Observation], nn.Module]
    """Makes, for what is observed, the module that turns the decoder's output into the mean observation."""
    output: Callable[..., Tensor]
    """The mean observation, its floating-point type's limits, and the parameters, to the decoder's output, but for what
    changes no likelihood."""
    counts: bool = False
    """Whether observations are counts, and the mean log-normalised expression."""

    def parameters(self, mean: nn.Module) -> dict[str, Any]:
        """Returns, by name, what the module of the mean holds, its learned values and which columns are one-hot."""
        columns = {"one_hot": mean.one_hot} if isinstance(mean, ColumnMeans) else {}
        return {**dict(mean.named_parameters()), **columns}

    def target(self, x: Tensor) -> Tensor:
        """Returns what the mean is compared with, which is observations in the unit that they are decoded in."""
        return log_normalised(x) if self.counts else x


LIKELIHOODS = MappingProxyType(
    {
        likelihood.name: likelihood
        for likelihood in (
            Likelihood(
                "bernoulli",
                bernoulli_negative_log_likelihood,
                lambda kind: nn.Sigmoid(),
                log_odds,
            ),
            Likelihood(
                "gaussian",
                gaussian_negative_log_likelihood,
                lambda kind: nn.Identity(),
                lambda mean, precision: mean,
            ),
            Likelihood(
                "gaussian-learned",
                learned_gaussian_negative_log_likelihood,
                lambda kind: LearnedScale(kind.shape[0]),
                lambda mean, precision, log_scale: mean,
            ),
            Likelihood(
                "negative-binomial",
                negative_binomial_negative_log_likelihood,
                lambda kind: NegativeBinomial(_features(kind)),
                lambda mean, precision, **parameters: output_of_expression(mean, precision),
                counts=True,
            ),
            Likelihood(
                "zero-inflated-negative-binomial",
                inflated_negative_log_likelihood,
                lambda kind: NegativeBinomial(_features(kind), inflated=True),
                lambda mean, precision, **parameters: output_of_expression(mean, precision),
                counts=True,
            ),
            Likelihood(
                "categorical",
                columns_negative_log_likelihood,
                lambda kind: ColumnMeans(_features(kind), _one_hot(kind)),
                lambda mean, precision, log_scale, one_hot: output_of_columns(mean, precision, one_hot),
            ),
        )
    }
)


def find_likelihood(name: LikelihoodName) -> Likelihood:
    """Finds the likelihood of that name.

    Raises:
        VaelensError: if there is none.

    Example:
        >>> find_likelihood("bernoulli").mean(Observation.image((1, 64, 64)))
        Sigmoid()
    """
    if not isinstance(name, str) or name not in LIKELIHOODS:
        raise unknown("likelihood", name, LIKELIHOODS)
    return LIKELIHOODS[name]


def usual_likelihood(kind: Observation) -> str:
    """Chooses the likelihood where none is asked for.

    Bernoulli of images, negative binomial of vectors in "counts", categorical where columns are one-hot, and of all
    else a Gaussian whose scale is learned.
    """
    if kind.is_image:
        return "bernoulli"
    if kind.one_hot:
        return "categorical"
    return "negative-binomial" if kind.unit == "counts" and len(kind.shape) == 1 else "gaussian-learned"


def described(image_shape: Any, check: Callable[[Any], tuple[int, ...]]) -> tuple[Observation, bool]:
    """Describes what a model takes, and says whether that is more than its shape tells.

    Args:
        image_shape: a shape, or an `Observation`.
        check: returns a shape as integers, or refuses it.

    Raises:
        VaelensError: as `check`.
    """
    usual = Observation.of_shape(check(getattr(image_shape, "shape", image_shape)))
    stated = isinstance(image_shape, Observation) and image_shape != usual
    return (image_shape, True) if stated else (usual, False)


def observation_of(kind: Observation, likelihood: str) -> Observation:
    """Describes what a model takes, values in [0, 1] under a Bernoulli likelihood, counts under one of counts."""
    if LIKELIHOODS[likelihood].counts:
        return replace(kind, unit="counts")
    return replace(kind, low=0.0, high=1.0) if likelihood == "bernoulli" else kind


def _features(kind: Observation) -> int:
    """Returns how many features vectors have.

    Raises:
        VaelensError: if it is no vector.
    """
    if len(kind.shape) != 1:
        raise VaelensError(f"a likelihood of vectors, and the shape is {kind.shape}; expected (features,)")
    return kind.shape[0]


def _one_hot(kind: Observation) -> tuple[tuple[int, ...], ...]:
    """Returns which features are one-hot.

    Raises:
        VaelensError: if that is not known.
    """
    if not kind.one_hot:
        raise VaelensError(
            "a categorical likelihood needs to know which features are one-hot; give image_shape=ds.observation of a "
            "vl.TableDataset, or vl.Observation.vector(features, one_hot=[[…], …])"
        )
    return kind.one_hot
