"""The keeper of a run, a Lightning callback that keeps ledger, loggers, progress bar and checkpoint.

It knows when a step is whole, and so where the run can stop and go on.
"""

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from vaelens.errors import VaelensError
from vaelens.models.batches import Batches
from vaelens.models.checkpoints import Checkpoint, save_checkpoint
from vaelens.models.diagnosis import Diagnosis, first_not_finite
from vaelens.models.interruption import Interruption, TrainingInterrupted
from vaelens.models.ledger import Ledger, Row, scalars
from vaelens.models.progress import ProgressBar
from vaelens.models.run_folder import checkpoint_path
from vaelens.models.step import TrainingStep
from vaelens.models.watch import Watch
from vaelens.writing import unwritten


@dataclass(frozen=True)
class Plan:
    """The work of one call of `train`, checked."""

    batches: Batches
    lr: float
    device: torch.device
    folder: Path | None
    """Where checkpoint and log are kept."""
    destination: Path | None
    """The folder that the user named, which an older run may still be in."""
    checkpoint_every: int
    run: Mapping[str, Any]
    """What the run's numbers depend on, kept with each checkpoint."""
    conditions: Mapping[str, Any]
    """What their last bits depend on besides."""
    progress: bool
    loggers: Sequence[Any]
    callbacks: Sequence[Any]


class Keeper(Callback):
    """Keeps what a run leaves, and says where an interrupted one goes on.

    Args:
        step: what is trained.
        plan: what is to do.
        ledger: what was done, filled on the way.
        bar: shows it.
    """

    def __init__(self, step: TrainingStep, plan: Plan, ledger: Ledger, bar: ProgressBar) -> None:
        self.step = step
        self.plan = plan
        self.ledger = ledger
        self.bar = bar
        self.watch = Watch(step, plan.batches.stop)
        self.updating = False  # between a step's beginning and its end, weights and codebook are of no whole step
        self.busy = False  # Ctrl-C waits: for the step to be whole, noted and saved
        self.stopping = False  # Ctrl-C was pressed: this step is the last
        self.saved: int | None = ledger.step or None
        self.interruption: BaseException | None = None
        self.unwritable: VaelensError | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.watch.begin()
        if self.saved is None:  # so that a run killed at any step can go on, and what cannot be written is known now
            self.save(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.busy = self.updating = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        training: Any = pl_module
        row = self.ledger.add(outputs, training.settings)
        self.updating = False
        self.bar.show(self.ledger.step, None if row is None else scalars(row))
        if row is not None:
            self.write_row(trainer, row)
            self.watch.look(self.ledger.rows)
        if self.ledger.step % self.plan.checkpoint_every == 0:
            self.save(trainer)
        self.end_step()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.busy = True
        self.check_weights()
        history = self.ledger.history()
        if self.ledger.window:  # the steps since the last full window, which a resumed run averages anew
            self.write_row(trainer, history[-1])
        self.watch.look(history, at_the_end=True)
        if self.saved != self.ledger.step:
            self.save(trainer)
        self.end_step()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, KeyboardInterrupt | SIGTERMException):
            self.interruption = exception
            if not self.updating and self.saved != self.ledger.step:
                self.save(trainer)

    def end_step(self) -> None:
        """Ends the step, so that Ctrl-C takes effect."""
        self.busy = False
        if self.stopping:
            raise KeyboardInterrupt

    def write_row(self, trainer: Trainer, row: Row) -> None:
        """Hands a row of averages to the loggers."""
        for logger in trainer.loggers:
            try:
                with unwritten(Path(logger.save_dir or ".")):
                    logger.log_metrics(terms(row), step=int(row["step"]))
            except VaelensError as error:  # Lightning will close the logger, which may fail likewise
                self.unwritable = error
                raise

    def check_weights(self) -> None:
        """Refuses to go on with weights that are not finite, as one update from a finite loss can leave them.

        Raises:
            VaelensError: saying why.
        """
        self.ledger.settle()
        name = first_not_finite(self.step)
        if name is not None:
            raise Diagnosis(self.step.model, self.plan.lr).lost_weights(self.ledger.step, name)

    def save(self, trainer: Trainer) -> None:
        """Writes the checkpoint, if the run has a folder. One whose loss or weights are lost is never written."""
        if self.plan.folder is None:
            return
        self.check_weights()
        states = [optimizer.state_dict()["state"] for optimizer in trainer.optimizers]
        record = {"rows": self.ledger.rows, "window": self.ledger.window}
        discriminator = self.step.discriminator
        checkpoint = Checkpoint(
            self.ledger.step,
            self.plan.run,
            self.plan.conditions,
            record,
            self.step.model.state_dict(),
            {} if discriminator is None else discriminator.state_dict(),
            tuple(states),
        )
        save_checkpoint(checkpoint_path(self.plan.folder), checkpoint)
        self.saved = self.ledger.step

    def report_interruption(self) -> None:
        """Raises what the user should see of an interruption, if there was one.

        Raises:
            TrainingInterrupted: for Ctrl-C.
            SystemExit: for SIGTERM, because of a `TrainingInterrupted`.
        """
        if self.interruption is None:
            return
        plan = self.plan
        stopped = TrainingInterrupted(Interruption(self.ledger.step, plan.batches.stop, self.saved, plan.destination))
        if isinstance(self.interruption, KeyboardInterrupt):
            raise stopped from None
        raise SystemExit(str(stopped)) from stopped

    def name_checkpoint(self, error: VaelensError) -> VaelensError:
        """Adds to the error where the last good checkpoint is."""
        if self.plan.folder is None or not self.saved:
            return error
        path = checkpoint_path(self.plan.folder)
        return VaelensError(f"{error}; the checkpoint of step {self.saved}, from before, is in {str(path)!r}")


def terms(row: Row) -> dict[str, Any]:
    """Returns a row without its step."""
    return {name: value for name, value in row.items() if name != "step"}


@contextmanager
def whole_steps(keeper: Keeper) -> Iterator[None]:
    """Lets the first Ctrl-C wait, inside a `with`, until the step has ended. The second does not.

    An application's own handler is left alone, and threads but the main one have none.
    """

    def stop(signal_number: int, frame: Any) -> None:
        if keeper.stopping or not keeper.busy:
            raise KeyboardInterrupt
        keeper.stopping = True

    ours = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
