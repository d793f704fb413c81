"""The probabilities of factors' values that a reader predicts from images, as an outcome, and how far two differ.

The reader is trained elsewhere (`vl.factor_reader`); anything that predicts probabilities from images will do.
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
    """Anything that predicts factors from images."""

    @property
    def image_shape(self) -> Sequence[int]:
        """(C, H, W) of the images that it takes."""
        ...

    @property
    def factors(self) -> Sequence[str]:
        """The names of the factors that are predicted."""
        ...

    @property
    def accuracy(self) -> Mapping[str, float]:
        """How often each factor is predicted right, those that are left out included."""
        ...

    def read(self, images: Tensor, /) -> Mapping[str, Tensor]:
        """Predicts the probabilities (n, size) of each factor's values, on the images' device."""
        ...


class FactorPredictions:
    """A reader's factors as the outputs of interventions.

    Two images differ in a factor by the total-variation distance of what is predicted from them,

        |Δ_k| = ½ Σ_v |p_k(v | D(z̃)) − p_k(v | D(z))|,   in [0, 1]:

    0 where the same is predicted, 1 where surely another value is. It is comparable across factors, whatever their
    number of values, and is decided here.

    Args:
        reader: what predicts.

    Raises:
        VaelensError: something that predicts no factors, or one that predicts none of its factors well enough.
    """

    def __init__(self, reader: Any):
        if not isinstance(reader, ReadsFactors):
            raise VaelensError(f"reader is a {type(reader).__name__}; make one with reader = vl.factor_reader(ds)")
        self.factors, self.image_shape = tuple(reader.factors), tuple(reader.image_shape)
        if not self.factors:
            accuracies = ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in reader.accuracy.items())
            raise VaelensError(
                f"the reader trusts none of its factors (held-out accuracies: {accuracies}); train it with more "
                "steps=, or on labels that the images show; print(reader) has them beside chance"
            )
        self._reader = reader
        self._sizes: list[int] = []

    def probabilities(self, images: Tensor) -> Tensor:
        """Predicts all factors' probabilities side by side, float32 (n, values)."""
        by_factor = self._reader.read(images.clamp(0, 1))  # a linear decoder's images may leave the range
        self._sizes = [by_factor[name].shape[1] for name in self.factors]
        return torch.cat([by_factor[name].float() for name in self.factors], dim=1)

    def distances(self, probabilities: Tensor, other: Tensor) -> Tensor:
        """Computes the total-variation distance of rows of probabilities, factor by factor, (n, factors)."""
        by_factor = (probabilities - other).abs().split(self._sizes, dim=1)
        return torch.stack([difference.sum(dim=1) / 2 for difference in by_factor], dim=1)

    def likeliest(self, probabilities: Tensor) -> Tensor:
        """Finds the likeliest value of each factor in rows of probabilities, (n, factors)."""
        return torch.stack([values.argmax(dim=1) for values in probabilities.split(self._sizes, dim=1)], dim=1)

    def attributes(self) -> dict[str, str]:
        """Returns the attributes of a result that hold the accuracies of factors predicted and left out, in JSON."""
        accuracy = {name: float(value) for name, value in self._reader.accuracy.items()}
        left_out = [name for name in accuracy if name not in self.factors]
        return {
            "reader_accuracy": json.dumps({name: accuracy[name] for name in self.factors}),
            "reader_left_out": json.dumps({name: accuracy[name] for name in left_out}),
        }


def factor_predictions(reader: Any, lens: Lens) -> FactorPredictions | None:
    """Takes a reader's factors as outputs of this lens, if there is a reader.

    Raises:
        VaelensError: see `FactorPredictions`; a reader of images of another shape than the model's.
    """
    if reader is None:
        return None
    predictions = FactorPredictions(reader)
    if predictions.image_shape != lens.observation.shape:
        raise VaelensError(
            f"the reader reads images of shape {predictions.image_shape}, and the model's {lens.observation.noun} are "
            f"of shape {lens.observation.shape}; make one of the dataset that the model is for"
        )
    return predictions
