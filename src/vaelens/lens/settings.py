"""The settings of a lens for its sweeps, which are the way, the precision, and how much runs at once."""

from dataclasses import dataclass
from typing import Any, Literal

from vaelens.errors import unknown
from vaelens.lens.incremental.traced_part import WAYS

Precision = Literal["fp32", "bf16"]
Execution = Literal["auto", "torch.fx", "torch.export", "hooks"]

HOOKS = "forward hooks"
FP32, BF16 = PRECISIONS = ("fp32", "bf16")
EXECUTIONS = {"auto": WAYS, **{way: (way,) for way in WAYS}, "hooks": ()}


@dataclass(frozen=True)
class SweepSettings:
    """How a sweep runs the model.

    Attributes:
        rows: rows to run again at once under hooks.
        budget: what running again may take, in bytes.
        precision: "fp32" or "bf16".
    """

    rows: int
    budget: float
    precision: str


def checked_ways(execution: Any) -> tuple[str, ...]:
    """Returns the ways to trace that an execution allows.

    Raises:
        VaelensError: an unknown execution.
    """
    if not isinstance(execution, str) or execution not in EXECUTIONS:
        raise unknown("execution", execution, EXECUTIONS)
    return EXECUTIONS[execution]


def checked_precision(precision: Any) -> str:
    """Checks a precision of sweeps, and returns it.

    Raises:
        VaelensError: an unknown one.
    """
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    return precision
