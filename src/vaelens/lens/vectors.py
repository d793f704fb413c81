"""Vectors as a user gives them, rows of finite numbers that do not depend on each other."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.errors import VaelensError

_INDEPENDENT = 1e-6  # the least singular value of vectors of length 1 that are not taken for dependent


def checked_rows(vectors: Any) -> Tensor:
    """Returns vectors as float64 rows, (k, units).

    Raises:
        VaelensError: anything else than a table of finite numbers.
    """
    try:
        plain = vectors.detach().cpu() if isinstance(vectors, Tensor) else np.asarray(vectors, dtype=float)
        rows = torch.as_tensor(plain).double()
    except (TypeError, ValueError) as error:
        raise VaelensError(f"the vectors of a direction are {vectors!r}; expected numbers (k, units)") from error
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or 0 in rows.shape:
        raise VaelensError(f"the vectors of a direction have shape {tuple(rows.shape)}; expected (k, units)")
    if not torch.isfinite(rows).all():
        raise VaelensError("the vectors of a direction contain NaN or infinite values; give finite numbers")
    return rows.clone()


def check_independent(vectors: Tensor) -> None:
    """Refuses vectors of length 1 that depend on each other linearly.

    Raises:
        VaelensError: they do.
    """
    rank = int((torch.linalg.svdvals(vectors) > _INDEPENDENT).sum())
    if rank < len(vectors):
        raise VaelensError(
            f"the {len(vectors)} directions are linearly dependent: they span {rank} dimensions, so coordinates along "
            "them are not defined; leave some out, or give each its own Direction"
        )
