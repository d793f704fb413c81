"""Schedules, Lightning callbacks that set the learning rate, or a weight of the objective, for each step.

What is set depends on the step alone, so a resumed run goes on as if it had not stopped; and it is a column of the
log. Importing this costs what Lightning costs.
"""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from vaelens.arguments import whole_number
from vaelens.errors import VaelensError, unknown
from vaelens.models import objectives
from vaelens.models.annotations import Count, Name, Rate
from vaelens.models.catalogue import Objective, find_objective
from vaelens.models.hyperparameters import Hyperparameter, Number, real_number
from vaelens.models.vae import VAE

_LR = Number("lr", "learning rate", 1e-3, 0.0, 1.0)
_DISCRIMINATOR_LR = "discriminator_lr"


@dataclass(eq=False)  # not frozen: Lightning sets attributes of its own on callbacks
class Schedule(Callback, ABC):
    """Sets one value for each step, between a value of its own and the value given to the model or to `train`.

    Its description (`describe`) is part of what a checkpoint must agree with.
    """

    name: Name
    """`lr`, or a weight of the objective."""

    @abstractmethod
    def value(self, step: int, given: float) -> float:
        """Returns what holds for a step.

        Args:
            step: the steps done before it.
            given: the value given to the model or to `train`.
        """

    @property
    @abstractmethod
    def bound(self) -> float:
        """Returns the value that it goes from, or to, besides the one given."""

    def describe(self) -> str:
        """Describes the schedule without its name, as in `WarmUp(steps=100, start=0.0)`."""
        values = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self)[1:])
        return f"{type(self).__name__}({values})"

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        training: Any = pl_module
        full_value = training.lr if self.name == _LR.name else training.step.model.hyperparameters[self.name]
        value = self.value(batch.step, float(full_value))
        if self.name in (_LR.name, _DISCRIMINATOR_LR):
            for group in trainer.optimizers[self.name == _DISCRIMINATOR_LR].param_groups:
                group["lr"] = value
        else:
            training.step.hyperparameters[self.name] = value
        training.settings[self.name] = value


@dataclass(eq=False)
class WarmUp(Schedule):
    """Rises linearly to the value given, `start + (given − start) · min(1, t / steps)` at step t (the first is 0).

    Args:
        name: `lr`, or a weight of the objective, such as `beta`.
        steps: after how many steps the value given holds, at least 1.
        start: the value of the first step.

    Raises:
        VaelensError: if a value is of the wrong kind or out of range.

    References:
        Bowman, Vilnis, Vinyals, Dai, Jozefowicz, Bengio: Generating Sentences from a Continuous Space (2016),
        section 3.1, of the weight of the KL divergence.

    Example:
        >>> WarmUp("beta", steps=100).value(25, given=4.0)
        1.0
    """

    steps: Count
    start: Rate = 0.0

    def __post_init__(self) -> None:
        self.steps = whole_number("steps", self.steps, 1)
        self.start = _number("start", self.start)

    @property
    def bound(self) -> float:
        return self.start

    def value(self, step: int, given: float) -> float:
        return self.start + (given - self.start) * min(1.0, step / self.steps)


@dataclass(eq=False)
class Cyclical(Schedule):
    """Rises linearly to the value given, which then holds until the period ends, again and again.

    `start + (given − start) · min(1, p / rise)` with `p = (t mod period) / period` at step t (the first is 0).

    Args:
        name: `lr`, or a weight of the objective, such as `beta`.
        period: steps of a period, at least 1.
        rise: the part of a period in which it rises, above 0 and at most 1.
        start: the value that each period begins with.

    Raises:
        VaelensError: if a value is of the wrong kind or out of range.

    References:
        Fu, Li, Liu, Gao, Celikyilmaz, Carin: Cyclical Annealing Schedule: A Simple Approach to Mitigating KL
        Vanishing (2019), equations 6 and 7.

    Example:
        >>> [Cyclical("beta", period=8).value(step, given=4.0) for step in (0, 2, 4, 7, 8)]
        [0.0, 2.0, 4.0, 4.0, 0.0]
    """

    period: Count
    rise: Rate = 0.5
    start: Rate = 0.0

    def __post_init__(self) -> None:
        self.period = whole_number("period", self.period, 1)
        self.rise = _number("rise", self.rise)
        if not 0 < self.rise <= 1:
            raise VaelensError(f"rise is {self.rise:g}; expected a part of the period, above 0 and at most 1")
        self.start = _number("start", self.start)

    @property
    def bound(self) -> float:
        return self.start

    def value(self, step: int, given: float) -> float:
        part = (step % self.period) / self.period
        return self.start + (given - self.start) * min(1.0, part / self.rise)


@dataclass(eq=False)
class CosineDecay(Schedule):
    """Falls from the value given along half a cosine, `end + (given − end) · (1 + cos(π · min(1, t / steps))) / 2`.

    Args:
        name: `lr`, or a weight of the objective.
        steps: after how many steps (the first is t = 0) it is at its end, where it stays; at least 1.
        end: the value it falls to.

    Raises:
        VaelensError: if a value is of the wrong kind or out of range.

    References:
        Loshchilov, Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts (2017), equation 5, without the
        restarts.

    Example:
        >>> CosineDecay("lr", steps=100).value(50, given=1e-3)
        0.0005
    """

    steps: Count
    end: Rate = 0.0

    def __post_init__(self) -> None:
        self.steps = whole_number("steps", self.steps, 1)
        self.end = _number("end", self.end)

    @property
    def bound(self) -> float:
        return self.end

    def value(self, step: int, given: float) -> float:
        return self.end + (given - self.end) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))


def describe_schedules(callbacks: Sequence[Any], model: VAE) -> dict[str, str]:
    """Describes the schedules among the callbacks, by the name of what they set.

    Raises:
        VaelensError: if two set the same, one sets what the model has not, or goes out of its range.
    """
    objective = find_objective(model.objective)
    settable: dict[str, Hyperparameter] = {_LR.name: _LR}
    settable |= {h.name: h for h in objective.hyperparameters if _can_be_set(h, objective)}
    if objective.adversarial:
        settable[_DISCRIMINATOR_LR] = replace(_LR, name=_DISCRIMINATOR_LR)
    described: dict[str, str] = {}
    for schedule in callbacks:
        if not isinstance(schedule, Schedule):
            continue
        if not isinstance(schedule.name, str) or schedule.name not in settable:
            raise unknown(f"name to schedule for {model.objective}", schedule.name, settable)
        if schedule.name in described:
            raise VaelensError(
                f"{schedule.name} has two schedules, {described[schedule.name]} and {schedule.describe()}; give one of "
                "them"
            )
        try:
            settable[schedule.name].check(schedule.bound)
        except VaelensError as error:
            raise VaelensError(f"{schedule.describe()} cannot set it: {error}") from None
        described[schedule.name] = schedule.describe()
    return described


def _can_be_set(hyperparameter: Hyperparameter, objective: Objective) -> bool:
    """Says whether the objective reads it at every step, rather than the model once when it is built."""
    read = inspect.signature(getattr(objectives, objective.function)).parameters
    return isinstance(hyperparameter, Number) and hyperparameter.name in read


def _number(name: str, value: Any) -> float:
    if not math.isfinite(real_number(value)):
        raise VaelensError(f"{name} is {value!r}; expected a number")
    return float(value)
