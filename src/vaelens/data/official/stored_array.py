"""What arrays in official files have in common, whatever the format."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaelens.data.official.damage import check_labels_size, damaged

BLOCK = 2**25  # bytes of rows in memory at a time


@dataclass(frozen=True)
class StoredArray(ABC):
    """An array in a file, not read yet.

    Attributes:
        path: The file.
        name: What the array is called in it.
        shape: Its shape.
        dtype: Its type.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @abstractmethod
    def blocks(self) -> Iterator[np.ndarray]:
        """Yields the rows in order, some megabytes at a time."""

    @property
    def row_bytes(self) -> int:
        """Counts the bytes that a row takes."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """Reads the whole array, of labels.

        Raises:
            VaelensError: If it is too large for labels, or damaged.
        """
        check_labels_size(self.path, self.shape[0] * self.row_bytes)
        return np.concatenate(list(self.blocks()))

    def check(self, dtype: str, *row: int) -> None:
        """Refuses the array unless it is of that type, and a row of that shape."""
        if self.dtype != np.dtype(dtype) or self.shape[1:] != row:
            expected = f"{np.dtype(dtype)} ({', '.join(map(str, ('N', *row)))})"
            raise damaged(self.path, f"{self.name} is {self.dtype} {self.shape}, expected {expected}")

    def check_shape(self, *shape: int) -> None:
        """Refuses the array unless it has that shape, whatever its type."""
        if self.shape != shape:
            raise damaged(self.path, f"{self.name} has shape {self.shape}, expected {shape}")

    def rows_at_once(self, multiple: int = 1) -> int:
        """Counts the rows that make a block, a multiple of so many where that many fit."""
        rows = max(1, BLOCK // self.row_bytes)
        return max(multiple, rows // multiple * multiple) if multiple * self.row_bytes <= 4 * BLOCK else rows
