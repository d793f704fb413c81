"""The parts of a vaelens VAE."""

import torch
from torch import Tensor, nn

from vaelens.lens.adapters.adapter import Adapter
from vaelens.lens.quantisation import Quantisation
from vaelens.models import VAE
from vaelens.models.quantiser import Quantiser


def own(model: nn.Module) -> Adapter | None:
    """The parts of a vaelens VAE, None for another model."""
    if not isinstance(model, VAE):
        return None
    vae = model
    example = torch.zeros(1, *vae.image_shape)
    if vae.quantiser is None:
        return Adapter(vae.encode, vae.decode, None, example)

    def codebook() -> Tensor:
        quantiser = vae.quantiser
        assert isinstance(quantiser, Quantiser), "a model that had a codebook keeps it"
        return quantiser.codebook

    # Not `vae.decode`, which would quantise again: a code beside its double would not be sure to stay itself.
    return Adapter(vae.encode, lambda embedding: vae.mean(vae.decoder(embedding)), Quantisation(codebook), example)
