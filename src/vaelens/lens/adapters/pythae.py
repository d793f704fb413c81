"""The parts of Pythae's autoencoders, by the class that a model is of.

The code is the encoder's `embedding`, with its `log_covariance` where the model draws codes from it. Where a model
passes its codes through a flow, so does `decode`, and the latent is the code before the flow. A VQVAE whose encoder
gives vectors (n, d) quantises each of the d numbers by itself, with codes of one dimension: its latent is (1, d).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.adapters.adapter import Adapter
from vaelens.lens.adapters.lineage import lineage, overridden
from vaelens.lens.quantisation import Quantisation

PACKAGE = "pythae"

_DETERMINISTIC = {"AE", "RAE_GP", "RAE_L2", "VQVAE", "WAE_MMD"}
_GAUSSIAN = {"Adversarial_AE", "BetaTCVAE", "BetaVAE", "CIWAE", "DisentangledBetaVAE", "FactorVAE", "INFOVAE_MMD"}
_GAUSSIAN |= {"IWAE", "MIWAE", "MSSSIM_VAE", "PIWAE", "VAE", "VAEGAN", "VAE_IAF", "VAE_LinNF", "VAMP"}
_MOVED = "what it decodes is the code after steps along gradients of the image's likelihood, begun with random momentum"
_REFUSED = {
    "HVAE": _MOVED,
    "RHVAE": _MOVED,
    "SVAE": "its codes lie on a sphere, which a change of one latent would leave",
    "PoincareVAE": "its codes lie in a hyperbolic ball, in which a change of one latent is no straight step",
}
_INSTEAD = "give encode= and decode= to look at the parts that you mean"


def pythae(model: Any) -> Adapter | None:
    """Returns the adapter of a Pythae model, or None for any other model.

    Raises:
        VaelensError: a model whose decoder is not given what its encoder gives, or whose data are no images.
    """
    names = lineage(model, PACKAGE)
    if "BaseAE" not in names:
        return None
    name = names[0]
    if name in _REFUSED:
        raise VaelensError(f"Pythae's {name} cannot be taken apart: {_REFUSED[name]}; {_INSTEAD}")
    if name not in _DETERMINISTIC | _GAUSSIAN:
        raise VaelensError(f"{type(model).__name__} is not one of the Pythae models that the lens knows; {_INSTEAD}")
    if overridden(model, PACKAGE, ["forward"]):
        raise VaelensError(f"{type(model).__name__} changes the forward of Pythae's {name}; {_INSTEAD}")
    parts: Any = model  # known by the names of its classes: its attributes are Pythae's
    example = _example(parts)
    if name == "VQVAE":
        return _quantised(parts, example)
    draws = name in _GAUSSIAN and not getattr(parts, "deterministic_posterior", False)
    flow = _FLOWS.get(name)

    # annotated loosely, so that a symbolic trace can follow them
    def encode(images: Any) -> Any:
        output = parts.encoder(images)
        return (output["embedding"], output.get("log_covariance")) if draws else output["embedding"]

    def decode(codes: Any) -> Any:
        return parts.decoder(codes if flow is None else flow(parts, codes))["reconstruction"]

    return Adapter(encode, decode, None, example)


def _quantised(model: Any, example: Tensor | None) -> Adapter:
    if not {"Quantizer", "QuantizerEMA"} & {*lineage(model.quantizer, PACKAGE)}:
        raise VaelensError(
            f"the quantizer of this VQVAE is a {type(model.quantizer).__name__}, not one of Pythae's; give encode=, "
            "decode= and codebook="
        )

    def codebook() -> Tensor:
        embeddings = model.quantizer.embeddings
        return embeddings.weight if isinstance(embeddings, nn.Embedding) else embeddings

    def encode(images: Any) -> Any:
        embedding = model.encoder(images)["embedding"]
        return embedding[:, None] if embedding.ndim == 2 else embedding

    def decode(chosen: Any) -> Any:
        return model.decoder(chosen.flatten(1) if chosen.ndim == 3 else chosen)["reconstruction"]

    return Adapter(encode, decode, Quantisation(codebook), example)


def _example(model: Any) -> Tensor | None:
    shape = model.model_config.input_dim
    if shape is not None and len(shape) != 3:
        raise VaelensError(
            f"this {type(model).__name__} takes data of shape {tuple(shape)}, a lens looks at images (C, H, W); give "
            "encode= and decode= that reshape them"
        )
    return None if shape is None else torch.zeros(1, *shape, dtype=torch.float32)


def _autoregressive(model: Any, codes: Any) -> Any:
    return model.iaf_flow.inverse(codes).out


def _linear(model: Any, codes: Any) -> Any:
    for layer in model.net:
        codes = layer(codes).out
    return codes


_FLOWS: dict[str, Callable[[Any, Any], Any]] = {"VAE_IAF": _autoregressive, "VAE_LinNF": _linear}
