"""Which other image each image takes its values from."""

import numpy as np

from vaelens.errors import VaelensError


def other_images(images: int, seed: int) -> np.ndarray:
    """Assigns to each image the index of another one, by a seeded permutation without a fixed point.

    Raises:
        VaelensError: fewer than two images, a negative seed.
    """
    if seed < 0:
        raise VaelensError(f"seed is {seed}; expected a whole number, 0 or more")
    if images < 2:
        raise VaelensError(f"values of another image are asked for, but {images} image was given; give at least 2")
    order = np.random.default_rng(seed).permutation(images)
    partner = np.empty(images, dtype=np.int64)
    partner[order] = np.roll(order, 1)  # one cycle through all images: nobody is their own partner
    return partner
