"""How much each latent tells about the image, and what its removal costs, in nats.

Information costs points · images · latents exponentials; removal a decoder row for each latent and image that it is
measured on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.codes import Codes
from vaelens.effects.decoded_chunk import DecodedChunk
from vaelens.effects.record import RESAMPLES
from vaelens.float64 import to_float64
from vaelens.lens import Batch, Lens
from vaelens.models import VAE
from vaelens.models.likelihoods import LIKELIHOODS
from vaelens.statistics import BootstrapMean, Information, posterior_information

_POINTS = 2048  # of which densities are computed
_DENSITIES = 2**31  # that are computed at most: fewer points where images, latents and positions are many
_GUESSED = "squared error / 2"  # of a model whose likelihood is not known


def information(codes: Codes, seed: int) -> Information | None:
    """Estimates the mutual information of each latent and the image, where the encoder returns a variance.

    E log q(z_i|x) / q(z_i), the mixture q(z_i) over the images; see `vaelens.statistics.posterior_information`.
    """
    if codes.logvar is None:
        return None
    mean, logvar = (values[:, : codes.units].cpu().double().numpy() for values in (codes.z, codes.logvar))
    points = int(np.clip(_DENSITIES // (mean.size), 64, _POINTS))
    return posterior_information(mean, logvar, points, seed)


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The loss that a removal adds to.

    Attributes:
        name: of a vaelens VAE its own, such as "bernoulli"; "squared error / 2" of any other model.
        parameters: what it has learned, such as the scale of a Gaussian, in float64.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_guessed(self) -> bool:
        """Whether it is the squared error, for want of the model's own."""
        return self.name == _GUESSED

    @property
    def counts(self) -> bool:
        """Whether it is one of counts, which are then compared as they are, not as they are decoded."""
        return self.name in LIKELIHOODS and LIKELIHOODS[self.name].counts

    def loss(self, decoded: Tensor, images: Tensor) -> Tensor:
        """Computes −log p(x|z) of each image up to a constant, in nats, (n,), from its mean image D(z)."""
        mean, x = to_float64(decoded), to_float64(images)
        if self.name not in LIKELIHOODS or self.name == "gaussian":
            return 0.5 * (mean - x).square().flatten(1).sum(dim=1)
        likelihood = LIKELIHOODS[self.name]
        parameters = {
            name: to_float64(value).to(mean.device) if isinstance(value, Tensor) else value
            for name, value in self.parameters.items()
        }
        output = likelihood.output(mean, torch.finfo(decoded.dtype), **parameters)
        return likelihood.negative_log_likelihood(output, x, **parameters)


def likelihood_of(lens: Lens) -> Likelihood:
    """Returns the likelihood that the model under a lens was trained with."""
    if not isinstance(lens.module, VAE):
        return Likelihood(_GUESSED)
    parameters = LIKELIHOODS[lens.module.likelihood].parameters(lens.module.mean)
    held = {name: value.detach() if isinstance(value, Tensor) else value for name, value in parameters.items()}
    return Likelihood(lens.module.likelihood, held)


def removal_cost(lens: Lens, images: Batch, codes: Codes, means: Tensor, rows: Tensor, seed: int) -> BootstrapMean:
    """Measures how much −log p(x|z) grows when latent i is set to its mean, z = mu(x), in nats, (d,).

    Args:
        lens: the lens.
        images: x, of the codes.
        codes: of these images.
        means: what each latent is set to, (d, *positions); of directions the first are.
        rows: the images that it is measured on, (m,).
        seed: of the bootstrap weights.
    """
    likelihood = likelihood_of(lens)
    total = BootstrapMean((codes.units,), RESAMPLES, seed)
    first_row = 0
    for block in rows.split(lens.engine.rows_uncached):
        chunk = DecodedChunk(lens, codes.batch[block], block, first_row)
        given = images.values[block]
        x = (given if likelihood.counts else lens.target(given)).to(chunk.images, non_blocking=True)
        first_row, loss = first_row + len(x), likelihood.loss(chunk.images, x)

        def without(latent: int, z: Tensor = codes.z[block]) -> Tensor:
            removed = z.clone()
            removed[:, latent] = means[latent]
            return removed

        costs = []
        for decoded in chunk.decoded(without, codes.units):
            costs.append(likelihood.loss(decoded, x) - loss)
        total.update(torch.stack(costs, dim=1))
    return total
