"""The entropy of where outputs change, from which specificity is computed."""

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.record import Array


def entropies(change: Array, weights: Tensor | None = None) -> Array:
    """Computes H in nats of the distribution proportional to the last axis, NaN where nothing changes.

    Args:
        change: |Δ_o|, (…, n), at least 0.
        weights: how much a change of each output by 1 counts, (n,); None for all alike.

    Example:
        >>> entropies(np.array([[1.0, 1.0], [0.0, 0.0]])).round(4)
        array([0.6931,    nan])
    """
    p = torch.from_numpy(change) if weights is None else torch.from_numpy(change) * weights
    return np.asarray(torch.special.entr(p / p.sum(dim=-1, keepdim=True)).sum(dim=-1))


def row_specificities(change: Tensor, weights: Tensor | None = None, rounding: Tensor | None = None) -> Tensor:
    """Computes 1 − H / log n of each row of n outputs, 0 where nothing changes, and whether anything does, (c, 2).

    Args:
        change: |Δ_o|, (c, n), at least 0.
        weights: how much a change of each output by 1 counts, (n,); None for all alike.
        rounding: up to what largest |Δ_o|, weighted, a row has not changed, (c,), as `rounding_of` tells it; 0 by
            default.

    Example:
        >>> row_specificities(torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 0.0]])).tolist()
        [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    """
    if weights is not None:
        change = change * weights.to(change)
    total = change.sum(dim=1)
    changed = total > 0 if rounding is None else change.amax(dim=1) > rounding
    safe = torch.where(changed, total, 1)
    # Of x/T the entropy is log T − Σ x log x / T: one pass over the outputs.
    entropy = safe.log() + torch.special.entr(change).sum(dim=1) / safe
    widest = float(np.log(change.shape[1])) if change.shape[1] > 1 else float("nan")
    specificity = torch.where(changed, (1 - entropy / widest).clamp(0, 1), 0)
    return torch.stack([specificity, changed.to(specificity)], dim=1)


def rounding_of(outputs: Tensor) -> Tensor:
    """Computes by how much an output may differ between two runs on the same code, for each row, (c,).

    A processor that takes other kernels for other numbers of rows, as a GPU does, rounds otherwise.

    Args:
        outputs: of one run, (c, ...).
    """
    return 4 * torch.finfo(outputs.dtype).eps * outputs.flatten(1).abs().amax(dim=1)
