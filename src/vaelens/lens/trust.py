"""Trust in the steps of a part, which are compared with the model now and then, and believed for a while."""

import math
import time
from collections.abc import Callable
from operator import is_
from typing import Any

from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.conditions import conditions
from vaelens.lens.incremental.traced_part import TracedPart

_SECONDS, _SHARE = 2.0, 20  # for which a comparison is trusted; times what it took


class Trust:
    """Compares steps with the model they are of, as Python may take another path than when they were traced.

    It is trusted for a while, in the same sweep, and as long as no attribute of a module is set to something else.
    """

    def __init__(self, model: nn.Module):
        self._model, self._until = model, -math.inf
        self._modules = list(model.modules())
        self._held: list[list[Any]] = []  # what the modules' attributes were when steps and model were compared

    def forget(self) -> None:
        """Makes the next check compare, as when a sweep begins."""
        self._until = -math.inf

    def check(self, traced: TracedPart, function: Callable[[Tensor], Any], inputs: Tensor, precision: str) -> None:
        """Compares steps with the model in a precision, unless that was done a moment ago.

        Raises:
            VaelensError: they give other values.
        """
        began = time.monotonic()
        if began < self._until and self._holds():
            return
        with conditions(self._model, None, inputs, precision):
            differs = traced.differs_from(function, inputs[:1])
        if differs:
            raise VaelensError(
                f"{type(self._model).__name__} gives other values than when its sites were found: what it reads has "
                "been set anew, or its forward takes another path; make a new Lens"
            )
        self._held = [list(vars(module).values()) for module in self._modules]
        ended = time.monotonic()
        self._until = ended + max(_SECONDS, _SHARE * (ended - began))

    def _holds(self) -> bool:
        """Tells whether every module's attributes are the same objects as at the last comparison."""
        return all(
            len(vars(module)) == len(held) and all(map(is_, vars(module).values(), held))
            for module, held in zip(self._modules, self._held, strict=True)
        )
