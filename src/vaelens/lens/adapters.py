"""Adapters: how a lens gets at the encoder, the codebook and the decoder of a model that it knows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.quantisation import Quantisation
from vaelens.models import VAE
from vaelens.models.own_modules import STANDARD
from vaelens.models.quantiser import Quantiser


@dataclass(frozen=True, eq=False)
class Adapter:
    """The parts of a model, as functions that run modules of it.

    Attributes:
        encode: images (n, C, H, W) to the code (n, d, *positions), or to (mean, log-variance or None).
        decode: codes to mean images; where they are quantised, the chosen codes (n, d, *positions) to mean images.
        quantisation: of a quantised latent, else None.
        example: images with which the sites are found, or None.
    """

    encode: Callable[[Tensor], Any]
    decode: Callable[[Tensor], Any]
    quantisation: Quantisation | None = None
    example: Any = None


def own(model: VAE) -> Adapter:
    """The parts of a vaelens VAE."""
    example = torch.zeros(1, *model.image_shape)

    def encode(x: Tensor) -> Any:
        if model.modules_from["encoder"] != STANDARD:
            return model.encode(x)
        # Without the checks of `model.encode`, whose questions about shapes a tracer can't follow.
        return model.encoder(x) if model.quantiser is not None else model.encoder(x).chunk(2, dim=1)

    def decode(z: Tensor) -> Tensor:
        return model.mean(model.decoder(z))

    if model.quantiser is None:
        return Adapter(encode, decode, None, example)

    def codebook() -> Tensor:
        quantiser = model.quantiser
        assert isinstance(quantiser, Quantiser), "a model that had a codebook keeps it"
        return quantiser.codebook

    # Not `model.decode`, which would quantise again: a code beside its double would not be sure to stay itself.
    return Adapter(encode, decode, Quantisation(codebook), example)


def adapted(model: nn.Module, encode: Any, decode: Any, codebook: Any = None, quantise: Any = None) -> Adapter:
    """The parts as a user names them, or those of a model that is known.

    Raises:
        VaelensError: a model of unknown kind without `encode` and `decode`; one of two that belong together; parts
            named of a model that brings its own.
    """
    if (encode is None) != (decode is None):
        raise VaelensError("encode and decode belong together: give both, or neither for a vaelens VAE")
    if codebook is None and quantise is not None:
        raise VaelensError("quantise chooses codes of a codebook, and none was given; give codebook= as well")
    if encode is not None:
        return Adapter(encode, decode, None if codebook is None else Quantisation(codebook, quantise))
    if not isinstance(model, VAE):
        raise VaelensError(
            f"{type(model).__name__} is not a vaelens VAE; say where its encoder and decoder are: "
            "Lens(model, encode=f, decode=g) with f(x) -> code or (mean, log-variance), g(z) -> image"
        )
    if codebook is not None:
        raise VaelensError("a vaelens VAE brings its own codebook; leave codebook= out")
    return own(model)
