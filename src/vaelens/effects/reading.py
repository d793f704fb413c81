"""What is read off images, as an outcome: the probabilities of each factor's values, and how far two of them differ.

The reader is trained elsewhere (`vl.factor_reader`); anything that reads probabilities off images will do.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens import Lens

FACTORS = "factors"


@runtime_checkable
class ReadsFactors(Protocol):
    """Anything that reads factors off images."""

    @property
    def image_shape(self) -> Sequence[int]:
        """(C, H, W) of the images that it reads."""
        ...

    @property
    def factors(self) -> Sequence[str]:
        """The names of the factors that are read."""
        ...

    @property
    def accuracy(self) -> Mapping[str, float]:
        """How often each factor is read right, those that are not read included."""
        ...

    def read(self, images: Tensor, /) -> Mapping[str, Tensor]:
        """The probabilities (n, size) of each factor's values, on the images' device."""
        ...


class Reading:
    """A reader's factors as the outputs of interventions.

    Two images differ in a factor by the total-variation distance of what is read off them,

        |Δ_k| = ½ Σ_v |p_k(v | D(z̃)) − p_k(v | D(z))|,   in [0, 1]:

    0 where the same is read, 1 where surely another value is. It is comparable across factors, whatever their number of
    values, and is decided here.

    Args:
        reader: what reads.

    Raises:
        VaelensError: something that reads no factors, or one that reads none of its factors well enough.
    """

    def __init__(self, reader: Any):
        if not isinstance(reader, ReadsFactors):
            raise VaelensError(f"reader is a {type(reader).__name__}; make one with reader = vl.factor_reader(ds)")
        self.factors, self.image_shape = tuple(reader.factors), tuple(reader.image_shape)
        if not self.factors:
            known = ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in reader.accuracy.items())
            raise VaelensError(
                f"the reader trusts none of its factors (held-out accuracies: {known}); train it with more steps=, or "
                "on labels that the images show; print(reader) has them beside chance"
            )
        self._reader = reader
        self._sizes: list[int] = []

    def probabilities(self, images: Tensor) -> Tensor:
        """All factors' probabilities side by side, float32 (n, values)."""
        found = self._reader.read(images.clamp(0, 1))  # a linear decoder's images may leave the range
        self._sizes = [found[name].shape[1] for name in self.factors]
        return torch.cat([found[name].float() for name in self.factors], dim=1)

    def distances(self, some: Tensor, others: Tensor) -> Tensor:
        """The total-variation distance by factor of rows of probabilities, (n, factors)."""
        apart = (some - others).abs().split(self._sizes, dim=1)
        return torch.stack([one.sum(dim=1) / 2 for one in apart], dim=1)

    def made(self) -> dict[str, str]:
        """What attributes of a result say of the reader, as JSON: its accuracies, and the factors left out."""
        accuracy = {name: float(value) for name, value in self._reader.accuracy.items()}
        left_out = [name for name in accuracy if name not in self.factors]
        return {
            "reader_accuracy": json.dumps({name: accuracy[name] for name in self.factors}),
            "reader_left_out": json.dumps({name: accuracy[name] for name in left_out}),
        }


def reading_of(reader: Any, lens: Lens) -> Reading | None:
    """A reader that was given, as outputs of this lens; None where there is none.

    Raises:
        VaelensError: see `Reading`; a reader of images of another shape than the model's.
    """
    if reader is None:
        return None
    made = Reading(reader)
    if made.image_shape != lens.image_shape:
        raise VaelensError(
            f"the reader reads images of shape {made.image_shape}, and the model's are {lens.image_shape}; make one of "
            "the dataset that the model is for"
        )
    return made


def needed_reading(reader: Any, lens: Lens, asked: str) -> Reading:
    """The same, where factors are asked for.

    Args:
        reader: what was given.
        lens: the lens.
        asked: the argument by which they are.

    Raises:
        VaelensError: also where no reader was given.
    """
    found = reading_of(reader, lens)
    if found is None:
        raise VaelensError(f"{asked} needs a reader of the dataset's factors; give reader=vl.factor_reader(ds)")
    return found
