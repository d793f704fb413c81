"""The parts of an autoencoder of diffusers that is known by what it can do, its own `encode` and `decode`.

Such a model encodes to one latent and decodes it, given nothing besides. Images and clips are in [0, 1] outside and in
[-1, 1] inside, waveforms in [-1, 1] on both sides. A layer that runs once a piece of a clip has a site for each call.
Slices and tiles are refused: in slices a layer runs once an observation, and tiles change the result.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens.adapters.adapter import Adapter
from vaelens.lens.adapters.example_size import example_shape
from vaelens.lens.adapters.intake import intakes
from vaelens.lens.adapters.scaling import scaling

_CODES = ("latent_dist", "latent", "latents")  # what an output of encode calls its code
_INSTEAD = "give encode= and decode= to say where its encoder and decoder are"


def autoencoder(model: Any, blocks: tuple[str, ...]) -> Adapter:
    """Builds the adapter of a model from its own `encode` and `decode`.

    Args:
        model: of diffusers, with the methods `encode` and `decode`.
        blocks: paths of its blocks.

    Raises:
        VaelensError: one that needs more than observations and codes, or takes something else than those above.
    """
    name = type(model).__name__
    for method in ("encode", "decode"):
        _check_alone(name, method, getattr(model, method))
    kinds = intakes(model)
    # Some draw a sample of the posterior unless they are told not to.
    options = {"sample_posterior": False} if "sample_posterior" in _parameters(model.encode) else {}

    def own_encode(observations: Any) -> Any:
        _check_whole(model)
        return _code(name, model.encode(observations, **options))

    def own_decode(codes: Any) -> Any:
        _check_whole(model)
        output = model.decode(codes)
        values = output if isinstance(output, Tensor) else getattr(output, "sample", None)
        if values is None:
            raise VaelensError(f"decode of this {name} returns {_in_words(output)}, expected one `sample`; {_INSTEAD}")
        return values

    kind, shape = example_shape(model, own_encode, own_decode, kinds)

    def encode(observations: Any) -> Any:
        return own_encode(observations * 2 - 1 if kind.signed else observations)

    def decode(codes: Any) -> Any:
        return (own_decode(codes) + 1) / 2 if kind.signed else own_decode(codes)

    example = torch.zeros(1, *shape, dtype=torch.float32)
    return Adapter(
        encode,
        decode,
        None,
        example,
        shape[0],
        any_size=True,
        blocks=blocks,
        observation=kind.observation(shape),
        latent=scaling(model),
    )


def _parameters(method: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(method).parameters)


def _check_alone(name: str, method: str, function: Callable[..., Any]) -> None:
    """Refuses a method that needs more than one argument.

    Raises:
        VaelensError: it does.
    """
    needed = [
        parameter.name
        for parameter in _parameters(function).values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    if len(needed) > 1:
        first = needed[0][0]
        raise VaelensError(
            f"{method} of this {name} needs {' and '.join(needed[1:])} besides; give encode= and decode= that say what "
            f"it is, such as {method}=lambda {first}: model.{method}({first}, {needed[1]}=…)"
        )


def _check_whole(model: Any) -> None:
    """Refuses a model that cuts its input into slices or tiles.

    Raises:
        VaelensError: it does.
    """
    for way, piece in (("slicing", "an observation"), ("tiling", "a tile")):
        if getattr(model, f"use_{way}", False):
            raise VaelensError(
                f"{way} is enabled, so each layer of this {type(model).__name__} would run once {piece}; call "
                f"disable_{way}() on the model"
            )


def _code(name: str, output: Any) -> Any:
    """Returns the code in what encode returned, as a tensor or as (mean, log-variance or None).

    Raises:
        VaelensError: it is neither, or there are several.
    """
    if isinstance(output, Tensor):
        return output
    codes = [getattr(output, code) for code in _CODES if getattr(output, code, None) is not None]
    if len(codes) != 1 or isinstance(output, tuple):
        raise VaelensError(
            f"encode of this {name} returns {_in_words(output)}, expected one latent (`latent_dist`, `latent` or "
            f"`latents`); {_INSTEAD}"
        )
    code = codes[0]
    if isinstance(code, Tensor):
        return code
    mean = getattr(code, "mean", None)
    if not isinstance(mean, Tensor) and callable(mode := getattr(code, "mode", None)):
        mean = mode()  # of a distribution that is a point
    if not isinstance(mean, Tensor):
        raise VaelensError(f"the latent_dist of this {name} is a {type(code).__name__} without a mean; {_INSTEAD}")
    return mean, getattr(code, "logvar", None)


def _in_words(output: Any) -> str:
    if isinstance(output, tuple | list):
        return f"{len(output)} things"
    names = [f"`{name}`" for name in output] if isinstance(output, dict) else []
    return " and ".join(names) or f"a {type(output).__name__}"
