"""Natural codes, the standardised codes of images that codes after an intervention are compared with.

Distances to at most 1,024 of them are computed, in double precision and in blocks of rows.
"""

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.record import Array
from vaelens.float64 import to_float64

MOST = 1024  # codes that others are compared with
_QUANTILE = 0.95
_STREAM = 5  # of the seed
_ROWS = 256  # codes compared at once
_CONSTANT = 1e-9  # of the largest scale: what a latent that never varies is divided by


class NaturalCodes:
    """The codes of some images, each latent divided by its standard deviation.

    Args:
        codes: of all images, (n, d, *positions).
        scale: each latent's standard deviation over them, (d,).
        seed: draws 1,024 of more images.
    """

    def __init__(self, codes: Tensor, scale: Array, seed: int):
        images = np.arange(len(codes))
        if len(codes) > MOST:
            images = np.sort(np.random.default_rng((seed, _STREAM)).choice(images, MOST, replace=False))
        largest = float(scale.max()) or 1.0
        self.images = torch.as_tensor(images, device=codes.device)  # which of all images they are, (m,)
        self._scale = np.maximum(scale, _CONSTANT * largest)
        self._codes = self._standardised(codes[self.images])  # (m, d, positions)
        self.images = self.images.to(self._codes.device)

    def threshold(self) -> float:
        """Computes the 95th percentile of natural codes' distances to the nearest other one, NaN for one alone."""
        if len(self._codes) < 2:
            return float("nan")
        nearest = []
        for start in range(0, len(self._codes), _ROWS):
            block = self._codes[start : start + _ROWS]
            squares = self.squares(block)
            rows = torch.arange(len(block), device=squares.device)
            squares[rows, start + rows] = torch.inf
            nearest.append(squares.amin(dim=1))
        return float(np.quantile(torch.cat(nearest).clamp_(min=0).sqrt_().cpu().numpy(), _QUANTILE))

    def around(self, codes: Tensor) -> "Surroundings":
        """Surrounds some codes, (c, d, *positions), with all natural codes."""
        return Surroundings(self, self._standardised(codes))

    def neighbours(self, codes: Tensor, count: int) -> Tensor:
        """Finds for each image and latent the images whose other latents are nearest, (n, d, count or all others).

        Args:
            codes: of all images, (n, d, *positions).
            count: how many.
        """
        blocks = []
        for start in range(0, len(codes), _ROWS):
            around = self.around(codes[start : start + _ROWS])
            numbers = torch.arange(start, start + len(around.codes), device=self.images.device)
            itself = numbers[:, None] == self.images  # (c, m)
            by_latent = []
            for latent in range(codes.shape[1]):
                squares = around.without(latent).masked_fill(itself, torch.inf)
                nearest = squares.topk(min(count, len(self.images) - 1), dim=1, largest=False).indices
                by_latent.append(self.images[nearest])
            blocks.append(torch.stack(by_latent, dim=1))
        return torch.cat(blocks)

    def latent_squares(self, values: Tensor, latent: int) -> Tensor:
        """Computes squared distances of one latent's standardised values, (c, positions), to natural ones, (c, m)."""
        natural = self._codes[:, latent]
        if values.shape[1] == 1:
            return (values - natural.T).square_()
        return torch.cdist(values, natural).square_()

    def squares(self, codes: Tensor) -> Tensor:
        """Computes squared distances of standardised codes, (c, d, positions), to natural ones, (c, m)."""
        total = self.latent_squares(codes[:, 0], 0)
        for latent in range(1, codes.shape[1]):
            total += self.latent_squares(codes[:, latent], latent)
        return total

    def standardised_latent(self, codes: Tensor, latent: int) -> Tensor:
        """Standardises the values of one latent of codes, (c, d, *positions), to (c, positions)."""
        return to_float64(codes[:, latent].reshape(len(codes), -1)) / float(self._scale[latent])

    def _standardised(self, codes: Tensor) -> Tensor:
        return torch.stack([self.standardised_latent(codes, latent) for latent in range(codes.shape[1])], dim=1)


class Surroundings:
    """Some codes and their squared distances to natural ones.

    Args:
        natural: the natural codes.
        codes: standardised, (c, d, positions).
    """

    def __init__(self, natural: NaturalCodes, codes: Tensor):
        self._natural, self.codes = natural, codes
        self._total = natural.squares(codes)

    def without(self, latent: int) -> Tensor:
        """Computes squared distances by all latents but one, (c, m)."""
        return (self._total - self._natural.latent_squares(self.codes[:, latent], latent)).clamp_(min=0)

    def nearest(self, without: Tensor, changed: Tensor, latent: int) -> Tensor:
        """Computes the distance to the nearest natural code after a change of one latent, (c,).

        Args:
            without: what `without(latent)` returns.
            changed: the codes after the change, as they are, (c, d, *positions).
            latent: which is changed.
        """
        values = self._natural.standardised_latent(changed, latent)
        return (without + self._natural.latent_squares(values, latent)).amin(dim=1).sqrt_()
