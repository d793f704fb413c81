"""The adapter, which holds a model's parts as functions that run modules of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vaelens.lens.quantisation import Quantisation
from vaelens.observation import Observation


@dataclass(frozen=True, eq=False)
class Adapter:
    """The parts of a model, as functions that run modules of it.

    Attributes:
        encode: observations (n, *shape) to the code (n, d, *positions), or to (mean, log-variance or None); of a model
            with a context, observations and their context.
        decode: codes to mean observations, likewise; where they are quantised, the chosen codes (n, d, *positions).
        quantisation: of a quantised latent, else None.
        example: images with which the sites are found, or None.
        channels: how many channels observations must have, where that is known.
        any_size: whether observations of other sizes than the example's, with as many channels, are the same model's.
        blocks: paths of blocks of the model, whose outputs are sites besides the stages.
        observation: what an observation is, where the model says so.
        context: that of the example, where the model takes one.
        target: turns observations into what decoded values are compared with; None where these are of the same kind.
        observed: turns decoded values into observations, which the encoder takes; None where they are such.
        check: refuses observations that the model does not take, for what their shape and range do not tell.
        latent: what is said beside the latent in the table of sites.
    """

    encode: Callable[..., Any]
    decode: Callable[..., Any]
    quantisation: Quantisation | None = None
    example: Any = None
    channels: int | None = None
    any_size: bool = False
    blocks: tuple[str, ...] = ()
    observation: Observation | None = None
    context: Any = None
    target: Callable[[Tensor], Tensor] | None = None
    observed: Callable[[Tensor], Tensor] | None = None
    check: Callable[[Tensor], None] | None = None
    latent: str = ""
