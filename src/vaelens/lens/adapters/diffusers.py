"""The parts of diffusers' autoencoders, of which some for images are known by name and any other by what it can do.

Images are in [0, 1] outside and in [-1, 1] inside, as all of these models take them; what is decoded is not clamped.
Latents are the model's own, as `encode` returns them, not multiplied by the `scaling_factor` with which a diffusion
model sees them, nor rounded to bytes as by AutoencoderTiny's `forward`. Slicing changes no value, and a lens cuts its
chunks itself; tiles, which change the result, are refused. The parts are annotated loosely and branch on no image, so
that a symbolic trace can follow them. What is known by name runs faster: nothing traces the others' own methods as far.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.adapters.adapter import Adapter
from vaelens.lens.adapters.autoencoder import autoencoder
from vaelens.lens.adapters.lineage import lineage, overridden
from vaelens.lens.adapters.scaling import scaling
from vaelens.lens.quantisation import Quantisation

PACKAGE = "diffusers"

_LOGVAR = (-30.0, 20.0)  # the bounds of diffusers' DiagonalGaussianDistribution
_EXAMPLE_SIZE = 64
_PATH = ("forward", "encode", "_encode", "decode", "_decode")


def diffusers(model: Any) -> Adapter | None:
    """Returns the adapter of an autoencoder, or None for a model that is not of diffusers.

    Raises:
        VaelensError: a model of diffusers that is none, or that needs more than observations and codes; one known by
            name whose class changes the way from image to image.
    """
    names = lineage(model, PACKAGE)
    if "ModelMixin" not in names:
        return None
    build = _KINDS.get(names[0])
    if build is None and not all(callable(getattr(model, part, None)) for part in ("encode", "decode")):
        raise VaelensError(
            f"of diffusers the lens knows models with encode and decode, such as {', '.join(_KINDS)}, and {names[0]} "
            "is none; give encode= and decode= to say where its encoder and decoder are"
        )
    if build is None:
        return autoencoder(model, _blocks(model))
    changed = overridden(model, PACKAGE, _PATH)
    if changed:
        raise VaelensError(
            f"{type(model).__name__} changes {changed!r} of diffusers' {names[0]}; give encode= and decode= to say "
            "where its encoder and decoder are"
        )
    return build(model)


def _autoencoder_kl(model: Any) -> Adapter:
    # Of modules, not by `model.encode`, whose wrappers nothing can look through.
    def encode(images: Any) -> Any:
        if model.use_tiling:
            _check_untiled(images, model.tile_sample_min_size, model.tile_sample_min_size)
        moments = model.encoder(images * 2 - 1)
        if model.quant_conv is not None:
            moments = model.quant_conv(moments)
        mean, logvar = moments.chunk(2, dim=1)
        return mean, logvar.clamp(*_LOGVAR)

    def decode(codes: Any) -> Any:
        if model.use_tiling:
            _check_untiled(codes, model.tile_latent_min_size, model.tile_latent_min_size)
        if model.post_quant_conv is not None:
            codes = model.post_quant_conv(codes)
        return (model.decoder(codes) + 1) / 2

    return _adapter(model, encode, decode)


def _asymmetric_autoencoder_kl(model: Any) -> Adapter:
    # Without mask and image, which fill in parts of an image where a diffusion model inpaints.
    def encode(images: Any) -> Any:
        mean, logvar = model.quant_conv(model.encoder(images * 2 - 1)).chunk(2, dim=1)
        return mean, logvar.clamp(*_LOGVAR)

    def decode(codes: Any) -> Any:
        return (model.decoder(model.post_quant_conv(codes)) + 1) / 2

    return _adapter(model, encode, decode)


def _autoencoder_tiny(model: Any) -> Adapter:
    def encode(images: Any) -> Any:
        if model.use_tiling:
            _check_untiled(images, 0, model.tile_sample_min_size)
        return model.encoder(images * 2 - 1)

    def decode(codes: Any) -> Any:
        if model.use_tiling:
            _check_untiled(codes, 0, model.tile_latent_min_size)
        return (model.decoder(codes) + 1) / 2

    return _adapter(model, encode, decode)


def _autoencoder_dc(model: Any) -> Adapter:
    def encode(images: Any) -> Any:
        if model.use_tiling:
            side = min(model.tile_sample_min_height, model.tile_sample_min_width)
            _check_untiled(images, side, side)
        return model.encoder(images * 2 - 1)

    def decode(codes: Any) -> Any:
        if model.use_tiling:
            side = min(model.tile_latent_min_height, model.tile_latent_min_width)
            _check_untiled(codes, side, side)
        return (model.decoder(codes) + 1) / 2

    return _adapter(model, encode, decode, smallest=model.spatial_compression_ratio)


def _vq_model(model: Any) -> Adapter:
    def encode(images: Any) -> Any:
        return model.quant_conv(model.encoder(images * 2 - 1))

    def decode(chosen: Any) -> Any:
        codes = model.post_quant_conv(chosen)
        # a decoder with spatial normalisation is given the codes beside its input
        spatial = model.config.norm_type == "spatial"
        return ((model.decoder(codes, chosen) if spatial else model.decoder(codes)) + 1) / 2

    quantisation = Quantisation(lambda: model.quantize.embedding.weight)
    return _adapter(model, encode, decode, quantisation)


def _adapter(
    model: Any,
    encode: Callable[[Any], Any],
    decode: Callable[[Any], Any],
    quantisation: Quantisation | None = None,
    smallest: int = 1,
) -> Adapter:
    """Builds the adapter of a model with these parts, which takes images of any size from the smallest on.

    Its example is as small as the model is made for, at most 64×64.
    """
    size = max(smallest, min(model.config.get("sample_size", _EXAMPLE_SIZE), _EXAMPLE_SIZE))
    example = torch.zeros(1, model.config.in_channels, size, size, dtype=torch.float32)
    return Adapter(
        encode,
        decode,
        quantisation,
        example,
        model.config.in_channels,
        any_size=True,
        blocks=_blocks(model),
        latent=scaling(model),
    )


def _blocks(model: nn.Module) -> tuple[str, ...]:
    """Lists the paths of the down, middle and up blocks, and of the blocks of an AutoencoderTiny."""
    paths = []
    for path, module in model.named_modules():
        part, _, inside = path.partition(".")
        name, _, number = inside.partition(".")
        listed = name in ("down_blocks", "up_blocks") and number.isdecimal()
        if part in ("encoder", "decoder") and (
            listed or inside == "mid_block" or type(module).__name__ == "AutoencoderTinyBlock"
        ):
            paths.append(path)
    return tuple(paths)


def _check_untiled(tensor: Tensor, largest: int, tile: int) -> None:
    """Refuses images or codes with a side over the largest that goes through in one piece."""
    height, width = tensor.shape[-2:]
    if max(height, width) > largest:
        raise VaelensError(
            f"tiling is enabled, so what is {height}×{width} here would go through the model in tiles of {tile}, "
            "each layer once a tile; call disable_tiling() on the model"
        )


_KINDS: dict[str, Callable[[Any], Adapter]] = {
    "AutoencoderKL": _autoencoder_kl,
    "VQModel": _vq_model,
    "AutoencoderTiny": _autoencoder_tiny,
    "AsymmetricAutoencoderKL": _asymmetric_autoencoder_kl,
    "AutoencoderDC": _autoencoder_dc,
}
