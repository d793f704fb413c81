"""Matrices over latents of what the input's changes move, how labels go with them, and what predictors rely on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from vaelens.report.changes import axis_of

RANDOM = "a random pair"
MEASURES = {  # as they are spoken of
    "spearman": "rank correlation ρ",
    "eta_squared": "share of variance between classes η²",
    "circular_linear": "circular-linear R²",
    "none": "not measured",
}
_SHORT = {"spearman": "ρ", "eta_squared": "η²", "circular_linear": "R²", "none": "—"}


@dataclass(frozen=True, eq=False)
class Matrix:
    """Numbers of some rows and all latents.

    Attributes:
        title: what they are.
        rows: names.
        values: (rows, latents).
        ends: of their intervals, (rows, latents, 2); None where there are none.
    """

    title: str
    rows: Sequence[str]
    values: np.ndarray
    ends: np.ndarray | None


def associations(effects: xr.Dataset, importance: xr.Dataset | None, read: xr.Dataset | None = None) -> list[Matrix]:
    """Makes the matrices of level 1, DCI's importances and what a reader reads, with the same factors for rows.

    Below the changes of level 1 stands the level of two random images, where it was measured.
    """
    axis = axis_of(effects)
    variable, unit = ("latent_shift", "d′") if "latent_shift" in effects else ("latent_effect", "standard deviations")
    matrices = [_with_random(_read_off(effects, variable, axis, f"Change of the latent ({unit})"), effects, variable)]
    if importance is not None:
        matrices.append(_read_off(importance, "importance", "factor", "DCI importance (rows add to 1)"))
    if read is not None and axis == "factor":
        read = read.reindex(factor=effects["factor"].values)  # a factor that is not read has no cells
        matrices.append(
            _read_off(read, "factor_effect", "factor", "Change of what is read off the image (probability)")
        )
    return matrices


def label_associations(labels: xr.Dataset) -> Matrix:
    """Makes the matrix of labels and latents, each row named with its measure."""
    matrix = _read_off(labels, "association", "factor", "Association of label and latent")
    measures = labels["measure"].values.astype(str)
    return replace(matrix, rows=[f"{name} ({_SHORT[how]})" for name, how in zip(matrix.rows, measures, strict=True)])


def _read_off(effects: xr.Dataset, variable: str, axis: str, title: str) -> Matrix:
    columns = [variable + end for end in ("", "_low", "_high") if variable + end in effects]
    values, *ends = (effects[name].transpose(axis, "latent").values for name in columns)
    names = effects[axis].values.astype(str).tolist()
    return Matrix(title, names, values, np.stack(ends, axis=-1) if ends else None)


def _with_random(matrix: Matrix, effects: xr.Dataset, variable: str) -> Matrix:
    """Adds the level of two random images as a row."""
    if f"{variable}_random" not in effects:
        return matrix
    level, *ends = (effects[f"{variable}_random{end}"].values[None] for end in ("", "_low", "_high"))
    assert matrix.ends is not None, "what is measured beside chance has an interval"
    return replace(
        matrix,
        rows=[*matrix.rows, RANDOM],
        values=np.concatenate([matrix.values, level]),
        ends=np.concatenate([matrix.ends, np.stack(ends, axis=-1)]),
    )
