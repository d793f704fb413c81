"""The record of a training run: the terms of the loss at each step, averaged over windows of steps.

Terms stay on their device until they are asked for: one transfer a window, none a step.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vaelens.errors import VaelensError

Row = dict[str, float]


class Ledger:
    """The steps done so far and what the terms of the loss were.

    Args:
        every: steps a window.
        lr: the learning rate, for the error when the loss is lost.
        step: steps done before.
        rows: the averages of the windows before.
        window: the terms of the steps since the last full window.
    """

    def __init__(self, every: int, lr: float, step: int = 0, rows: Any = (), window: Any = ()) -> None:
        self.every = every
        self.lr = lr
        self.step = step
        self.rows: list[Row] = list(rows)
        self.window: list[Row] = list(window)
        self._names: list[str] = []
        self._pending: list[Tensor] = []

    def add(self, terms: Mapping[str, Tensor]) -> Row | None:
        """Notes a step; gives the window's averages, with the step, when it is full.

        Raises:
            VaelensError: if a term is not finite.
        """
        self.step += 1
        self._names = list(terms)
        self._pending.append(torch.stack([term.detach() for term in terms.values()]))
        if self.step % self.every:
            return None
        row = self.average()
        self.rows.append(row)
        self.window = []
        return row

    def settle(self) -> None:
        """Brings what is pending into the window.

        Raises:
            VaelensError: if a term is not finite.
        """
        if not self._pending:
            return
        values = torch.stack(self._pending).tolist()  # (steps, terms)
        first = self.step - len(values) + 1
        finite = torch.isfinite(torch.tensor(values, dtype=torch.float64)).all(1).tolist()
        self._pending = []
        if not all(finite):
            lost = finite.index(False)
            terms = ", ".join(f"{name} {value:g}" for name, value in zip(self._names, values[lost], strict=True))
            raise VaelensError(
                f"the loss was lost at step {first + lost} ({terms}): the learning rate, {self.lr:g}, is probably "
                f"too high; try {self.lr / 10:g}"
            )
        self.window += [dict(zip(self._names, row, strict=True)) for row in values]

    def average(self) -> Row:
        """The averages over the steps since the last full window, with the step; the last row if there are none.

        Raises:
            VaelensError: if a term is not finite.
        """
        self.settle()
        if not self.window:
            return self.rows[-1]
        count = len(self.window)
        means = {name: sum(row[name] for row in self.window) / count for name in self.window[0]}
        return {"step": self.step, **means}

    def history(self) -> list[Row]:
        """Every row, the unfinished window's last.

        Raises:
            VaelensError: if a term is not finite.
        """
        self.settle()
        return [*self.rows, self.average()] if self.window else list(self.rows)
