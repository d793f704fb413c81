"""Which latents carry anything: the spread of the codes and the KL of the posteriors."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from vaelens.effects.record import Array
from vaelens.models.posterior import ACTIVE_NATS

_ACTIVE_SPREAD = 1e-3


@dataclass(frozen=True, eq=False)
class Activity:
    """What the codes of some images say about each latent.

    Attributes:
        scale: s_i, the code's standard deviation over images (and positions), (d,).
        kl: mean over images of KL(q(z_i|x) || N(0, 1)) in nats, summed over positions, (d,); None where the encoder
            gives no variance.
        kl_each: the same of each image, (n, d), or None.
        active: kl above 0.01 nat; without a variance, scale above a thousandth of the largest, (d,).
    """

    scale: Array
    kl: Array | None
    active: Array
    kl_each: Array | None = None


def activity(mean: Tensor, logvar: Tensor | None) -> Activity:
    """Measure each latent's activity from the posteriors of some images.

    Args:
        mean: posterior means, (n, d, *positions).
        logvar: posterior log-variances, same shape, or None.
    """
    # One latent after the other: what is made on the way is then a d-th of the codes.
    scale = np.array([_scale(mean[:, latent].double()) for latent in range(mean.shape[1])])
    if logvar is None:
        return Activity(
            scale, None, (scale > _ACTIVE_SPREAD * scale.max()) if scale.max() > 0 else np.zeros(len(scale), bool)
        )
    each = np.stack([_kl(mean[:, i].double(), logvar[:, i].double()) for i in range(mean.shape[1])], axis=1)
    kl = each.mean(axis=0)
    return Activity(scale, kl, kl > ACTIVE_NATS, each)


def _scale(values: Tensor) -> float:
    # Of differences to the first, so that a code that never changes has a spread of exactly 0.
    return float((values - values.flatten()[0]).std(correction=0))


def _kl(mean: Tensor, logvar: Tensor) -> Array:
    return (0.5 * (mean.square() + logvar.exp() - logvar - 1)).reshape(len(mean), -1).sum(dim=1).cpu().numpy()
