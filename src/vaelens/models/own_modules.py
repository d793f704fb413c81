"""Users' own encoders and decoders, which are checked on two black images when a model is built."""

import itertools
import math
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError

LARGEST_IMAGE = 2**26  # values, a colour image of 4729×4729
STANDARD = "standard"  # in the config, in place of the name of a module's class


def check_modules(encoder: Any, decoder: Any) -> None:
    """Refuses what is neither a module nor None.

    Raises:
        VaelensError: saying which.
    """
    for name, module in (("encoder", encoder), ("decoder", decoder)):
        if module is not None and not isinstance(module, nn.Module):
            raise VaelensError(f"{name} is a {type(module).__name__}; expected a torch.nn.Module, or None for ours")


def check_any_image_shape(image_shape: Any) -> tuple[int, ...]:
    """Returns the shape (channels, height, width), or that of vectors, series or volumes, whatever its sizes.

    Raises:
        VaelensError: if it is not one to four positive whole numbers.
    """
    try:
        shape = tuple(operator.index(length) for length in image_shape)
    except (TypeError, ValueError):
        shape = ()
    if not 1 <= len(shape) <= 4 or min(shape) < 1:
        raise VaelensError(
            f"image_shape is {image_shape!r}; expected (channels, height, width), (features,), (channels, time) or "
            "(channels, depth, height, width), each at least 1"
        )
    if (size := math.prod(shape)) > LARGEST_IMAGE:
        raise VaelensError(
            f"image_shape is {image_shape!r}, {size:,} values an image; expected at most {LARGEST_IMAGE:,}"
        )
    return shape


def name_of(module: nn.Module | None) -> str:
    """Returns what the config says of a part, the name of the user's class or that it is ours."""
    return STANDARD if module is None else f"{type(module).__module__}.{type(module).__qualname__}"


def match_modules(config: Mapping[str, Any], modules: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Returns the modules given for a saved model, if they are just those that it was built with.

    Args:
        config: the saved model's.
        modules: by part, a module or None.
        folder: of the saved model.

    Raises:
        VaelensError: if one is missing or too many.
    """
    for name, module in modules.items():
        if (config[name] == STANDARD) != (module is None):
            what = f"give it: from_pretrained(folder, {name}=…)" if module is None else f"leave {name}= out"
            raise VaelensError(f"the model in {str(folder)!r} was built with the {name} {config[name]!r}; {what}")
    return dict(modules)


def split_moments(output: Any, latent_dim: int) -> tuple[Tensor, Tensor]:
    """Splits an encoder's output into posterior means and log-variances, each `(n, d)`.

    Args:
        output: the pair, or one tensor `(n, 2 d)`, means first.
        latent_dim: d.

    Raises:
        VaelensError: if it is neither.
    """
    if isinstance(output, Tensor) and output.ndim == 2 and output.shape[1] == 2 * latent_dim:
        mu, logvar = output.chunk(2, dim=1)
        return mu, logvar
    if isinstance(output, tuple | list) and len(output) == 2:
        mu, logvar = output
        fits = all(isinstance(part, Tensor) and tuple(part.shape[1:]) == (latent_dim,) for part in (mu, logvar))
        if fits and len(mu) == len(logvar):
            return mu, logvar
    raise VaelensError(
        f"the encoder gives {_shapes(output)}; expected (n, {2 * latent_dim}), the means of the {latent_dim} latents "
        "and then their log-variances, or a pair of them"
    )


@torch.no_grad()
def check_parts(encoder: nn.Module, decoder: nn.Module, image_shape: Any, latent_dim: int, quantised: bool) -> Any:
    """Finds the shape of one image's code by sending two black images through encoder and decoder.

    Raises:
        VaelensError: if one of them does not take or give what the model needs.
    """
    modes = [(module, module.training) for part in (encoder, decoder) for module in part.modules()]
    weights = itertools.chain(encoder.parameters(), decoder.parameters())
    like = next((weight for weight in weights if weight.is_floating_point()), torch.zeros(()))
    try:
        encoder.eval()
        decoder.eval()
        output = _call(encoder, torch.zeros(2, *image_shape).to(like), "encoder")
        if quantised:
            if not isinstance(output, Tensor) or output.ndim < 3 or output.shape[1] != latent_dim:
                raise VaelensError(
                    f"the encoder gives {_shapes(output)}; a codebook expects (n, {latent_dim}, height, width), or "
                    "as many axes of positions as the data has"
                )
            code = output
        else:
            code, _ = split_moments(output, latent_dim)
        image = _call(decoder, code, "decoder")
    finally:
        for module, training in modes:
            module.training = training
    if not isinstance(image, Tensor) or tuple(image.shape) != (2, *image_shape):
        raise VaelensError(
            f"the decoder gives {_shapes(image)} for codes {tuple(code.shape)}; expected (2, "
            f"{', '.join(map(str, image_shape))}), the likelihood's parameters before any sigmoid"
        )
    return tuple(code.shape[1:])


def _call(part: nn.Module, inputs: Tensor, name: str) -> Any:
    try:
        return part(inputs)
    except Exception as error:  # whatever a user's module raises at a shape that it does not take
        reason = " ".join(str(error).split())[:200]
        raise VaelensError(
            f"the {name} does not take {tuple(inputs.shape)}: {type(error).__name__}: {reason}; give image_shape and "
            "latent_dim as it expects them"
        ) from error


def _shapes(output: Any) -> str:
    if isinstance(output, tuple | list):
        return f"({', '.join(_shapes(part) for part in output)})"
    return str(tuple(output.shape)) if isinstance(output, Tensor) else type(output).__name__
