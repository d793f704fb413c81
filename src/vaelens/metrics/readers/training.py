"""The training of a factor reader's network by Lightning, imported on demand since that takes seconds."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn import functional

from vaelens.metrics.readers.examples import Batches
from vaelens.metrics.readers.network import ReaderNetwork
from vaelens.models.lightning_loop import adam, bare_trainer
from vaelens.models.surroundings import as_before, quiet
from vaelens.progress import Advance
from vaelens.shapes import FactorValues, Images


def train_network(network: ReaderNetwork, batches: Batches, lr: float, device: torch.device, advance: Advance) -> None:
    """Trains a network in place by Adam, the learning rate rising and falling once over the run.

    The loss is the cross-entropy of each factor over the images that have its label, summed over factors. The network's
    device, and all that is global, are afterwards as before.

    Args:
        network: what is trained.
        batches: what it is trained on.
        lr: the largest learning rate.
        device: where.
        advance: told of each step.

    Raises:
        KeyboardInterrupt: at Ctrl-C.

    References:
        Kingma, Ba: Adam: A Method for Stochastic Optimization (2015).
        Smith, Topin: Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates (2018).
    """
    watch = _Watch(advance)
    with quiet(), as_before(network, device):
        try:
            bare_trainer(device, [watch]).fit(_Training(network, lr, len(batches)), train_dataloaders=batches)
        except SystemExit:  # what Lightning makes of Ctrl-C
            if isinstance(watch.interruption, KeyboardInterrupt):
                raise KeyboardInterrupt("training of the factor reader was interrupted; nothing was saved") from None
            raise


def masked_loss(logits: Sequence[Tensor], labels: FactorValues) -> Tensor:
    """Computes the cross-entropy in nats of each factor over the rows that have its label, summed over factors.

    Args:
        logits: (n, size) of each factor.
        labels: (n, factors), −1 where missing.

    Example:
        >>> logits = [torch.zeros(2, 4), torch.zeros(2, 2)]
        >>> masked_loss(logits, torch.tensor([[3, -1], [-1, -1]])).exp().round().item()
        4.0
    """
    total = logits[0].new_zeros(())
    for column, factor_logits in enumerate(logits):
        labelled = (labels[:, column] >= 0).sum().clamp(min=1)  # the mean over no label at all would be NaN
        loss = functional.cross_entropy(factor_logits, labels[:, column], ignore_index=-1, reduction="sum")
        total = total + loss / labelled
    return total


class _Training(LightningModule):
    """The network with its loss and optimiser."""

    def __init__(self, network: ReaderNetwork, lr: float, steps: int) -> None:
        super().__init__()
        self.network, self.lr, self.steps = network, lr, steps

    def configure_optimizers(self) -> Any:
        optimizer = adam(self.network, self.lr)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: tuple[Images, FactorValues], batch_idx: int) -> Tensor:
        images, labels = batch
        return masked_loss(list(self.network(images).values()), labels)


class _Watch(Callback):
    """Says how far training is, and remembers what stopped it."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self.interruption: BaseException | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._advance(1)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.interruption = exception
