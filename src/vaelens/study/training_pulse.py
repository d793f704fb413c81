"""The training of a cell as those who watch the study see it. Imports Lightning, which takes seconds."""

import time
from typing import Any

from lightning.pytorch import Callback

from vaelens.study.pulse import Pulse


class TrainingPulse(Callback):
    """Tells the step, the loss and the time left, every second or so."""

    def __init__(self, pulse: Pulse, steps: int) -> None:
        self._pulse, self._steps = pulse, steps
        self._first: tuple[int, float] | None = None

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Tells how far it is, when the last time was a while ago."""
        step = batch.step + 1
        if self._first is None:
            self._first = batch.step, time.monotonic()
        if not self._pulse.is_due:
            return
        begun, since = self._first
        pace = (time.monotonic() - since) / (step - begun)
        # The place is where the attempt began: one that dies after a new checkpoint dies at another place.
        told = {"step": step, "loss": float(outputs["loss"]), "seconds_left": pace * (self._steps - step)}
        self._pulse.tell(f"training from step {begun}", step / self._steps, **told)
