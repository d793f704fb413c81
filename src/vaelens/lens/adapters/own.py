"""The parts of a vaelens VAE."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vaelens.lens.adapters.adapter import Adapter
from vaelens.lens.quantisation import Quantisation
from vaelens.models import VAE
from vaelens.models.counts import NORMALISED, as_counts, check_counts, log_normalised
from vaelens.models.likelihoods import find_likelihood
from vaelens.models.own_modules import STANDARD
from vaelens.models.quantiser import Quantiser


def own(model: Any) -> Adapter | None:
    """Returns the adapter of a vaelens VAE, or None for any other model."""
    if not isinstance(model, VAE):
        return None
    vae = model
    observation, likelihood = vae.observation, find_likelihood(vae.likelihood)
    example = torch.full((1, *observation.shape), observation.low or 0.0, dtype=torch.float32)

    def encode(x: Any) -> Any:
        if vae.modules_from["encoder"] != STANDARD or _is_replaced(vae, "encode"):
            return vae.encode(x)
        # Without the checks of `vae.encode`, whose questions about shapes torch.fx can't follow.
        return vae.encoder(x) if vae.quantiser is not None else vae.encoder(x).chunk(2, dim=1)

    def decode(z: Any) -> Any:
        if _is_replaced(vae, "decode") and vae.quantiser is None:
            return vae.decode(z)
        return vae.mean(vae.decoder(z))

    if likelihood.counts:
        return Adapter(
            encode,
            decode,
            None,
            example,
            observation=replace(observation, unit=NORMALISED),
            target=log_normalised,
            observed=as_counts,
            check=check_counts,
        )
    if vae.quantiser is None:
        return Adapter(encode, decode, None, example, observation=observation)

    def codebook() -> Tensor:
        quantiser = vae.quantiser
        assert isinstance(quantiser, Quantiser), "a model that had a codebook keeps it"
        return quantiser.codebook

    # Not `vae.decode`, which would quantise again: a code beside its double would not be sure to stay itself.
    return Adapter(encode, decode, Quantisation(codebook), example, observation=observation)


def _is_replaced(vae: VAE, method: str) -> bool:
    """Tells whether a subclass, or somebody later, has put another method in the place of ours."""
    return method in vars(vae) or getattr(type(vae), method) is not getattr(VAE, method)
