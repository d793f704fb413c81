"""The images that a lens is given: the example it finds its sites with, and what a model takes."""

from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.adapters import Adapter
from vaelens.lens.description import name_of
from vaelens.observation import checked_images

ImagesLike = Tensor | NDArray[Any]  # (n, C, H, W) in [0, 1]

_ENOUGH = 3  # images: batches of two and of three tell the batch axis


def example_for(model: nn.Module, adapter: Adapter, example: ImagesLike | None, like: Tensor) -> Tensor:
    """Return a few images to find the sites with: those that are given, or the model's own.

    Raises:
        VaelensError: none are given, and the model does not state their shape; they are no images, or have another
            number of channels than it takes.
    """
    if example is None and adapter.example is None:
        raise VaelensError(
            f"a {type(model).__name__} does not state the shape of its images, and a lens finds its sites by running a "
            "few: give example=images, one or more of shape (n, C, H, W) in [0, 1]"
        )
    images = adapter.example if example is None else checked_images(example)
    if adapter.channels is not None:
        check_channels(images, adapter.channels, name_of(model))
    return images[:_ENOUGH].to(like)


def check_channels(images: Tensor, wanted: int, model: str) -> None:
    """Refuse images, (n, C, H, W), of another number of channels than a model takes.

    Raises:
        VaelensError: see above.
    """
    channels = images.shape[1]
    if channels != wanted:
        way = f"grey ones go in as x.expand(-1, {wanted}, -1, -1)" if channels == 1 else f"give images of {wanted}"
        raise VaelensError(f"images have {channels} channel{'s' * (channels > 1)}, this {model} takes {wanted}; {way}")
