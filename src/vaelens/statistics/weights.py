"""The weights of the Poisson bootstrap, how often each image counts in each resample, from a seed, in image order."""

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelens.errors import VaelensError

BLOCK = 256  # images weighted at once: bounds the weights in memory to 256 x resamples
_RECENT = 4  # blocks of weights that are kept for the next accumulator


class Weights:
    """The weights of some images, on whatever device they are needed.

    Attributes:
        host: `(resamples, n)`, not to be written to.
    """

    def __init__(self, host: NDArray[np.float32]):
        self.host = host
        self._elsewhere: dict[torch.device, Tensor] = {}

    @cached_property
    def sums(self) -> NDArray[np.float32]:
        """How many images each resample has, `(resamples,)`."""
        return np.asarray(self.host.sum(axis=1))

    def on(self, device: torch.device) -> Tensor:
        """Returns the weights on a device, to which they are copied once."""
        if device.type == "cpu":
            return torch.from_numpy(self.host)
        if device not in self._elsewhere:
            self._elsewhere[device] = torch.from_numpy(self.host).to(device)
        return self._elsewhere[device]


_recent: dict[tuple[str, int, int], tuple[Weights, Any]] = {}


def poisson_weights(
    n: int, resamples: int = 1000, seed: int = 0, of: NDArray[Any] | None = None
) -> NDArray[np.float32]:
    """Returns the weights that a `BootstrapMean` with this seed takes for its first n images.

    For statistics that are not means over images: in a mean over pairs (i, j), say, the pair has the weight
    w_i · w_j in each resample.

    Args:
        n: number of images, 0 or more.
        resamples: number of bootstrap resamples, 0 or more.
        seed: seed of the weights, 0 or more.
        of: the images whose weights are asked for, (m,) ascending indices; all n by default. The weights of the others
            are not kept.

    Returns:
        `(resamples, m)` whole numbers 0, 1, 2, … with mean 1 and variance 1.

    Raises:
        VaelensError: if an argument is negative.

    Example:
        >>> poisson_weights(5, resamples=2)
        array([[1., 0., 3., 1., 1.],
               [0., 3., 1., 2., 0.]], dtype=float32)
    """
    if n < 0 or resamples < 0:
        raise VaelensError(f"n is {n} and resamples {resamples}; expected 0 or more of each")
    generator = generator_of(seed)
    if of is None:
        return _draw(generator, n, resamples)
    columns = [np.empty((resamples, 0), dtype=np.float32)]
    for start in range(0, n, BLOCK):
        block = _draw(generator, min(BLOCK, n - start), resamples)
        columns.append(block[:, of[(of >= start) & (of < start + BLOCK)] - start])
    return np.concatenate(columns, axis=1)


def generator_of(seed: int) -> np.random.Generator:
    """Builds the generator that the weights of a seed are drawn with.

    Raises:
        VaelensError: a negative seed.
    """
    if seed < 0:
        raise VaelensError(f"seed is {seed}; expected a whole number, 0 or more")
    return np.random.default_rng(seed)


def _draw(generator: np.random.Generator, n: int, resamples: int) -> NDArray[np.float32]:
    """Draws the next n images' weights, `(resamples, n)`."""
    # One image after the other, whole rows: the stream is then the same however the images are batched.
    return generator.poisson(1.0, size=(n, resamples)).astype(np.float32).T


def next_weights(generator: np.random.Generator, n: int, resamples: int) -> Weights:
    """Returns the next n images' weights.

    Accumulators side by side take the same weights of the same images: they are drawn for the first of them alone.
    """
    state = generator.bit_generator.state
    key = (repr(state), n, resamples)
    if key not in _recent:
        while len(_recent) >= _RECENT:
            _recent.pop(next(iter(_recent)))
        weights = Weights(_draw(generator, n, resamples))
        _recent[key] = weights, generator.bit_generator.state
    weights, generator.bit_generator.state = _recent[key]
    return weights
