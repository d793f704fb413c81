"""Rows and units of values, selected in the memory layout that the values have."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def select_rows(value: Any, rows: Tensor | None) -> Any:
    """Selects rows of a tensor, or of every tensor in a tuple, in its memory layout. None selects all."""
    if rows is None:
        return value
    if isinstance(value, tuple | list):
        parts = [select_rows(part, rows) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if memory_layout(value) is torch.channels_last:
        return value.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)
    return value.index_select(0, rows)


def select_units(value: Tensor, units: Sequence[int] | Tensor) -> Tensor:
    """Selects units, the second axis of a tensor, in its memory layout."""
    indices = torch.as_tensor(units, dtype=torch.int64, device=value.device)
    if memory_layout(value) is not torch.channels_last:
        return value.index_select(1, indices)
    by_position = value.permute(0, 2, 3, 1)  # as it lies in memory, where indexing would turn the axes twice
    return by_position.gather(3, indices.expand(*by_position.shape[:3], -1)).permute(0, 3, 1, 2)


def memory_layout(value: Tensor) -> torch.memory_format:
    """Returns a value's layout in memory, channels last only where it could not as well have them first."""
    if value.ndim == 4 and not value.is_contiguous() and value.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format
