"""A fitted TVAE in the units of its table, rows of numbers as they are and one-hot classes, for a lens and back."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens.adapters.adapter import Adapter
from vaelens.lens.adapters.tvae import TVAE, fitted, tvae, tvae_module
from vaelens.lens.adapters.tvae_code import TableCode
from vaelens.lens.adapters.tvae_columns import ClassColumn, Column, NumberColumn, columns_of
from vaelens.observation import Observation

UNIT = "its own unit"
_SHOWN = 10  # names of columns in a sentence


class TVAETable(TVAE):
    """A TVAE of ctgan or SDV whose lens takes and decodes rows in the table's own units.

    A column of numbers is one feature, in its unit; one of classes a feature for each, 1 or 0, and decoded its
    probability. Effects on a feature are then in dollars, years or probability. Distances of rows, and so CES and all
    effects on what comes out, are Gower's, in which each column counts by its range in the frame.

    What is decoded of a number is its mean over the modes that ctgan codes it in, with the probabilities that the
    decoder gives them, `Σ_k p_k (m_k + 4 s_k tanh a)`. ctgan's own `inverse_transform` takes the likeliest mode alone:
    the two agree where one mode is sure, and the mean passes smoothly from one to the next where that one jumps. Whole
    numbers are not rounded. A number goes in by the mode that it most probably comes from, where ctgan draws one.

    Args:
        model: A TVAE that was fitted inside `with vl.encoder_kept():`, or a synthesizer of SDV around one.
        frame: Rows of the table, by whose ranges columns count in Gower's distance: those that it was fitted to; of
            SDV, as `synthesizer.preprocess` returns them.

    Attributes:
        columns: The table's, with their modes and classes.
        observation: What rows are.

    Raises:
        VaelensError: A model that is no such TVAE, was not fitted, or has no encoder; a frame in which numbers are all
            the same that were not where it was fitted; as of `rows`.

    Example:
        `lens = vl.Lens(vl.TVAETable(tvae, frame))`
    """

    def __init__(self, model: Any, frame: pd.DataFrame) -> None:
        parts: Any = tvae_module(model)
        if parts is None:
            raise VaelensError(
                f"a TVAETable is of a TVAE of ctgan, or a synthesizer of SDV around one; got {_called(model)}"
            )
        super().__init__(parts.encoder, parts.decoder)
        self.columns: tuple[Column, ...] = columns_of(fitted(model).transformer)
        self.code = TableCode(self.columns, next(parts.encoder.parameters()))
        names = [feature for column in self.columns for feature in column.features]
        kind = Observation.vector(
            names,
            groups={column.name: column.features for column in self.columns},
            unit=UNIT,
            noun="rows",
            one_hot=[column.features for column in self.columns if isinstance(column, ClassColumn)],
        )
        rows = self.rows(frame)
        self._check_varied(rows)
        self.observation = kind.with_gower(rows)

    def rows(self, frame: pd.DataFrame) -> Tensor:
        """Returns a frame's rows as a lens takes them, (n, features).

        Gaps of a column that had some where the model was fitted become what they did there: of numbers the mean, of
        classes a class. Columns that the model does not have are left out.

        Raises:
            VaelensError: no frame, or one without rows; a column that is missing or there twice; classes that the model
                does not know, gaps where it had none, no numbers or such as its floating-point type can't tell apart.
        """
        if not isinstance(frame, pd.DataFrame) or not len(frame):
            raise VaelensError(
                f"frame is {_called(frame)}; expected a pandas DataFrame with a row for each observation"
            )
        table = frame.set_axis([str(name) for name in frame.columns], axis=1)
        kept = self.code.means.dtype
        values = []
        for column in self.columns:
            if column.name not in table.columns:
                there = ", ".join(table.columns[:_SHOWN]) + ", …" * (len(table.columns) > _SHOWN)
                raise VaelensError(
                    f"frame has no column {column.name!r}, which the TVAE was fitted to; it has {there or 'none'}"
                )
            own = table[column.name]
            if isinstance(own, pd.DataFrame):
                raise VaelensError(f"frame has {own.shape[1]} columns {column.name!r}; expected one")
            values.append(column.values(own, kept))
        return torch.from_numpy(np.concatenate(values, axis=1)).to(kept)

    def frame_of(self, x: Tensor | NDArray[Any]) -> pd.DataFrame:
        """Turns rows, decoded ones too, into a table of numbers as they are and the likeliest classes.

        Args:
            x: (n, features).

        Raises:
            VaelensError: they are no such rows.
        """
        values, start, table = self.observation.checked(x).cpu().numpy(), 0, {}
        for column in self.columns:
            own = values[:, start : start + len(column.features)]
            start += len(column.features)
            if isinstance(column, ClassColumn):
                table[column.name] = [column.classes[k] for k in own.argmax(axis=1)]
            else:
                table[column.name] = own[:, 0]
        return pd.DataFrame(table)

    def _check_varied(self, rows: Tensor) -> None:
        """Refuses rows whose ranges would leave a column out of Gower's distance that belongs there.

        Raises:
            VaelensError: numbers that were not all the same where the model was fitted are so in these rows.
        """
        start = 0
        for column in self.columns:
            if isinstance(column, NumberColumn) and column.varied and (rows[:, start] == rows[0, start]).all():
                raise VaelensError(
                    f"column {column.name!r} has one value in the frame and had several where the TVAE was fitted, so "
                    "it would count nothing in Gower's distance; give the rows that it was fitted to, and others to "
                    ".rows(frame)"
                )
            start += len(column.features)

    def adapter(self) -> Adapter:
        """Returns its adapter, for a lens."""

        def encode(rows: Any) -> tuple[Tensor, Tensor]:
            mean, _, log_variance = self.encoder(self.code.coded(rows))
            return mean, log_variance

        def decode(codes: Any) -> Tensor:
            output, _ = self.decoder(codes)
            return self.code.uncoded(output)

        return Adapter(encode, decode, None, self._example(), observation=self.observation)

    def _example(self) -> Tensor:
        """Returns a row that the model may have been fitted to, with a mode's mean for numbers and the first class."""
        row = [
            np.eye(len(column.classes))[0] if isinstance(column, ClassColumn) else column.means[:1]
            for column in self.columns
        ]
        return torch.from_numpy(np.concatenate(row))[None].to(self.code.means)


def ctgan(model: Any) -> Adapter | None:
    """Returns the adapter of a `TVAETable`, or what `tvae` returns for any other model."""
    return model.adapter() if isinstance(model, TVAETable) else tvae(model)


def _called(given: Any) -> str:
    return "one without rows" if isinstance(given, pd.DataFrame) else f"a {type(given).__name__}"
