"""The part of a direction that nothing behind its site sees, in the null space of the next linear maps."""

from collections.abc import Sequence

import torch
from torch import Tensor


def unseen_projector(matrices: Sequence[Tensor], eps: float) -> Tensor:
    """Computes the orthogonal projector on the null space that some matrices share, float64 (units, units).

    Args:
        matrices: float64 (outputs, units) each.
        eps: of the type that the weights are in: singular values are 0 below it, times the longer side, times the
            largest one.
    """
    stacked = torch.cat(list(matrices))
    units = stacked.shape[1]
    if len(stacked) > units:
        _, stacked = torch.linalg.qr(stacked, mode="r")
    _, values, rows = torch.linalg.svd(stacked, full_matrices=False)
    seen = rows[values > eps * max(stacked.shape) * values.max()]
    return torch.eye(units, dtype=torch.float64) - seen.T @ seen


def unseen_share(projector: Tensor, vectors: Tensor) -> float:
    """Computes the share of a subspace in the null space, tr(P_null P_W) / k, in [0, 1].

    Of one direction that is ‖P_null w‖² / ‖w‖².

    Args:
        projector: as `unseen_projector` returns it.
        vectors: that span the subspace, float64 (k, units).
    """
    orthonormal, _ = torch.linalg.qr(vectors.T)
    return min(1.0, max(0.0, float((projector @ orthonormal).square().sum() / len(vectors))))
