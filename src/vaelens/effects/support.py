"""The support of interventions, the share of their codes that are as near to images' codes as those to one another."""

import torch
from torch import Tensor

from vaelens.effects.codes import Codes
from vaelens.effects.natural_codes import NaturalCodes
from vaelens.effects.record import RESAMPLES
from vaelens.effects.replacements import Replacements
from vaelens.statistics import BootstrapMean

_ROWS = 128  # codes compared at once


def support(codes: Codes, plan: Replacements, images: Tensor, seed: int) -> list[BootstrapMean]:
    """Measures the share of each latent's intervened codes within the support, an accumulator (values,) each.

    A code lies within it where its distance to the nearest code mu(x) of an image, in standard deviations of the code,
    is within the 95th percentile of the distances of such codes to the nearest other one.

    Args:
        codes: of all images.
        plan: interventions on latents.
        images: those that were intervened on, in the order of the sweep, (m,).
        seed: draws 1,024 of more natural codes, and the bootstrap weights.
    """
    natural = NaturalCodes(codes.z, codes.activity.scale, seed)
    threshold = natural.threshold() * (1 + 1e-9)
    within = [BootstrapMean((len(plan.labels),), RESAMPLES, seed) for _ in range(plan.units)]
    for rows in images.split(_ROWS):
        around = natural.around(codes.z[rows])
        for latent, total in enumerate(within):
            without = around.without(latent)
            shares = without.new_empty(len(rows), len(plan.labels))
            for k in range(len(plan.labels)):
                distance = around.nearest(without, plan.changed(rows, latent, k), latent)
                shares[:, k] = distance <= threshold if len(codes.z) > 1 else torch.nan
            total.update(shares)
    return within
