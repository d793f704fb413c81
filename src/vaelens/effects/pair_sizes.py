"""How far apart the two images of each pair are, as reconstructions and in every latent."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vaelens.effects.outcomes import sizes as image_sizes
from vaelens.effects.posterior_changes import posterior_shift
from vaelens.effects.spread import by_unit
from vaelens.float64 import to_float64
from vaelens.lens import CachedRun
from vaelens.observation import Observation


@dataclass(frozen=True, eq=False)
class Reconstructed:
    """What a model makes of some images.

    Attributes:
        image: the reconstructions, (c, C, H, W).
        code: (c, d, *positions).
        logvar: the posteriors' log-variances, like the code; None where the encoder returns none.
    """

    image: Tensor
    code: Tensor
    logvar: Tensor | None

    @classmethod
    def of(cls, run: CachedRun) -> "Reconstructed":
        """Collects what a run made of its images."""
        return cls(run.image, run.code, run.logvar)

    def take(self, rows: Tensor) -> "Reconstructed":
        """Takes some of the images only, by their indices (k,) or a mask (c,)."""
        rows = rows.to(self.image.device)
        return Reconstructed(self.image[rows], self.code[rows], None if self.logvar is None else self.logvar[rows])

    def followed_by(self, others: "Reconstructed") -> "Reconstructed":
        """Joins these images and then others."""
        logvar = None if self.logvar is None or others.logvar is None else torch.cat([self.logvar, others.logvar])
        return Reconstructed(torch.cat([self.image, others.image]), torch.cat([self.code, others.code]), logvar)


@dataclass(frozen=True, eq=False)
class PairSizes:
    """How far apart the images of some pairs are, float64.

    Attributes:
        output: ‖D(mu(x')) − D(mu(x))‖₂ in pixel-L2, (c,).
        moves: ‖mu_j(x') − mu_j(x)‖₂ of each latent over its positions, (c, d).
        shifts: the same in standard deviations of the posteriors, (c, d); None where the encoder returns no variance.
    """

    output: Tensor
    moves: Tensor
    shifts: Tensor | None

    @classmethod
    def of(cls, before: Reconstructed, after: Reconstructed, observation: Observation) -> "PairSizes":
        """Measures the sizes of pairs, row by row, that of the output in the distance of these observations."""
        shifts = None
        if before.logvar is not None and after.logvar is not None:
            shifts = posterior_shift(before.code, before.logvar, after.code, after.logvar)
        output = image_sizes(to_float64(after.image - before.image), observation)
        return cls(output, by_unit(after.code - before.code).norm(dim=2), shifts)

    @property
    def latents(self) -> Tensor:
        """How far each latent moves, in posterior standard deviations where there are any, else as it is, (c, d)."""
        return self.moves if self.shifts is None else self.shifts

    @property
    def columns(self) -> Tensor:
        """The output's size and then each latent's, (c, 1 + d)."""
        return torch.cat([self.output[:, None], self.latents], dim=1)
