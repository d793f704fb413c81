"""The check that every image of a batch has its partner in another."""

from typing import Any

from vaelens.errors import VaelensError
from vaelens.lens import Batch, Lens


def paired(base: Batch, other: Any, lens: Lens) -> Batch:
    """Checks that there are as many partner images as base images, and puts them in the base images' context.

    Raises:
        VaelensError: images out of range, or another number of them.
    """
    images = other.values if isinstance(other, Batch) else lens.check_images(other)
    if len(images) != len(base):
        raise VaelensError(f"{len(base)} base images but {len(images)} to pair them with; give one for each")
    return base.with_values(images)
