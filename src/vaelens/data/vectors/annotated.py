"""An AnnData object as vectors, cells by genes, with columns of `obs` as labels and as context.

Rows are made dense when they are asked for; the object is read through its attributes, and kept as it is.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vaelens.arguments import whole_number
from vaelens.data.annotations import Context, Count, Kinds, Name, Names
from vaelens.data.arguments import checked_names
from vaelens.data.labels.frame import read_labels
from vaelens.data.labels.ranks import RankedDataset
from vaelens.data.own.context import rows_of_context
from vaelens.data.own.values import BLOCK
from vaelens.data.vectors.table import as_context
from vaelens.errors import VaelensError, unknown
from vaelens.observation import Observation


class AnnDataset(RankedDataset):
    """The cells of an AnnData object, with named genes.

    Args:
        adata: The object; anything with `X`, `layers`, `obs`, `var` and `var_names`.
        layer: The name of a layer, in place of `X`.
        context: The names of columns of `obs`, or of arrays in `obsm`, that encoder and decoder are given besides, such
            as a batch or a library size: numbers as they are, classes as whole numbers, in the order of the categories.
            Or a mapping to them from the names that the model knows them by: {"batch": "_scvi_batch"} for scvi-tools.
        factors: The names of columns of `obs` that label cells: see `read_labels`.
        groups: The names of columns of `var` that are true of the genes of a group.
        kinds: What labels are, by name.
        levels: The number of bins of a continuous label.
        unit: What values are in, such as "counts"; by default the layer's name, or "expression".

    Raises:
        VaelensError: If it is no such object, has no cells, or a layer or column is unknown; or values are no finite
            numbers.
    """

    name = "anndata"

    def __init__(
        self,
        adata: Any,
        layer: Name | None = None,
        context: Names | Mapping[str, str] = (),
        factors: Names | None = None,
        groups: Names = (),
        kinds: Kinds | None = None,
        levels: Count = 10,
        unit: Name | None = None,
    ) -> None:
        lacking = [part for part in ("X", "layers", "obs", "var", "var_names") if not hasattr(adata, part)]
        if lacking:
            raise VaelensError(f"a {type(adata).__name__} has no {lacking[0]}; expected an anndata.AnnData")
        if layer is not None and layer not in adata.layers:
            raise unknown("layer", layer, map(str, adata.layers))
        self._matrix: Any = adata.X if layer is None else adata.layers[layer]
        if self._matrix is None or not self._matrix.shape[0]:
            raise VaelensError(
                "this AnnData has no values in X; name the layer that has them"
                if self._matrix is None
                else "this AnnData has no cells; give at least one"
            )
        self._layer = layer
        obs = adata.obs.reset_index(drop=True)
        listed = {
            role: list(checked_names(role, list(names.values()) if isinstance(names, Mapping) else names) or ())
            for role, names in (("context", context), ("factors", factors))
        }
        arrays = dict(getattr(adata, "obsm", {}))
        for role, names in listed.items():
            for name in names:
                if name not in obs.columns and not (role == "context" and name in arrays):
                    raise unknown(f"column of obs in {role}", name, map(str, obs.columns))
        for name in groups:
            if name not in adata.var.columns:
                raise unknown("column of var in groups", name, map(str, adata.var.columns))
        columns = read_labels(obs[listed["factors"]], kinds, whole_number("levels", levels, low=2))
        super().__init__(len(obs), columns)
        called = context if isinstance(context, Mapping) else {name: name for name in listed["context"]}
        self._context = {
            name: as_context(obs[column]) if column in obs.columns else _numbers(arrays[column], column)
            for name, column in called.items()
        } or None
        members = {name: np.flatnonzero(adata.var[name].to_numpy(dtype=bool)).tolist() for name in groups}
        self.observation = Observation.vector(
            adata.var_names,
            groups={name: genes for name, genes in members.items() if genes},
            unit=unit or layer or "expression",
            noun="cells",
        )
        step = max(1, BLOCK // self.observation.size)
        for start in range(0, len(self), step):
            block = self._rows(np.arange(start, min(start + step, len(self))))
            self.observation.check_range(float(block.min()), float(block.max()))

    @property
    def options(self) -> dict[str, object]:
        """Lists the layer and the context."""
        return {"layer": self._layer, "context": list(self._context or ())}

    def image_batch(self, indices: np.ndarray) -> np.ndarray:
        """Looks up the cells at indices, dense."""
        return self._rows(indices)

    def context_at(self, indices: np.ndarray) -> Context:
        """Looks up what else encoder and decoder are given at indices (n,), by column, or returns None without any."""
        return rows_of_context(self._context, indices)

    def _rows(self, indices: np.ndarray) -> np.ndarray:
        return _dense(self._matrix[indices])


def _dense(rows: Any) -> np.ndarray:
    return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, dtype=np.float32)


def _numbers(rows: Any, name: str) -> np.ndarray:
    """Makes an array of obsm dense, float32 (n, …).

    Raises:
        VaelensError: If it holds what are no finite numbers.
    """
    try:
        values = _dense(rows)
    except (TypeError, ValueError) as error:
        raise VaelensError(f"obsm[{name!r}] holds no numbers; leave it out of the context") from error
    if not np.isfinite(values).all():
        raise VaelensError(f"obsm[{name!r}] holds NaN or infinity; fill them, or leave the cells out")
    return values
