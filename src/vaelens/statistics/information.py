"""How much the latents of Gaussian posteriors tell about the image, in nats.

Costs points · images exponentials a latent: two thousand points among a thousand images take some 40 ms each. Memory
grows with images · latents; the densities are summed a block of points at a time.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from vaelens.errors import VaelensError
from vaelens.statistics.bootstrap import BootstrapMean
from vaelens.statistics.weights import generator_of

_CELLS = 2**20  # densities held at once


@dataclass(frozen=True, eq=False)
class Information:
    """What each latent tells about the image, with an interval over images.

    Attributes:
        nats: (d,), 0 or more.
        low: lower end of the interval, (d,).
        high: upper end, (d,).
        limit: log n, which no estimate from n images exceeds.
        images: how many images the points were drawn from.
        draws: points an image.
    """

    nats: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    limit: float
    images: int
    draws: int


def posterior_information(
    mean: ArrayLike, logvar: ArrayLike, points: int = 2048, seed: int = 0, level: float = 0.95
) -> Information:
    """Estimates the mutual information of the image and each latent, drawn from its posterior.

    I(x; z_i) = E_x E_{z ~ q(z_i|x)} log q(z_i|x) / q(z_i), with q(z_i|x) = N(mean, exp(logvar)) and q(z_i) the mixture
    of the posteriors of all images. Unlike KL(q(z_i|x) || N(0, 1)) = I(x; z_i) + KL(q(z_i) || N(0, 1)), it is 0 for a
    latent whose posterior is the same for all images, wherever that lies, and unchanged when a latent is shifted or
    scaled. The information of a latent with positions is that of all its positions together.

    The mixture holds the image's own posterior: the estimate is of the information about which of the n images it is,
    never above log n, and on average below that of the distribution that the images come from. The gap is about
    e^I / n nats while e^I is far below n; where I comes near log n, more images would show more.

    Args:
        mean: `(n, d, *positions)`, the posteriors' means.
        logvar: the same of log-variances.
        points: z drawn in all: each of n images has points // n, at least one; of more images than points as many as
            there are points are drawn from, by `seed`. The noise is stratified over points. The mixture is always of
            all n.
        seed: of the noise and of the images, 0 or more.
        level: probability that an interval covers, in (0, 1).

    Returns:
        An `Information`. Intervals are of the bootstrap over images and stay within 0 and log n; NaN for one image.

    Raises:
        VaelensError: arrays whose shapes do not match, or that hold no finite numbers; an argument out of range.

    References:
        ELBO surgery: yet another way to carve up the variational evidence lower bound (Hoffman, Johnson, 2016).

    Example:
        >>> mean = np.repeat([[0.0, 5.0], [9.0, 5.0]], 50, axis=0)  # two far groups of images; the same for all
        >>> information = posterior_information(mean, np.zeros((100, 2)))
        >>> (information.nats / np.log(2)).round(6)
        array([1., 0.])
    """
    mean, logvar = _checked(mean, logvar)
    if points < 1:
        raise VaelensError(f"points is {points}; expected 1 or more, usually 2048")
    generator = generator_of(seed)
    n, d, positions = mean.shape
    drawn = np.arange(n) if points >= n else np.sort(generator.choice(n, points, replace=False))
    draws = max(1, points // n)
    rows = np.repeat(drawn, draws)
    gains = np.empty((len(drawn), d))
    for latent in range(d):
        noise = np.stack([_stratified(len(rows), generator) for _ in range(positions)], axis=1)
        gain = _gains(mean[:, latent], logvar[:, latent], rows, noise)
        gains[:, latent] = gain.reshape(len(drawn), draws).mean(axis=1)
    total = BootstrapMean((d,), seed=seed)
    total.update(gains)
    low, high = total.interval(level)
    limit = float(np.log(n))
    nats, low, high = (np.clip(value, 0, limit) for value in (total.mean, low, high))
    return Information(nats, low, high, limit, len(drawn), draws)


def _checked(
    mean: ArrayLike, logvar: ArrayLike
) -> tuple[Float[np.ndarray, "n d positions"], Float[np.ndarray, "n d positions"]]:
    """Checks both and returns them as float64, with one axis of positions."""
    means, logvars = np.asarray(mean, dtype=np.float64), np.asarray(logvar, dtype=np.float64)
    if means.ndim < 2 or means.size == 0 or means.shape != logvars.shape:
        raise VaelensError(
            f"mean has shape {means.shape} and logvar {logvars.shape}; expected (n, d, *positions) of both, one row "
            "for each image"
        )
    for name, values in (("mean", means), ("logvar", logvars)):
        if not np.isfinite(values).all():
            raise VaelensError(
                f"{name} holds {int((~np.isfinite(values)).sum())} of {values.size} values that are not finite; "
                "expected finite numbers; check the encoder"
            )
    shape = (*means.shape[:2], -1)
    return means.reshape(shape), logvars.reshape(shape)


def _stratified(points: int, generator: np.random.Generator) -> Float[np.ndarray, " points"]:
    """Draws standard normal noise, one value of each of `points` equally likely ranges, in random order."""
    ranks = generator.permutation(points) + generator.random(points)
    return np.asarray(ndtri(np.clip(ranks / points, 1e-12, 1 - 1e-12)))


def _gains(
    mean: Float[np.ndarray, "n positions"],
    logvar: Float[np.ndarray, "n positions"],
    rows: Int[np.ndarray, " points"],
    noise: Float[np.ndarray, "points positions"],
) -> Float[np.ndarray, " points"]:
    """Computes log q(z|x) / q(z) at the points z of one latent that the images `rows` give with this noise."""
    z = mean[rows] + np.exp(logvar[rows] / 2) * noise
    # Both without the factor 2π, which cancels.
    own = -(noise**2 + logvar[rows]).sum(axis=1) / 2
    precision, constant = np.exp(-logvar / 2), -logvar.sum(axis=1) / 2
    mixture = np.empty(len(rows))
    block = max(1, _CELLS // len(mean))
    for start in range(0, len(rows), block):
        block_z = z[start : start + block]
        log_density = np.broadcast_to(constant, (len(block_z), len(mean))).copy()
        for position in range(mean.shape[1]):
            distance = block_z[:, position, None] - mean[:, position]
            distance *= precision[:, position]
            distance *= distance
            distance /= 2
            log_density -= distance
        largest = log_density.max(axis=1, keepdims=True)
        log_density -= largest
        np.exp(log_density, out=log_density)
        mixture[start : start + block] = largest[:, 0] + np.log(log_density.mean(axis=1))
    return own - mixture
