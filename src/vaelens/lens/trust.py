"""Trust in the steps of a part, which are compared with the model now and then, and believed for a while."""

import math
import time
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.conditions import conditions
from vaelens.lens.incremental.traced_part import TracedPart

_SECONDS, _SHARE = 2.0, 20  # for which a comparison is trusted; times what it took


class Trust:
    """Compares steps with the model they are of, as Python may take another path than when they were traced."""

    def __init__(self, model: nn.Module):
        self._model, self._until = model, -math.inf

    def check(self, traced: TracedPart, function: Callable[[Tensor], Any], inputs: Tensor, precision: str) -> None:
        """Compares steps with the model in a precision, unless that was done a moment ago.

        Raises:
            VaelensError: they give other values.
        """
        began = time.monotonic()
        if began < self._until:
            return
        with conditions(self._model, None, inputs, precision):
            differs = traced.differs_from(function, inputs[:1])
        if differs:
            raise VaelensError(
                f"{type(self._model).__name__} gives other values than when its sites were found: its forward takes "
                "another path now; make a new Lens"
            )
        ended = time.monotonic()
        self._until = ended + max(_SECONDS, _SHARE * (ended - began))
