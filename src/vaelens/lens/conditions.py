"""The conditions that a part of a model runs under, which are as much isolation as it needs and a precision."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from vaelens.lens.incremental.traced_part import TracedPart
from vaelens.lens.isolation import isolated, isolated_steps
from vaelens.lens.module_state import ModuleState
from vaelens.lens.settings import BF16


@contextmanager
def conditions(
    model: nn.Module, traced: TracedPart | None, inputs: Tensor, precision: str, seed: int = 0
) -> Iterator[ModuleState | None]:
    """Isolates a part, and sets its precision, inside a `with`.

    Args:
        model: the model that it is of.
        traced: its steps; None where the model's own forward runs.
        inputs: what it is given.
        precision: "fp32", which is the model's own type, or "bf16".
        seed: of whatever it draws.

    Yields:
        The state to which the model returns, where its own forward runs.
    """
    isolation: AbstractContextManager
    if traced is None or traced.own_modules is None:
        isolation = isolated(model, seed)
    else:
        isolation = isolated_steps(traced.own_modules, inputs.device, seed)
    with isolation as state, torch.autocast(inputs.device.type, torch.bfloat16) if precision == BF16 else nullcontext():
        yield state
