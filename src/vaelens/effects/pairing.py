"""Pairs of images: the check that every image has its partner."""

from typing import Any

from vaelens.errors import VaelensError
from vaelens.lens import Batch, Lens


def paired(base: Batch, other: Any, lens: Lens) -> Batch:
    """The partner images, checked to be as many as the base images, in the base images' context.

    Raises:
        VaelensError: images out of range, or another number of them.
    """
    images = other.values if isinstance(other, Batch) else lens.check_images(other)
    if len(images) != len(base):
        raise VaelensError(f"{len(base)} base images but {len(images)} to pair them with; give one for each")
    return base.with_values(images)
