"""The steps of training, run by Lightning. It takes seconds to import, so this file is imported on demand.

Checkpoints are ours (`checkpoints`), since Lightning's are pickles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint as LightningCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.models.batches import Batch
from vaelens.models.checkpoints import Checkpoint
from vaelens.models.diagnosis import LostLoss
from vaelens.models.keeper import Keeper, Plan, terms, whole_steps
from vaelens.models.ledger import Ledger
from vaelens.models.progress import ProgressBar
from vaelens.models.step import TrainingStep
from vaelens.models.surroundings import as_before, quiet

DISCRIMINATOR_BETAS = (0.5, 0.9)  # Kim & Mnih 2018, appendix A


def run_steps(step: TrainingStep, plan: Plan, ledger: Ledger, checkpoint: Checkpoint | None) -> None:
    """Trains the step's model through the plan's batches and fills the ledger on the way.

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
    keeper = Keeper(step, plan, ledger, bar)
    with quiet(), as_before(step.model, plan.device), whole_steps(keeper), bar:
        trainer = bare_trainer(
            plan.device,
            [keeper, *plan.callbacks],
            logger=loggers or False,
            enable_checkpointing=any(isinstance(callback, LightningCheckpoint) for callback in plan.callbacks),
            default_root_dir=plan.folder,
        )
        try:
            trainer.fit(_Training(step, plan.lr, checkpoint), train_dataloaders=plan.batches)
        except SystemExit:  # what Lightning makes of Ctrl-C and of SIGTERM
            keeper.report_interruption()
            raise
        except OSError as error:
            raise (keeper.unwritable or error) from None
        except LostLoss as error:
            raise keeper.name_checkpoint(error) from None


def bare_trainer(device: torch.device, callbacks: Sequence[Callback], **more: Any) -> Trainer:
    """Makes a trainer of one process and one pass through the batches, which prints and writes nothing of its own.

    Args:
        device: what it runs on.
        callbacks: what it calls.
        **more: further arguments of the trainer.
    """
    options: dict[str, Any] = {"logger": False, "enable_checkpointing": False} | more
    return Trainer(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        plugins=[LightningEnvironment()],  # one process, also inside a cluster's job
        max_epochs=1,  # of as many batches as there are steps
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def adam(module: torch.nn.Module, lr: float, betas: tuple[float, float] = (0.9, 0.999)) -> torch.optim.Optimizer:
    """Makes Adam for what of a module is trained."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    fused = parameters[0].device.type in ("cpu", "cuda")  # one kernel for all parameters
    return torch.optim.Adam(parameters, lr=lr, betas=betas, fused=fused)


class _Training(LightningModule):
    """The step with its optimisers, the model's and the discriminator's where there is one."""

    def __init__(self, step: TrainingStep, lr: float, checkpoint: Checkpoint | None) -> None:
        super().__init__()
        self.automatic_optimization = False  # two optimisers, each with a loss of its own
        self.step = step
        self.lr = lr
        self.checkpoint = checkpoint
        self.noise = torch.Generator()
        self.settings: dict[str, float] = {}  # what schedules have set for this step

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        optimizers = [adam(self.step.model, self.lr)]
        if self.step.discriminator is not None:
            lr = float(self.step.hyperparameters["discriminator_lr"])
            optimizers.append(adam(self.step.discriminator, lr, DISCRIMINATOR_BETAS))
        if self.checkpoint is not None:
            for optimizer, state in zip(optimizers, self.checkpoint.optimizers, strict=True):
                _restore(optimizer, state)
        return optimizers

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return replace(batch, images=batch.images.to(device, non_blocking=True))

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        self.noise.manual_seed(batch.noise_seed)
        losses = self.step(batch.images, batch.step, self.noise)
        optimizers = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        for optimizer, loss in zip(optimizers, losses.minimised, strict=True):
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        return {name: term.detach() for name, term in losses.logged.items()}


def _restore(optimizer: torch.optim.Optimizer, state: Mapping[int, Mapping[str, Tensor]]) -> None:
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": dict(state), "param_groups": groups})
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if value.shape == parameter.shape:  # the fused kernel goes by memory, not by index
                moments[name] = torch.empty_like(parameter).copy_(value)


def _check_kinds(what: str, things: Sequence[Any], kind: type) -> None:
    for thing in things:
        if not isinstance(thing, kind):
            raise VaelensError(f"{what} of type {type(thing).__name__}; expected Lightning's {kind.__name__}")


def _csv_logger(folder: Path, ledger: Ledger) -> Logger:
    """Makes the logger of `folder/logs/metrics.csv`, begun anew with the rows the run has so far."""
    for name in ("metrics.csv", "hparams.yaml"):  # of the run as it was beyond the checkpoint: it is repeated
        (folder / "logs" / name).unlink(missing_ok=True)
    logger = CSVLogger(folder, name=None, version="logs", flush_logs_every_n_steps=1)
    for row in ledger.rows:
        logger.log_metrics(terms(row), step=int(row["step"]))
    return logger
