"""The search for a part's steps: by torch.fx, else by torch.export, each held against what hooks saw of the model."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.lens.incremental.layers import Layer, layer_of
from vaelens.lens.incremental.observation import Observed, observed, tried
from vaelens.lens.incremental.steps import Program, Step
from vaelens.lens.incremental.tracing import Untraceable, exported, symbolic
from vaelens.lens.points import Point, presented

TRACED, EXPORTED = "torch.fx", "torch.export"
WAYS = (TRACED, EXPORTED)
_CLOSE = 1e-5


@dataclass(frozen=True, eq=False)
class Found:
    """A part as steps.

    Attributes:
        known: the steps, and what is known of them.
        places: the step of each site.
        layers: the linear layers among the steps.
    """

    known: Observed
    places: Mapping[str, Step]
    layers: Mapping[Step, Layer]

    @property
    def program(self) -> Program:
        """The steps."""
        return self.known.program


def find_steps(
    model: nn.Module,
    part: Callable[[Tensor], Any],
    leaves: Collection[nn.Module],
    example: Tensor,
    points: Mapping[str, Point],
    seen: tuple[Any, Mapping[str, Tensor]],
    ways: Collection[str] = WAYS,
) -> Found | str:
    """The part as steps, or a clause that says why it can't be had so.

    Args:
        model: the model, in eval mode.
        part: what is traced; it runs modules of the model.
        leaves: modules that are called as they are.
        example: two rows of input.
        points: where the sites are.
        seen: what hooks saw of the same example: the result, and the activation at each site.
        ways: the ways to try, in this order.
    """
    reasons = []
    for way in ways:
        try:
            program = symbolic(model, part, leaves) if way == TRACED else exported(model, part, example.clone())
            return _checked(program, example, points, seen)
        except Untraceable as reason:
            reasons.append(str(reason))
    return "; ".join(reasons)


def _checked(
    program: Program, example: Tensor, points: Mapping[str, Point], seen: tuple[Any, Mapping[str, Tensor]]
) -> Found:
    calls = {name: (point.module, point.number) for name, point in points.items()}
    missing = [name for name, call in calls.items() if call not in program.calls]
    if missing:
        raise Untraceable(f"{program.way} does not see {', '.join(missing)}")
    trial = tried(program, example.clone())
    result, activations = seen
    _same("the part's result", trial.result, result)
    for name, call in calls.items():
        _same(name, presented(trial.returned[program.calls[call]], points[name]), activations[name])
    known = observed(trial, example)
    if not known.drawn:
        alone, _ = known.program.run(example[:1].clone())
        _same("one image alone", alone, _first(trial.result))
    places = {name: known.program.calls[call] for name, call in calls.items()}
    layers = {step: layer for step in known.program.steps if (layer := layer_of(step)) is not None}
    return Found(known, places, layers)


def _same(what: str, one: Any, other: Any) -> None:
    """Refuse steps whose values are not the model's."""
    ones, others = _tensors(one), _tensors(other)
    close = len(ones) == len(others) and all(
        a.shape == b.shape and float((a - b).abs().max()) <= _tolerance(b) * float(b.abs().max())
        for a, b in zip(ones, others, strict=True)
    )
    if not close:
        raise Untraceable(f"as steps, {what} has other values")


def _tolerance(values: Tensor) -> float:
    return max(_CLOSE, 8 * torch.finfo(values.dtype).eps)


def _first(result: Any) -> Any:
    return [tensor[:1] for tensor in _tensors(result)]


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, tuple | list):
        return [tensor for part in value for tensor in _tensors(part)]
    return []
