"""Which latents carry anything, by the spread of the codes and the KL of the posteriors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.record import RESAMPLES, Array, Interval
from vaelens.errors import VaelensError
from vaelens.float64 import to_float64
from vaelens.models.posterior import ACTIVE_NATS
from vaelens.statistics import BootstrapMean, percentile_interval

_ACTIVE_SPREAD = 1e-3
_BLOCK = 256  # images whose moments are taken at once


@dataclass(frozen=True, eq=False)
class Activity:
    """What the codes of some images say about each latent.

    Attributes:
        scale: s_i, the code's standard deviation over images (and positions), (d,).
        kl: mean over images of KL(q(z_i|x) || N(0, 1)) in nats, summed over positions, (d,); None where the encoder
            gives no variance.
        active: kl above 0.01 nat; without a variance, scale above a thousandth of the largest, (d,).
        posterior_scale: √E σ_i², the standard deviation of the posteriors, (d,); None without a variance.
    """

    scale: Array
    kl: Array | None
    active: Array
    posterior_scale: Array | None = None

    @property
    def resolution(self) -> Array:
        """The posteriors' standard deviation, or else the code's, as the unit of a code's change, (d,)."""
        return self.scale if self.posterior_scale is None else self.posterior_scale

    @property
    def unit_scaled(self) -> bool:
        """Whether the latents are on the scale of the prior, as the aggregated posterior says.

        The root mean square of √(s_i² + E σ_i²) over the active latents is then from 1/3 to 3. True if none is active.
        """
        noise = 0.0 if self.posterior_scale is None else self.posterior_scale[self.active] ** 2
        variance = self.scale[self.active] ** 2 + noise
        return not variance.size or bool(1 / 9 <= variance.mean() <= 9)


class RunningActivity:
    """Which latents are active over images that come a chunk at a time."""

    def __init__(self) -> None:
        self._images = 0
        self._nats: Tensor | None = None  # summed over images, (d,); None where the encoder gives no variance

    def add(self, mean: Tensor, logvar: Tensor | None, times: int = 1) -> None:
        """Adds the posteriors of some images, each counted `times` times, on their device."""
        self._images += times * len(mean)
        if logvar is not None:
            nats = times * divergence(mean, logvar).sum(dim=0)
            self._nats = nats if self._nats is None else self._nats + nats

    def active(self, scale: Array) -> Array:
        """Marks the active latents as `Activity.active` does, by the codes' spread where there is no variance, (d,)."""
        if self._nats is None:
            return spread_out(scale)
        return self._nats.cpu().numpy() / self._images > ACTIVE_NATS


def activity(mean: Tensor, logvar: Tensor | None, prior_scale: Tensor | None = None) -> Activity:
    """Measures each latent's activity from the posteriors of some images.

    Args:
        mean: posterior means, (n, d, *positions).
        logvar: posterior log-variances, same shape, or None.
        prior_scale: the prior's standard deviation of each latent, (d,); None where it is 1.
    """
    # One latent after the other: in double precision there is then a d-th of the codes at a time.
    latents = range(mean.shape[1])
    scale = torch.stack([_scale(to_float64(mean[:, latent])) for latent in latents]).cpu().numpy()
    if logvar is None:
        return Activity(scale, None, spread_out(scale))
    own = standardised(mean, logvar, prior_scale)
    kl = np.sum([block.sum(axis=0) for block in divergences(own[0], own[1])], axis=0) / len(mean)  # pyright: ignore
    variance = torch.stack([to_float64(logvar[:, latent]).exp().mean() for latent in latents]).cpu().numpy()
    return Activity(scale, kl, kl > ACTIVE_NATS, np.sqrt(variance))


def standardised(mean: Tensor, logvar: Tensor | None, prior_scale: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Expresses posterior means and log-variances in standard deviations of the prior, (n, d, *positions) each."""
    if prior_scale is None:
        return mean, logvar
    scale = prior_scale.reshape(1, -1, *[1] * (mean.ndim - 2))
    return mean / scale, None if logvar is None else logvar - 2 * scale.log()


def divergences(mean: Tensor, logvar: Tensor) -> Iterator[Array]:
    """Yields KL(q(z_i|x) || N(0, 1)) of each image in nats, summed over positions, (block, d) for each block."""
    for means, logvars in zip(mean.split(_BLOCK), logvar.split(_BLOCK), strict=True):
        yield divergence(means, logvars).cpu().numpy()


def divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """Computes KL(q(z_i|x) || N(0, 1)) of each image in nats, summed over positions, float64 (n, d)."""
    mean, logvar = to_float64(mean), to_float64(logvar)
    nats = 0.5 * (mean.square() + logvar.exp() - logvar - 1)
    return nats.reshape(*nats.shape[:2], -1).sum(dim=2)


def active_count_interval(mean: Tensor, logvar: Tensor | None, seed: int, units: int | None = None) -> Interval:
    """Computes the 95 % bootstrap interval over images of how many latents are active, its ends whole numbers.

    Args:
        mean: posterior means, (n, d, *positions).
        logvar: posterior log-variances, same shape, or None.
        seed: of the bootstrap resamples.
        units: how many of the latents, the first, are counted; None for all.
    """
    latents = (mean.shape[1],)
    if logvar is not None:
        kl = BootstrapMean(latents, RESAMPLES, seed)
        for block in divergences(mean, logvar):
            kl.update(block)
        active = kl.replicates > ACTIVE_NATS  # (resamples, d)
    else:
        first, second = (BootstrapMean(latents, RESAMPLES, seed) for _ in range(2))
        origin = to_float64(mean[:1].reshape(1, latents[0], -1)[:, :, :1])  # one for all positions
        for block in mean.split(_BLOCK):
            values = to_float64(block.reshape(len(block), latents[0], -1)) - origin
            first.update(values.mean(dim=2))
            second.update(values.square().mean(dim=2))
        variance = np.maximum(second.replicates - first.replicates**2, 0)
        active = spread_out(np.sqrt(variance))
    low, high = percentile_interval(active[:, :units].sum(axis=1), images=len(mean))
    return np.asarray(np.floor(low)), np.asarray(np.ceil(high))


def checked_active(active: Any, latents: int) -> Array | None:
    """Checks which latents a user takes for active, (d,) of bool. None leaves that to the images.

    Raises:
        VaelensError: no True or False for each latent.
    """
    if active is None:
        return None
    flags = np.asarray(active)
    if flags.dtype != bool or flags.shape != (latents,):
        raise VaelensError(f"active is {active!r}; expected True or False for each of the {latents} latents")
    return flags


def spread_out(scale: Array) -> Array:
    """Marks the latents whose spread, along the last axis, exceeds a thousandth of the largest."""
    return np.asarray(scale > _ACTIVE_SPREAD * scale.max(axis=-1, keepdims=True))


def _scale(values: Tensor) -> Tensor:
    # Of differences to the first, so that a code that never changes has a spread of exactly 0.
    return (values - values.flatten()[0]).std(correction=0)
