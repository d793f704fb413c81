"""The RNA part of scvi-tools' TOTALVI, from counts of genes to log-normalised expression with proteins as context.

The encoder is given the proteins of each cell, which stay as they are while genes and latents are intervened on.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vaelens.models.counts import NORMALISED_TO

PROTEINS = "proteins"  # in the context


def totalvi_parts(module: Any, given: Callable[[Any], tuple[Any, Any, Any]]) -> tuple[Callable, Callable]:
    """Returns encode and decode of a TOTALVI's module, which draw nothing.

    Args:
        module: the model's.
        given: of the context batch (n, 1), continuous covariates or None, and categorical ones, (n, 1) each.
    """

    def encode(counts: Any, context: Any) -> tuple[Tensor, Tensor]:
        batch, continuous, categorical = given(context)
        if not module.encode_covariates:
            continuous, categorical = None, ()
        both = [values / (1 + values.mean(dim=1, keepdim=True)) for values in (counts, context[PROTEINS])]
        if module.log_variational:
            both = [torch.log1p(values) for values in both]
        x = torch.cat(both if continuous is None else [*both, continuous], dim=-1)
        hidden = module.encoder.encoder(x, batch, *categorical)
        variance = torch.exp(module.encoder.z_var_encoder(hidden)) + 1e-4
        return module.encoder.z_mean_encoder(hidden), torch.log(variance)

    def decode(codes: Any, context: Any) -> Tensor:
        batch, continuous, categorical = given(context)
        z, decoder = module.encoder.z_transformation(codes), module.decoder
        if continuous is not None:
            z = torch.cat([z, continuous], dim=-1)
        hidden = torch.cat([decoder.px_decoder(z, batch, *categorical), z], dim=-1)
        scale = decoder.px_scale_activation(decoder.px_scale_decoder(hidden, batch, *categorical))
        return torch.log1p(NORMALISED_TO * scale)

    return encode, decode
