"""How a codebook is used on some images: how many codes, how evenly, and at which positions."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from vaelens.effects.record import Array


@dataclass(frozen=True, eq=False)
class CodeUse:
    """What the chosen codes of some images say about the codebook.

    Attributes:
        counts: how often each code of the codebook is chosen, over images and positions, (K,).
        used: how many different codes each position takes over the images, (positions,).
        entropy: of each position's code over the images, in nats, (positions,): 0 where it is always the same,
            log(used) where all are as frequent.
    """

    counts: Array
    used: Array
    entropy: Array

    @property
    def codes_used(self) -> int:
        """How many codes of the codebook are chosen at all."""
        return int((self.counts > 0).sum())

    @property
    def perplexity(self) -> float:
        """exp(H) of all the codes chosen, from 1 to `codes_used`: how many evenly used codes would be as varied."""
        return float(np.exp(_entropy(self.counts)))


def code_use(indices: Tensor, codes: int) -> CodeUse:
    """Count the codes that some images choose.

    Args:
        indices: (n, *positions).
        codes: how many codes the codebook has.

    Example:
        >>> import torch
        >>> use = code_use(torch.tensor([[0, 2], [1, 2]]), codes=4)
        >>> use.counts.tolist(), use.used.tolist(), round(use.perplexity, 4)
        ([1, 1, 2, 0], [2, 1], 2.8284)
    """
    chosen = indices.reshape(len(indices), -1).cpu().numpy()  # (n, positions)
    by_position = [np.unique(column, return_counts=True)[1] for column in chosen.T]
    return CodeUse(
        np.bincount(chosen.ravel(), minlength=codes),
        np.array([len(counts) for counts in by_position]),
        np.array([_entropy(counts) for counts in by_position]),
    )


def _entropy(counts: Array) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum()) + 0.0  # not −0 where one code takes all
