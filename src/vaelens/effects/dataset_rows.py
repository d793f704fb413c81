"""Rows of a dataset as a lens takes them, with the dataset's context where the lens takes one."""

from typing import Any

import numpy as np
from torch import Tensor

from vaelens.data import FactorDataset
from vaelens.errors import VaelensError
from vaelens.lens import Batch, Lens


def dataset_rows(lens: Lens, x: Tensor, context: Any) -> Batch:
    """Puts observations of a dataset in their context, which is left out where the lens takes none.

    Raises:
        VaelensError: observations that the lens refuses; no context where it takes one.
    """
    return lens.batch(x, context if lens.takes_context else None)


def check_dataset(ds: Any) -> None:
    """Refuses what is no dataset, such as a tensor of observations.

    Raises:
        VaelensError: see above.
    """
    if not isinstance(ds, FactorDataset):
        raise VaelensError(
            f"ds is a {type(ds).__name__}; expected a dataset, such as vl.load_dataset(name) or vl.ArrayDataset(x)"
        )


def rows_at(lens: Lens, ds: FactorDataset, indices: np.ndarray) -> Tensor | Batch:
    """Returns a dataset's observations at indices, with their context where the lens takes one."""
    x = ds.images_at(indices)
    return dataset_rows(lens, x, ds.context_at(indices)) if lens.takes_context else x
