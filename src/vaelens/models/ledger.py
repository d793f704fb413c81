"""The record of a training run, with the terms of the loss and each latent's KL averaged over windows of steps.

Terms stay on their device until they are asked for: one transfer a window, none a step.
"""

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.models.posterior import ACTIVE_NATS

Row = dict[str, float]

_LONGEST_UNSEEN = 50  # steps after which a lost loss is noticed, however long the window
_KL = re.compile(r"kl_(\d+)")  # the column of a latent's KL


class Ledger:
    """The steps done so far and what the terms of the loss were.

    Args:
        window_length: steps a window.
        lost: makes the error, of the first step whose terms are not all finite and of its row.
        step: steps done before.
        rows: the averages of the windows before.
        window: the terms of the steps since the last full window.
    """

    def __init__(
        self, window_length: int, lost: Callable[[int, Row], Exception], step: int = 0, rows: Any = (), window: Any = ()
    ) -> None:
        self.window_length = window_length
        self.lost = lost
        self.step = step
        self.rows: list[Row] = list(rows)
        self.window: list[Row] = list(window)
        self._names: list[str] = []
        self._pending: list[Tensor] = []
        self._settings: list[Row] = []

    def add(self, terms: Mapping[str, Tensor], settings: Mapping[str, float] = MappingProxyType({})) -> Row | None:
        """Notes a step, and returns the window's averages, with the step, when it is full.

        Args:
            terms: what was computed.
            settings: what schedules have set for the step; one that is called as a term is noted as `<name>_weight`.

        Raises:
            VaelensError: if a term is not finite.
        """
        self.step += 1
        if not self._names:
            self._names = [name for term in terms for name in _columns(term, terms[term])]
        self._pending.append(torch.cat([term.detach().reshape(-1) for term in terms.values()]))
        self._settings.append({f"{name}_weight" if name in terms else name: settings[name] for name in settings})
        if self.step % self.window_length:
            if len(self._pending) >= _LONGEST_UNSEEN:
                self.settle()
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
        rows = [dict(zip(self._names, row, strict=True)) for row in values]
        settings, self._pending, self._settings = self._settings, [], []
        for number, row in enumerate(rows):
            if not all(map(math.isfinite, row.values())):
                raise self.lost(first + number, row)
        self.window += [row | set_to for row, set_to in zip(rows, settings, strict=True)]
        if self.window[0].keys() != self.window[-1].keys():
            raise VaelensError(
                f"the record has the terms {', '.join(self.window[0])} before, and {', '.join(self.window[-1])} from "
                "now on; the checkpoint that it was read from is damaged: train anew"
            )

    def average(self) -> Row:
        """Averages over the steps since the last full window, or returns the last row if there are none.

        Raises:
            VaelensError: if a term is not finite.
        """
        self.settle()
        if not self.window:
            return self.rows[-1]
        count = len(self.window)
        means = {name: sum(row[name] for row in self.window) / count for name in self.window[0]}
        kl = kl_per_latent(means)
        active = {"active_latents": float(sum(value > ACTIVE_NATS for value in kl))} if kl else {}
        return {"step": self.step, **means, **active}

    def history(self) -> list[Row]:
        """Returns every row, the unfinished window's last.

        Raises:
            VaelensError: if a term is not finite.
        """
        self.settle()
        return [*self.rows, self.average()] if self.window else list(self.rows)


def scalars(row: Mapping[str, float]) -> Row:
    """Returns a row without the step and the latents' KL."""
    return {name: value for name, value in row.items() if name != "step" and not _KL.fullmatch(name)}


def kl_per_latent(row: Mapping[str, float]) -> list[float]:
    """Returns each latent's KL in a row, in nats, and none where the model has a codebook."""
    return [value for name, value in row.items() if _KL.fullmatch(name)]


def _columns(term: str, value: Tensor) -> list[str]:
    return [term] if value.ndim == 0 else [f"kl_{latent}" for latent in range(len(value))]
