"""Pairs of images: the check that every image has its partner."""

from typing import Any

from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens import Lens


def paired(base: Tensor, other: Any, lens: Lens) -> Tensor:
    """The partner images, checked to be as many as the base images.

    Raises:
        VaelensError: images out of range, or another number of them.
    """
    images = lens.check_images(other)
    if len(images) != len(base):
        raise VaelensError(f"{len(base)} base images but {len(images)} to pair them with; give one for each")
    return images
