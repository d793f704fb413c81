"""The batches a model is trained on. Batch t depends on the seed and on t alone, so training can go on anywhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelens.arguments import whole_number
from vaelens.errors import VaelensError
from vaelens.observation import Observation
from vaelens.shapes import Observations

LARGEST_BATCH = 2**30  # bytes of its images
_HELD_OUT = 0x5EED  # of the images held out, whatever the seed of a training


@runtime_checkable
class ImageSource(Protocol):
    """Anything that knows how many images it has and returns those asked for."""

    def __len__(self) -> int:
        """Returns how many images there are."""
        ...

    def images_at(self, indices: NDArray[np.int64], /) -> Tensor:
        """Returns the images at the indices, float32 `(n, c, h, w)` in [0, 1]."""
        ...


@dataclass(frozen=True)
class TensorImages:
    """A tensor of images, as a source."""

    images: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def images_at(self, indices: NDArray[np.int64]) -> Tensor:
        """Returns the images at the indices."""
        return self.images[torch.from_numpy(indices).to(self.images.device)]


def as_source(data: Any, observation: Observation) -> ImageSource:
    """Wraps the data as a source of images.

    Raises:
        VaelensError: if it is neither a source nor a tensor of images, or holds none.
    """
    if isinstance(data, Tensor):
        if data.is_meta or data.is_nested or data.layout != torch.strided or data.ndim == 0 or data.is_quantized:
            what = "without values (meta)" if data.is_meta else f"of {data.dtype}, {data.layout}"
            raise VaelensError(f"data is a tensor {what}; expected a dense float32 tensor {observation.batch}")
        data = TensorImages(data)
    if not isinstance(data, ImageSource):
        raise VaelensError(
            f"data is of type {type(data).__name__}; expected a float32 tensor {observation.batch} or a dataset: an "
            "object with len(data) and data.images_at(indices)"
        )
    if len(data) == 0:
        raise VaelensError(f"data holds no {observation.noun}; expected at least one")
    return data


def check_batch_size(batch_size: Any, observation: Observation) -> int:
    """Returns the batch size as an int.

    Raises:
        VaelensError: if it is no whole number of at least 1, or the images of a batch would take more than 1 GiB.
    """
    number = whole_number("batch_size", batch_size, 1)
    most = max(1, LARGEST_BATCH // (4 * observation.size))
    if number > most:
        raise VaelensError(
            f"batch_size is {number}; expected at most {most}, as the {observation.noun} of a batch may take "
            f"{LARGEST_BATCH // 2**30} GiB"
        )
    return number


@dataclass(frozen=True)
class Batch:
    """The images of one step, and the seed its posterior noise is drawn with."""

    step: int
    """The steps before it."""
    images: Observations
    noise_seed: int


@dataclass(frozen=True)
class Batches:
    """The batches of steps `start` to `stop`, drawn uniformly and checked on the way.

    The images of one batch differ, which stratified sampling takes for granted; in a batch of more images than there
    are, all are drawn anew each time.
    """

    source: ImageSource
    observation: Observation
    batch_size: int
    seed: int
    start: int
    stop: int
    held_out: int = 0
    """How many of the images no batch holds: see `held_out_rows`."""

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[Batch]:
        return (self.at(step) for step in range(self.start, self.stop))

    def at(self, step: int) -> Batch:
        """Returns the batch of that step (the first step is 0).

        Raises:
            VaelensError: if the images' type, shape or range is wrong.
        """
        indices, generator = _drawn(self.seed, step, len(self.source), self.batch_size, self.held_out)
        images = self.source.images_at(indices)
        check_images(images, self.batch_size, self.observation)
        return Batch(step, images, int(generator.integers(2**63)))


def batch_indices(seed: int, step: int, count: int, batch_size: int, held_out: int = 0) -> NDArray[np.int64]:
    """Returns which of so many images are in the batch of that step."""
    return _drawn(seed, step, count, batch_size, held_out)[0]


def held_out_rows(count: int, held_out: int) -> NDArray[np.int64]:
    """Returns which of so many images are held out, in order, the same for every model, seed and number of steps.

    Those of a smaller number held out are among those of a larger one.
    """
    return np.sort(_held_out_first(count)[:held_out])


def check_held_out(held_out: Any, count: int) -> int:
    """Returns the number of images held out, as an int.

    Raises:
        VaelensError: if it is no whole number from 0 that leaves an image to train on.
    """
    number = whole_number("held_out", held_out, 0)
    if number >= count:
        raise VaelensError(f"held_out is {number} and the data has {count} images; leave some to train on")
    return number


def _drawn(
    seed: int, step: int, count: int, batch_size: int, held_out: int
) -> tuple[NDArray[np.int64], np.random.Generator]:
    generator = np.random.default_rng((seed, step))
    left = count - held_out
    indices = generator.choice(left, size=batch_size, replace=batch_size > left)
    return (_training_rows(count, held_out)[indices] if held_out else indices), generator


@lru_cache(maxsize=4)
def _training_rows(count: int, held_out: int) -> NDArray[np.int64]:
    return np.sort(_held_out_first(count)[held_out:])


def _held_out_first(count: int) -> NDArray[np.int64]:
    """Orders the images, those to be held out first."""
    return np.random.default_rng((_HELD_OUT, count)).permutation(count)


def check_images(images: Any, count: int, observation: Observation) -> None:
    """Refuses what is not a float32 tensor of that shape with values in the range that there is.

    Raises:
        VaelensError: saying what came.
    """
    shape = (count, *observation.shape)
    if not isinstance(images, Tensor):
        kind = type(images).__name__
        raise VaelensError(f"the data gives {observation.noun} of type {kind}; expected a float32 tensor {shape}")
    if images.dtype != torch.float32:
        ranged = "" if observation.low is None else f", with values in {observation.span}"
        raise VaelensError(f"the data gives {observation.noun} of {images.dtype}; expected torch.float32{ranged}")
    if tuple(images.shape) != shape:
        raise VaelensError(
            f"the data gives {tuple(images.shape)} for a batch; this model expects {shape}: build it with the "
            "image_shape of the data"
        )
    low, high = (bound.item() for bound in torch.aminmax(images))
    observation.check_range(low, high)
