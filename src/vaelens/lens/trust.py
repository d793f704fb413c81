"""Trust in what was found out of a part, which is compared with the model now and then, and believed for a while."""

import math
import time
from collections.abc import Callable
from operator import is_
from typing import Any

from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.cached_part import first_result, in_own_memory
from vaelens.lens.conditions import conditions
from vaelens.lens.incremental.traced_part import TracedPart
from vaelens.lens.isolation import random_states
from vaelens.lens.memory import is_out_of_memory
from vaelens.lens.row_independence import Rows
from vaelens.lens.same_tensors import same_but_rounding
from vaelens.lens.settings import BF16

_SECONDS, _SHARE = 2.0, 20  # for which a comparison is trusted; times what it took
_ALONE, _ALONE_ROUNDED = 1e-3, 0.06  # of the largest value: far above how kernels for one row round otherwise


class Trust:
    """Compares steps with the model they are of, and how its rows depend on each other, as either may change later.

    They are trusted for a while, in the same sweep, and as long as no attribute of a module is set to something else.
    """

    def __init__(self, model: nn.Module):
        self._model, self._until = model, -math.inf
        self._modules = list(model.modules())
        self._held: list[list[Any]] = []  # what the modules' attributes were when steps and model were compared

    def forget(self) -> None:
        """Makes the next check compare, as when a sweep begins."""
        self._until = -math.inf

    def check(
        self,
        traced: TracedPart | None,
        function: Callable[[Tensor], Any],
        inputs: Tensor,
        precision: str,
        rows: Rows,
    ) -> None:
        """Compares steps, if there are any, and what is known of rows with the model, unless that was done just now.

        Args:
            traced: the steps; None where the part runs under hooks.
            function: the part.
            inputs: a chunk, of which two rows are run.
            precision: "fp32" or "bf16".
            rows: how the part's rows were found to depend on each other.

        Raises:
            VaelensError: steps give other values than the model, or rows are no longer independent.
        """
        began = time.monotonic()
        if rows.coupled or (began < self._until and (traced is None or self._holds())):
            return
        few, rounds = inputs[:2], precision == BF16
        with conditions(self._model, None, inputs, precision) as state:
            assert state is not None, "the model itself is isolated"
            before = random_states(inputs.device)
            result = in_own_memory(function(few.clone()), rows.reuses_memory)
            beside = first_result(result)[:1].clone()
            after = random_states(inputs.device)
            draws = state.drew() or (after != before and self._comes_to(after, function, few, precision))
            differs = traced is not None and traced.differs_from(result, few, rounds)
        mixes = len(few) > 1 and not (draws or differs) and not self._same_alone(function, few, beside, precision)
        name = type(self._model).__name__
        if differs:
            raise VaelensError(
                f"{name} gives other values than when its sites were found: what it reads has been set anew, or its "
                "forward takes another path; make a new Lens"
            )
        if draws or mixes:
            does = (
                f"{name} now draws random numbers"
                if draws
                else f"what {name} makes of an image now depends on the others of its batch"
            )
            raise VaelensError(f"{does}, as it did not when its sites were found; make a new Lens")
        if traced is not None:
            self._held = [list(vars(module).values()) for module in self._modules]
        ended = time.monotonic()
        self._until = ended + max(_SECONDS, _SHARE * (ended - began))

    def _comes_to(self, states: Any, function: Callable[[Tensor], Any], few: Tensor, precision: str) -> bool:
        """Tells whether a part moves the random states as before, and no other thread of the process has."""
        with conditions(self._model, None, few, precision):
            function(few.clone())
            return random_states(few.device) == states

    def _same_alone(self, function: Callable[[Tensor], Any], few: Tensor, beside: Tensor, precision: str) -> bool:
        """Tells whether a part makes of the first of some rows alone what it made of it beside the others."""
        try:
            with conditions(self._model, None, few, precision):  # from the state in which it ran before
                alone = first_result(function(few[:1].clone())).clone()  # which the model may write over
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return False
        return same_but_rounding(alone, beside, _ALONE_ROUNDED if precision == BF16 else _ALONE)

    def _holds(self) -> bool:
        """Tells whether every module's attributes are the same objects as at the last comparison."""
        return all(
            len(vars(module)) == len(held) and all(map(is_, vars(module).values(), held))
            for module, held in zip(self._modules, self._held, strict=True)
        )
