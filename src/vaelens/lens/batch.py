"""Batches of observations or codes, with the context that encoder and decoder are also given for each row.

Whoever takes some rows of a batch takes their context with them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of a model's input, or of its codes.

    Attributes:
        values: (n, *shape).
        context: of each row, in one line, (n, k), as a `ContextForm` packs it; None where the model takes none.
    """

    values: Tensor
    context: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | Tensor) -> "Batch":
        return Batch(self.values[rows], None if self.context is None else self.context[rows])

    def with_values(self, values: Tensor) -> "Batch":
        """Returns a batch of other values, (n, …), in the same context."""
        return Batch(values, self.context)

    def to(self, like: Tensor) -> "Batch":
        """Converts the batch to a tensor's device and type."""
        context = None if self.context is None else self.context.to(like, non_blocking=True)
        return Batch(self.values.to(like, non_blocking=True), context)

    def split(self, rows: int) -> Iterator["Batch"]:
        """Yields consecutive batches of at most `rows` rows."""
        return (self[slice(start, start + rows)] for start in range(0, len(self), rows))


BatchLike = Batch | Tensor


def as_batch(rows: BatchLike) -> Batch:
    """Returns rows as a batch, which has no context where they are a tensor."""
    return rows if isinstance(rows, Batch) else Batch(rows)


def joined(batches: list[Batch]) -> Batch:
    """Joins batches one after the other."""
    contexts = [batch.context for batch in batches if batch.context is not None]
    return Batch(torch.cat([batch.values for batch in batches]), torch.cat(contexts) if contexts else None)
