"""The outputs of specificity, which are pixels, groups, re-encoded latents, or factors that a reader predicts.

Each kind is a class of the same signature; a new one is a class and a line in `OUTPUTS`.
"""

from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from vaelens.effects.codes import Codes
from vaelens.effects.decoded_chunk import DecodedChunk
from vaelens.effects.entropy import rounding_of
from vaelens.effects.factor_predictions import FACTORS
from vaelens.effects.options import SweepOptions
from vaelens.effects.record import RESAMPLES
from vaelens.errors import VaelensError, unknown
from vaelens.lens import Lens
from vaelens.observation import Observation

Over = Literal["pixels", "values", "groups", "latents", "factors"]  # "values" are what of images "pixels" are
PICTURE_RESAMPLES = 200  # where each replicate is a whole picture: fewer than of a number


@runtime_checkable
class Outputs(Protocol):
    """What changes in an image are measured in.

    Attributes:
        count: how many outputs there are.
        resamples: how many bootstrap resamples their means have.
        weights: how much a change of each output by 1 counts among them, (count,); None where all count alike.
    """

    count: int
    resamples: int
    weights: Tensor | None

    def start(self, chunk: DecodedChunk) -> Tensor:
        """Returns what the changes of the chunk's images are measured from."""
        ...

    def change(self, chunk: DecodedChunk, images: Tensor, start: Tensor) -> Tensor:
        """Computes |Δ_o| of changed images, (c, count)."""
        ...


class PixelOutputs:
    """Every value of an observation, such as each channel of each pixel.

    Of rows with Gower's distance each feature counts as it does there.
    """

    resamples = PICTURE_RESAMPLES

    def __init__(self, lens: Lens, codes: Codes, options: SweepOptions):
        self.count = lens.observation.size
        self.weights = torch.tensor(lens.observation.weights, dtype=torch.float64) if lens.observation.weights else None

    def start(self, chunk: DecodedChunk) -> Tensor:
        """Returns what the changes of the chunk's images are measured from, the images themselves."""
        return chunk.images

    def change(self, chunk: DecodedChunk, images: Tensor, start: Tensor) -> Tensor:
        """Computes |Δ_o| of changed images, the absolute change of each pixel, (c, count)."""
        return (images - start).abs_().flatten(1)


def rounding_in(outputs: Outputs, start: Tensor) -> Tensor | None:
    """Computes how far outputs of one code may differ by rounding, for each image, (c,).

    None where outputs are not the image's own values.

    Args:
        outputs: what changes are measured in.
        start: those of the unchanged images.
    """
    if not isinstance(outputs, PixelOutputs):
        return None
    return rounding_of(start if outputs.weights is None else start * outputs.weights.to(start))


class GroupOutputs:
    """Every named group of features, by its values' mean. With Gower's distance it counts by what it adds to that."""

    resamples = RESAMPLES
    weights: Tensor | None = None

    def __init__(self, lens: Lens, codes: Codes, options: SweepOptions):
        groups = lens.observation.groups.values()
        self._observation = lens.observation
        self.count = len(groups)
        self._members = [torch.tensor(members) for members in groups]

    def start(self, chunk: DecodedChunk) -> Tensor:
        """Returns what the changes of the chunk's images are measured from, the images themselves."""
        return chunk.images

    def change(self, chunk: DecodedChunk, images: Tensor, start: Tensor) -> Tensor:
        """Computes |Δ_o| of changed images, each group's mean absolute change or its share of Gower's, (c, count)."""
        change = (images - start).abs_()
        if self._observation.weights:
            counted = change * torch.tensor(self._observation.weights).to(change)
            return torch.stack([counted[:, members].sum(dim=1) for members in self._members], dim=1)
        return torch.stack([change[:, members].flatten(1).mean(dim=1) for members in self._members], dim=1)


class LatentOutputs:
    """Every latent, at each of its positions, of the image encoded again, in standard deviations of its posterior.

    Where the encoder returns no variance, in standard deviations of the code.
    """

    resamples = PICTURE_RESAMPLES
    weights: Tensor | None = None

    def __init__(self, lens: Lens, codes: Codes, options: SweepOptions):
        self.count = codes.z[0].numel()
        unit = torch.as_tensor(codes.activity.resolution).to(codes.z)
        self._unit = torch.where(unit > 0, unit, 1).reshape(1, -1, *[1] * (codes.z.ndim - 2))

    def start(self, chunk: DecodedChunk) -> Tensor:
        """Returns what the changes of the chunk's images are measured from, their codes."""
        return chunk.encoded(chunk.images)

    def change(self, chunk: DecodedChunk, images: Tensor, start: Tensor) -> Tensor:
        """Computes |Δ_o| of changed images, the absolute change of each latent at each position, (c, count)."""
        return ((chunk.encoded(images) - start).abs() / self._unit).flatten(1)


class FactorOutputs:
    """Every factor that a reader predicts."""

    resamples = RESAMPLES
    weights: Tensor | None = None

    def __init__(self, lens: Lens, codes: Codes, options: SweepOptions):
        assert options.predictions is not None, "factors are refused without a reader"
        self._predictions = options.predictions
        self.count = len(self._predictions.factors)

    def start(self, chunk: DecodedChunk) -> Tensor:
        """Returns what the changes of the chunk's images are measured from, the probabilities predicted from them."""
        return self._predictions.probabilities(chunk.images)

    def change(self, chunk: DecodedChunk, images: Tensor, start: Tensor) -> Tensor:
        """Computes |Δ_o| of changed images, the total-variation distance of each factor, (c, count)."""
        return self._predictions.distances(self._predictions.probabilities(images), start)


OUTPUTS: dict[str, type[PixelOutputs] | type[GroupOutputs] | type[LatentOutputs] | type[FactorOutputs]] = {
    "pixels": PixelOutputs,
    "values": PixelOutputs,
    "groups": GroupOutputs,
    "latents": LatentOutputs,
    FACTORS: FactorOutputs,
}


def checked_over(over: Any, observation: Observation) -> str:
    """Refuses an unknown kind of outputs, and groups where there are none.

    Of what is no image "pixels" are called "values".

    Raises:
        VaelensError: see above.
    """
    if not isinstance(over, str) or over not in OUTPUTS:
        raise unknown("output of the specificity", over, OUTPUTS)
    if over == "groups" and not observation.groups:
        raise VaelensError(
            f"these {observation.noun} have no groups of features; give the lens observation= with groups="
        )
    return "values" if over == "pixels" and not observation.is_image else over
