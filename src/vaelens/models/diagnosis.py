"""The cause of a loss that is no number any more, by the part that computed it first, and what to do.

What is known is the first step whose terms are not all finite; the encoder's terms do not depend on the decoder.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from vaelens.errors import VaelensError
from vaelens.models.ledger import Row, kl_per_latent, scalars
from vaelens.models.own_modules import STANDARD
from vaelens.models.vae import VAE

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class LostLoss(VaelensError):
    """A loss, or weights, that are not finite any more."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The facts about a run by which an error explains itself."""

    model: VAE
    lr: float

    def lost_loss(self, step: int, row: Row) -> LostLoss:
        """Returns the error for a loss that is not finite.

        Args:
            step: the first step it was not, from 1.
            row: the terms of that step.
        """
        named = {name: value for name, value in scalars(row).items() if name != "squared_error"}
        terms = ", ".join(f"{name} {value:g}" for name, value in named.items())
        lost = [name for name, value in named.items() if not math.isfinite(value)]
        encoder = "kl" in lost or "commitment" in lost or not all(map(math.isfinite, kl_per_latent(row)))
        begin = f"the loss was lost at step {step} ({terms}): "
        if encoder or "reconstruction" in lost:
            part = "encoder" if encoder else "decoder"
            return LostLoss(f"{begin}the {part}'s output was the first that was not finite; {self._advice(step, part)}")
        if lost == ["loss"]:
            weights = ", ".join(f"{name} {value}" for name, value in self.model.hyperparameters.items())
            return LostLoss(f"{begin}each term is finite, their weighted sum is not; lower the weights ({weights})")
        if lost == ["discriminator"]:
            rate = self.model.hyperparameters["discriminator_lr"]
            return LostLoss(f"{begin}the discriminator diverged; lower discriminator_lr, {rate}")
        first = next(name for name in lost if name != "loss")
        return LostLoss(f"{begin}{first} was the first that was not finite; {self._advice(step)}")

    def lost_weights(self, step: int, name: str) -> LostLoss:
        """Returns the error for weights that are not finite after a step whose loss was."""
        return LostLoss(
            f"the weights were lost at step {step}: the loss was finite, its gradient was not ({name}); "
            f"{self._advice(step)}"
        )

    def _advice(self, step: int, part: str | None = None) -> str:
        """Says what to do, as the learning rate is no cause before the first update and a user's own module may be."""
        suspects = [part] if part is not None and step == 1 else ["encoder", "decoder"]  # a gradient spoils both
        own = [
            f"{name}, {self.model.modules_from[name]},"
            for name in suspects
            if self.model.modules_from[name] != STANDARD
        ]
        yours = (
            f"your {' or '.join(own)} computes a value or a gradient that is not finite, as of a division by 0 or "
            "of the logarithm or root of 0 (torch.autograd.set_detect_anomaly(True) shows where)"
        )
        slower = f"the learning rate, {self.lr:g}, is probably too high; try {self.lr / 10:g}"
        if step == 1:
            still = "no weight was changed before, so the learning rate is not the cause: "
            return still + (yours if own else "the model's weights are too large; build it anew with build_model")
        return f"either {yours}, or {slower}" if own else slower


def check_weights(model: VAE) -> None:
    """Refuses to train from weights that are not finite.

    Raises:
        VaelensError: naming the first.
    """
    for name, parameter in model.named_parameters():
        if parameter.is_meta or parameter.dtype not in _FLOATS:
            where = "on the meta device, without values" if parameter.is_meta else f"of {parameter.dtype}"
            raise VaelensError(
                f"the model's {name} is {where}; expected weights to train, of torch.float32: build the model anew"
            )
    name = first_not_finite(model)
    if name is not None:
        raise VaelensError(
            f"the model's {name} holds NaN or infinity; expected finite weights: build the model anew, or load "
            "one that was trained well"
        )


def first_not_finite(module: nn.Module) -> str | None:
    """Returns the name of the first weight that is not finite, if any. (Buffers may hold infinity, as masks do.)"""
    for name, parameter in module.named_parameters():
        if not torch.isfinite(parameter).all():
            return name
    return None
