"""The watch over a run, which warns of training that is probably in vain, each time once, with what to do.

It looks at the rows of the ledger alone, so a resumed run is seen as one. A FactorVAE's discriminator is not watched:
that it knows nothing (its loss is log 2) is also what success looks like.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from vaelens.errors import VaelensWarning
from vaelens.models.ledger import Row
from vaelens.models.posterior import ACTIVE_NATS
from vaelens.models.step import TrainingStep

LASTING = 500  # steps in a row after which something wrong is not just the beginning
LASTING_AT_THE_END = 200  # likewise where no more steps follow; runs shorter than this are trials


class Watch:
    """Looks at the rows of a run as they come.

    It warns when for 500 steps in a row, or for the last 200 of the run, no latent was active, or the codebook was
    all but unused: the entropy of the codes chosen below one bit, and below half of what the codebook could have.

    Args:
        step: the training step, with its model and the hyperparameters in force.
        steps: steps asked for.
    """

    def __init__(self, step: TrainingStep, steps: int) -> None:
        self.step = step
        self.steps = steps
        self._said: set[str] = set()

    def begin(self) -> None:
        """Warns of what can be seen before training."""
        values = self.step.hyperparameters
        if "annealing_steps" in values and LASTING_AT_THE_END <= self.steps < values["annealing_steps"]:
            reached = values["c_max"] * self.steps / values["annealing_steps"]
            self._warn(
                f"the capacity of this {self.step.model.objective} will end at {reached:.3g} nats, not at its c_max of "
                f"{values['c_max']:g}: annealing takes {values['annealing_steps']} steps, and {self.steps} are "
                f"trained; train longer, or build the model with annealing_steps of at most {self.steps}"
            )

    def look(self, rows: Sequence[Row], at_the_end: bool = False) -> None:
        """Warns of what the rows show.

        Args:
            rows: all rows of the run so far.
            at_the_end: whether no more follow.
        """
        enough = LASTING_AT_THE_END if at_the_end else LASTING
        for is_wrong, explain in ((self._is_collapsed, self._collapse), (self._is_unused, self._unused)):
            if rows and is_wrong(rows[-1]):
                lasted = lasting(rows, is_wrong)
                if lasted >= enough:
                    self._warn(explain(rows[-1], lasted))

    def _is_collapsed(self, row: Row) -> bool:
        asked_for = row.get("capacity", math.inf) <= ACTIVE_NATS * self.step.model.latent_dim
        return row.get("active_latents") == 0 and not asked_for

    def _collapse(self, row: Row, lasted: int) -> str:
        values = self.step.hyperparameters
        if "c_max" in values:
            cure = (
                f"raise c_max, {values['c_max']:g}, or lower annealing_steps, {values['annealing_steps']}, or gamma, "
                f"{values['gamma']:g}"
            )
        elif "beta" in values:
            cure = f"lower beta, {values['beta']:g}, or warm it up: {_warm_up('beta')}"
        elif "gamma" in values:
            cure = f"train longer, or warm gamma up, {values['gamma']:g}: {_warm_up('gamma')}"
        elif "lambda_od" in values:
            cure = "train longer, raise lr, or lower lambda_od and lambda_d, " + ", ".join(
                f"{values[name]:g}" for name in ("lambda_od", "lambda_d")
            )
        else:
            cure = f"train longer, raise lr, or train a beta-vae with a beta of 1 that is warmed up: {_warm_up('beta')}"
        return (
            f"all latents have collapsed: over the last {lasted} steps, up to step {row['step']:g}, none had a KL "
            f"above {ACTIVE_NATS} nat, so the decoder ignores the code; {cure}"
        )

    def _is_unused(self, row: Row) -> bool:
        return "perplexity" in row and row["perplexity"] < min(2.0, self.step.hyperparameters["codes"] ** 0.5)

    def _unused(self, row: Row, lasted: int) -> str:
        values = self.step.hyperparameters
        return (
            f"the codebook is all but unused: over the last {lasted} steps, up to step {row['step']:g}, a batch used "
            f"effectively {row['perplexity']:.1f} of {values['codes']} codes (perplexity), so a code says next to "
            f"nothing; build the model with a larger revival ({values['revival']:g} now: codes chosen less often a "
            f"batch are replaced) or commitment ({values['commitment']:g} now), or lower lr"
        )

    def _warn(self, message: str) -> None:
        kind = message[:20]
        if kind not in self._said:
            self._said.add(kind)
            warnings.warn(message, VaelensWarning, stacklevel=2)


def lasting(rows: Sequence[Row], is_wrong: Callable[[Row], Any]) -> int:
    """Returns for how many steps, up to the last row, every row has been wrong.

    Example:
        >>> rows = [{"step": 50, "kl": 1.0}, {"step": 100, "kl": 0.0}, {"step": 150, "kl": 0.0}]
        >>> lasting(rows, lambda row: row["kl"] == 0)
        100
    """
    first = len(rows)
    while first and is_wrong(rows[first - 1]):
        first -= 1
    if first == len(rows):
        return 0
    return int(rows[-1]["step"] - (rows[first - 1]["step"] if first else 0))


def _warm_up(name: str) -> str:
    return f"callbacks=[WarmUp({name!r}, steps=…)] (--warm-up {name}=STEPS)"
