"""How far apart the reconstructions and codes of two random images are, which have nothing in common.

Costs no run: images that were run for something else are paired up, two by two in their order.
"""

import numpy as np
import torch

from vaelens.effects.pair_sizes import PairSizes, Reconstructed
from vaelens.effects.record import Array
from vaelens.observation import Observation
from vaelens.statistics import BootstrapMean


class RandomPairs:
    """The mean distance of images 0 and 1, 2 and 3, … of a random sequence, an image and itself left out.

    Args:
        latents: how many latents there are.
        observation: what the images are.
        seed: of the bootstrap resamples.
    """

    def __init__(self, latents: int, observation: Observation, seed: int):
        self._observation = observation
        self.sizes = BootstrapMean((1 + latents,), seed=seed)  # the output's and then each latent's
        self._waiting: tuple[Reconstructed, Array] | None = None  # the last image, where it has no partner yet

    def add(self, images: Reconstructed, numbers: Array) -> None:
        """Adds the next images of the sequence.

        Args:
            images: (c, …).
            numbers: by which the same image is told, (c,) or (c, K).
        """
        if self._waiting is not None:
            images, numbers = self._waiting[0].followed_by(images), np.concatenate([self._waiting[1], numbers])
        pairs = len(numbers) // 2
        first, second = np.arange(pairs) * 2, np.arange(pairs) * 2 + 1
        self._waiting = None
        if len(numbers) % 2:
            self._waiting = images.take(torch.tensor([len(numbers) - 1])), numbers[-1:]
        differ = numbers[first] != numbers[second]
        apart = differ.reshape(pairs, -1).any(axis=1) if pairs else np.zeros(0, dtype=bool)
        first, second = (torch.from_numpy(rows[apart]) for rows in (first, second))
        if len(first):
            self.sizes.update(PairSizes.of(images.take(first), images.take(second), self._observation).columns)
