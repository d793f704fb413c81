"""A basis of a site's units, and the coordinates of activations along it by least squares.

Its given vectors come first, then what is orthogonal to all of them. With rows w_i, an activation a = Σ y_i w_i + rest;
the y_i are those that leave the least rest, and setting one of them moves the activation along its own vector alone.
"""

from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor


def whole_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Returns a context in which products keep the type of their operands, also where an autocast is on."""
    lowered = torch.is_autocast_enabled(device.type)
    return torch.autocast(device.type, enabled=False) if lowered else nullcontext()


class Basis:
    """Vectors of a site's units, and the coordinates of activations along them.

    Args:
        vectors: linearly independent rows, float64 (k, units).

    Attributes:
        vectors: as given.

    Example:
        >>> basis = Basis(torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]], dtype=torch.float64))
        >>> basis.coordinates(torch.tensor([[2.0, 4.0, 7.0]])).round(decimals=5).tolist()
        [[-1.0, 5.0]]
        >>> basis.along(torch.tensor([[0.0, 1.0]], dtype=torch.float64)).round(decimals=5).tolist()
        [[0.6, 0.8, 0.0]]
    """

    def __init__(self, vectors: Tensor):
        self.vectors = vectors
        self._prepared: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}

    @cached_property
    def dual(self) -> Tensor:
        """The dual vectors (W Wᵀ)⁻¹ W, which read the coordinates, (k, units)."""
        return torch.linalg.solve(self.vectors @ self.vectors.T, self.vectors)

    @cached_property
    def completed(self) -> "Basis":
        """This basis completed by orthonormal vectors of all that is orthogonal to it, (units, units)."""
        count, units = self.vectors.shape
        if count == units:
            return self
        whole, _ = torch.linalg.qr(self.vectors.T, mode="complete")  # (units, units)
        return Basis(torch.cat([self.vectors, whole[:, count:].T]))

    def coordinates(self, activation: Tensor) -> Tensor:
        """Computes the coordinates, (n, k, *positions), of activations, (n, units, *positions)."""
        return self._mixed("dual", self.dual, activation)

    def along(self, coordinates: Tensor) -> Tensor:
        """Computes the activation with some coordinates and nothing else in it, Σ y_i w_i, (n, units, *positions)."""
        return self._mixed("vectors", self.vectors.T, coordinates)

    def log_variance(self, logvar: Tensor) -> Tensor:
        """Computes the log-variance of each coordinate from those of independent units, (n, units, *positions)."""
        return self._mixed("squares", self.dual.square(), logvar.exp()).log()

    @cached_property
    def scale(self) -> Tensor:
        """The standard deviation of each coordinate where every unit's is 1, ‖row of the dual‖₂, (k,)."""
        return self.dual.norm(dim=1)

    def _mixed(self, name: str, matrix: Tensor, values: Tensor) -> Tensor:
        """Multiplies a matrix by values over their second axis, in at least single precision."""
        wide = torch.promote_types(values.dtype, torch.float32)
        key = (name, wide, values.device)
        if key not in self._prepared:
            self._prepared[key] = matrix.to(wide).to(values.device)
        with whole_precision(values.device):
            values = values.to(wide)
            if values.ndim == 2:
                return values @ self._prepared[key].T
            flat = values.reshape(*values.shape[:2], -1)
            return (self._prepared[key] @ flat).reshape(len(values), -1, *values.shape[2:])
