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
        active: kl above 0.01 nat; without a variance, scale above a thousandth of the largest, (d,).
    """

    scale: Array
    kl: Array | None
    active: Array


def activity(mean: Tensor, logvar: Tensor | None) -> Activity:
    """Measure each latent's activity from the posteriors of some images.

    Args:
        mean: posterior means, (n, d, *positions).
        logvar: posterior log-variances, same shape, or None.
    """
    codes = mean.double().flatten(2) if mean.ndim > 2 else mean.double()[:, :, None]  # (n, d, p)
    values = codes.permute(1, 0, 2).flatten(1)  # (d, n · p)
    # Of differences to the first, so that a code that never changes has a spread of exactly 0.
    scale = (values - values[:, :1]).std(dim=1, correction=0).cpu().numpy()
    if logvar is None:
        return Activity(
            scale, None, (scale > _ACTIVE_SPREAD * scale.max()) if scale.max() > 0 else np.zeros(len(scale), bool)
        )
    spread = logvar.double().reshape(codes.shape)
    kl = 0.5 * (codes.square() + spread.exp() - spread - 1).sum(dim=2).mean(dim=0).cpu().numpy()
    return Activity(scale, kl, kl > ACTIVE_NATS)
