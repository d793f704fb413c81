"""How many codes of a codebook some images use, how evenly, and at which positions."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from torch import Tensor

from vaelens.effects.record import LEVEL, Array
from vaelens.statistics import half_sample_interval, half_samples

_BLOCK = 256  # images whose codes are marked at once


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
        """How many evenly used codes would be as varied, exp(H) of all the codes chosen, from 1 to `codes_used`."""
        return float(np.exp(_entropy(self.counts)))


def code_use(indices: Tensor, codes: int) -> CodeUse:
    """Counts the codes that some images choose.

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


def codes_used_high(indices: Tensor, codes: int) -> float:
    """Estimates from above how many codes any number of images would use.

    Chao's estimate from the Q₁ codes that occur in one image alone and the Q₂ that occur in two,

        T = (n − 1)/n · Q₁(Q₁ − 1) / (2(Q₂ + 1))   more than the codes seen,

    and the upper end of its 95 % log-normal interval, at most the size of the codebook.

    Args:
        indices: (n, *positions).
        codes: K, how many codes the codebook has.

    Returns:
        The upper end, a whole number; NaN for one image.

    References:
        Estimating the population size for capture-recapture data with unequal catchability (Chao, 1987), in its
        bias-corrected form.
    """
    n = len(indices)
    if n < 2:
        return float("nan")
    images = np.zeros(codes, dtype=np.int64)  # in how many each code occurs
    for block in indices.reshape(n, -1).split(_BLOCK):
        marked = np.zeros((len(block), codes), dtype=bool)
        np.put_along_axis(marked, block.long().cpu().numpy(), True, axis=1)
        images += marked.sum(axis=0)
    used, single, double = int((images > 0).sum()), int((images == 1).sum()), int((images == 2).sum())  # Q₁, Q₂
    share, rarer = (n - 1) / n, double + 1
    more = share * single * (single - 1) / (2 * rarer)
    if not more:
        return float(used)
    spread = single * (2 * single - 1) ** 2 / (2 * rarer) ** 2 + double * (single * (single - 1)) ** 2 / (4 * rarer**4)
    variance = more + share**2 * spread
    reach = np.exp(norm.ppf((1 + LEVEL) / 2) * np.sqrt(np.log1p(variance / more**2)))
    return float(min(np.ceil(used + more * reach), codes))


def perplexity_interval(indices: Tensor, use: CodeUse, seed: int) -> tuple[float, float]:
    """Computes a 95 % interval of the codes' perplexity from random halves of the images (`half_sample_interval`).

    Args:
        indices: (n, *positions).
        use: what `code_use` counted in them.
        seed: draws the halves.

    Returns:
        Lower and upper end, within 1 and the size of the codebook; NaN for one image.
    """
    if len(indices) < 2:
        return float("nan"), float("nan")
    chosen = indices.reshape(len(indices), -1).cpu().numpy()
    halves = [
        np.exp(_entropy(np.bincount(chosen[half].ravel(), minlength=len(use.counts))))
        for half in half_samples(len(chosen), seed=seed)
    ]
    low, high = half_sample_interval(use.perplexity, halves)
    return float(max(low, 1.0)), float(min(high, len(use.counts)))


def _entropy(counts: Array) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum()) + 0.0  # not −0 where one code takes all
