"""The steps of training, run by Lightning: the one file that imports it (which takes seconds, hence on demand).

Checkpoints are ours (`checkpoints`), since Lightning's are pickles.
"""

import logging
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint as LightningCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning_utilities.core import rank_zero
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.models.batches import Batch, Batches
from vaelens.models.checkpoints import Checkpoint, checkpoint_path, save_checkpoint
from vaelens.models.ledger import Ledger, Row
from vaelens.models.progress import ProgressBar
from vaelens.models.vae import VAE


@dataclass(frozen=True)
class Plan:
    """What one call of `train` is to do, checked."""

    batches: Batches
    lr: float
    device: torch.device
    folder: Path | None
    checkpoint_every: int
    run: Mapping[str, Any]
    """What the run's numbers depend on, kept with each checkpoint."""
    progress: bool
    loggers: Sequence[Any]
    callbacks: Sequence[Any]


def run_steps(model: VAE, plan: Plan, ledger: Ledger, checkpoint: Checkpoint | None) -> None:
    """Trains the model through the plan's batches; the ledger is filled on the way.

    Raises:
        KeyboardInterrupt: at Ctrl-C, saying where to go on.
        SystemExit: at SIGTERM, likewise.
        VaelensError: if the images are wrong or the loss is lost.
    """
    _check_kinds("a logger", plan.loggers, Logger)
    _check_kinds("a callback", plan.callbacks, Callback)
    loggers = list(plan.loggers)
    if plan.folder is not None:
        loggers.append(_csv_logger(plan.folder, ledger))
    bar = ProgressBar(plan.batches.stop, ledger.step, plan.progress)
    keeper = _Keeper(model, plan, ledger, bar)
    with _quiet(), _as_before(model, plan.device), bar:
        trainer = Trainer(
            accelerator=plan.device.type,
            devices=[plan.device.index or 0] if plan.device.type == "cuda" else 1,
            plugins=[LightningEnvironment()],  # one process, also inside a cluster's job
            max_epochs=1,  # of as many batches as there are steps
            logger=loggers or False,
            callbacks=[keeper, *plan.callbacks],
            enable_checkpointing=any(isinstance(callback, LightningCheckpoint) for callback in plan.callbacks),
            default_root_dir=plan.folder,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        try:
            trainer.fit(_Training(model, plan.lr, checkpoint), train_dataloaders=plan.batches)
        except SystemExit:  # what Lightning makes of Ctrl-C and of SIGTERM
            keeper.report_interruption()
            raise


class _Training(LightningModule):
    """The model with its optimiser and its step."""

    def __init__(self, model: VAE, lr: float, checkpoint: Checkpoint | None) -> None:
        super().__init__()
        self.model = model
        self.lr = lr
        self.checkpoint = checkpoint
        self.noise = torch.Generator()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        parameters = list(self.model.parameters())
        fused = parameters[0].device.type in ("cpu", "cuda")  # one kernel for all parameters
        optimizer = torch.optim.Adam(parameters, lr=self.lr, fused=fused)
        if self.checkpoint is not None:
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": dict(self.checkpoint.optimizers[0]), "param_groups": groups})
            for parameter, state in optimizer.state.items():
                for name, value in state.items():
                    if value.shape == parameter.shape:  # the fused kernel goes by memory, not by index
                        state[name] = torch.empty_like(parameter).copy_(value)
        return optimizer

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return Batch(batch.images.to(device, non_blocking=True), batch.noise_seed)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        self.noise.manual_seed(batch.noise_seed)
        terms = self.model.loss_terms(batch.images, self.noise)
        return {name: term if name == "loss" else term.detach() for name, term in terms.items()}


class _Keeper(Callback):
    """Keeps the ledger, the loggers, the progress bar and the checkpoint."""

    def __init__(self, model: VAE, plan: Plan, ledger: Ledger, bar: ProgressBar) -> None:
        self.model = model
        self.plan = plan
        self.ledger = ledger
        self.bar = bar
        self.updating = False  # between a step's gradients and its end, the weights are of no whole step
        self.saved: int | None = ledger.step or None
        self.interruption: BaseException | None = None

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        self.updating = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        row = self.ledger.add(outputs)
        self.updating = False
        self.bar.show(self.ledger.step, None if row is None else _terms(row))
        if row is not None:
            self.write_row(trainer, row)
        if self.ledger.step % self.plan.checkpoint_every == 0:
            self.save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.ledger.settle()
        if self.ledger.window:  # the steps since the last full window, which a resumed run averages anew
            self.write_row(trainer, self.ledger.average())
        if self.saved != self.ledger.step:
            self.save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, KeyboardInterrupt | SIGTERMException):
            self.interruption = exception
            if not self.updating and self.saved != self.ledger.step:
                self.save(trainer)

    def write_row(self, trainer: Trainer, row: Row) -> None:
        """Hands a row of averages to the loggers."""
        for logger in trainer.loggers:
            logger.log_metrics(_terms(row), step=int(row["step"]))

    def save(self, trainer: Trainer) -> None:
        """Writes the checkpoint, if the run has a folder; never one whose loss is lost."""
        self.ledger.settle()
        if self.plan.folder is None:
            return
        states = [optimizer.state_dict()["state"] for optimizer in trainer.optimizers]
        record = {"rows": self.ledger.rows, "window": self.ledger.window}
        checkpoint = Checkpoint(self.ledger.step, self.plan.run, record, self.model.state_dict(), tuple(states))
        save_checkpoint(checkpoint_path(self.plan.folder), checkpoint)
        self.saved = self.ledger.step

    def report_interruption(self) -> None:
        """Raises what the user should see of an interruption, if there was one."""
        if self.interruption is None:
            return
        message = f"training was interrupted after {self.ledger.step} of {self.plan.batches.stop} steps"
        if self.plan.folder is None:
            message += "; nothing was saved, since no folder was given"
        elif self.saved is None:
            message += "; there is no checkpoint yet"
        else:
            message += f"; go on from step {self.saved} with folder={str(self.plan.folder)!r}, resume=True"
        if isinstance(self.interruption, KeyboardInterrupt):
            raise KeyboardInterrupt(message) from None
        raise SystemExit(message) from None


def _check_kinds(what: str, things: Sequence[Any], kind: type) -> None:
    for thing in things:
        if not isinstance(thing, kind):
            raise VaelensError(f"{what} of type {type(thing).__name__}; expected Lightning's {kind.__name__}")


def _csv_logger(folder: Path, ledger: Ledger) -> Logger:
    """The logger of `folder/logs/metrics.csv`, begun anew with the rows the run has so far."""
    for name in ("metrics.csv", "hparams.yaml"):  # of the run as it was beyond the checkpoint: it is repeated
        (folder / "logs" / name).unlink(missing_ok=True)
    logger = CSVLogger(folder, name=None, version="logs", flush_logs_every_n_steps=1)
    for row in ledger.rows:
        logger.log_metrics(_terms(row), step=int(row["step"]))
    return logger


def _terms(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "step"}


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, Lightning announces no hardware, tips and hints."""
    loggers = [rank_zero.log, *map(logging.getLogger, ("lightning", "lightning.pytorch", "lightning.fabric"))]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # hints such as "GPU available but not used": device= is how that is chosen here
            warnings.simplefilter("ignore", PossibleUserWarning)
            # Lightning 2.6 builds a class that torch 2.9 and later have deprecated
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _as_before(model: VAE, device: torch.device) -> Iterator[None]:
    """Inside, the model trains; afterwards its mode and device, and all that is global, are as before."""
    home = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]
    gradients = torch.is_grad_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    interrupt = signal.getsignal(signal.SIGINT)
    model.train()
    # Convolutions are faster with the channels innermost, on a CPU too, and compute the same.
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if device.type == "cuda":  # its fastest convolutions differ from run to run in the last bits
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        model.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        torch.set_grad_enabled(gradients)
        if signal.getsignal(signal.SIGINT) is not interrupt:  # Lightning ignores Ctrl-C after the first
            signal.signal(signal.SIGINT, interrupt)
        model.zero_grad(set_to_none=True)
        model.to(home)
        for module, mode in modes:
            module.training = mode
