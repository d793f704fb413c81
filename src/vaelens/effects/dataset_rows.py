"""Rows of a dataset as a lens takes them: with the context that the dataset carries, where the lens takes one."""

from typing import Any

from torch import Tensor

from vaelens.lens import Batch, Lens


def dataset_rows(lens: Lens, x: Tensor, context: Any) -> Batch:
    """Observations of a dataset in their context, which is left out where the lens takes none.

    Raises:
        VaelensError: observations that the lens refuses; no context where it takes one.
    """
    return lens.batch(x, context if lens.takes_context else None)
