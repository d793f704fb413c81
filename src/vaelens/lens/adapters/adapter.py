"""The adapter: a model's parts as functions that run modules of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vaelens.lens.quantisation import Quantisation


@dataclass(frozen=True, eq=False)
class Adapter:
    """The parts of a model, as functions that run modules of it.

    Attributes:
        encode: images (n, C, H, W) to the code (n, d, *positions), or to (mean, log-variance or None).
        decode: codes to mean images; where they are quantised, the chosen codes (n, d, *positions) to mean images.
        quantisation: of a quantised latent, else None.
        example: images with which the sites are found, or None.
        channels: how many channels images must have, where that is known.
        any_size: whether images of another height and width than the example's are the same model's.
        blocks: paths of blocks of the model, whose outputs are sites besides the stages.
    """

    encode: Callable[[Tensor], Any]
    decode: Callable[[Tensor], Any]
    quantisation: Quantisation | None = None
    example: Any = None
    channels: int | None = None
    any_size: bool = False
    blocks: tuple[str, ...] = ()
