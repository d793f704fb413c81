"""The search for a part's steps: by torch.fx, else by torch.export, each held against what hooks saw of the model."""

import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.lens.execution import undisturbed
from vaelens.lens.incremental.layers import Layer, layer_of
from vaelens.lens.incremental.observation import Kind, Observed, observed, tried
from vaelens.lens.incremental.rectified import rectified, rectify
from vaelens.lens.incremental.steps import Program, Step, references
from vaelens.lens.incremental.tracing import Untraceable, exported, symbolic
from vaelens.lens.points import Point, presented

TRACED, EXPORTED = "torch.fx", "torch.export"
WAYS = (TRACED, EXPORTED)
_CLOSE = 1e-5
_ALONE = (
    1e-4  # kernels for one image round otherwise than those for two: by 1e-5 after the 60 layers of a large decoder
)
_PLACES = 2**18  # values of an activation that are compared at most


@dataclass(frozen=True, eq=False)
class Found:
    """A part as steps.

    Attributes:
        known: the steps, and what is known of them.
        places: the step of each site.
        layers: the linear layers among the steps.
        rectified: ReLUs that may be written over what they are given.
    """

    known: Observed
    places: Mapping[str, Step]
    layers: Mapping[Step, Layer]
    rectified: frozenset[Step]

    @property
    def program(self) -> Program:
        """The steps."""
        return self.known.program

    def calls(self, left: Collection[Step]) -> dict[Step, Callable[[Mapping[Step, Any]], Any]]:
        """The ways to the steps' values that are fast here.

        Args:
            left: steps whose values are wanted, or edited, and so are not to be written over.
        """
        over = (step for step in self.rectified if step.inputs[0] not in left)
        return {**self.layers, **{step: partial(rectify, step) for step in over}}


@dataclass(frozen=True, eq=False)
class Sample:
    """An activation's shape, and its values at so many places that two models are told apart."""

    shape: tuple[int, ...]
    values: Tensor


def sampled(activation: Tensor) -> Sample:
    """All values of an activation, or, evenly spread, some of a large one, of which not every site's fits in memory."""
    every = -(-activation.numel() // _PLACES)
    return Sample(tuple(activation.shape), activation.reshape(-1)[:: max(1, every)].clone())


def find_steps(
    model: nn.Module,
    part: Callable[[Tensor], Any],
    leaves: Collection[nn.Module],
    example: Tensor,
    points: Mapping[str, Point],
    seen: tuple[Any, Mapping[str, Sample]],
    ways: Collection[str] = WAYS,
) -> Found | str:
    """The part as steps, or a clause that says why it can't be had so.

    Args:
        model: the model, in eval mode.
        part: what is traced; it runs modules of the model.
        leaves: modules that are called as they are.
        example: two rows of input.
        points: where the sites are.
        seen: what hooks saw of the same example: the result, and a sample of the activation at each site.
        ways: the ways to try, in this order.
    """
    reasons = []
    for way in ways:
        try:
            program = symbolic(model, part, leaves) if way == TRACED else exported(model, part, example.clone())
            return _checked(model, program, example, points, seen)
        except Untraceable as reason:
            reasons.append(str(reason))
    return "; ".join(reasons)


def _checked(
    model: nn.Module,
    program: Program,
    example: Tensor,
    points: Mapping[str, Point],
    seen: tuple[Any, Mapping[str, Sample]],
) -> Found:
    calls = {name: (point.module, point.number) for name, point in points.items()}
    missing = [name for name, call in calls.items() if call not in program.calls]
    if missing:
        raise Untraceable(f"{program.way} does not see {', '.join(missing)}")
    result, activations = seen
    sites: dict[Step, list[str]] = {}
    for name, call in calls.items():
        sites.setdefault(program.calls[call], []).append(name)

    def watch(step: Step, value: Any) -> None:
        for name in sites.get(step, ()):
            one, other = sampled(presented(value, points[name])), activations[name]
            if one.shape != other.shape:
                raise Untraceable(f"as steps, {name} has another shape")
            _same(name, one.values, other.values)

    with undisturbed(model):  # from the random state that the hooks' run began with
        trial = tried(program, example.clone(), watch)
    _same("the part's result", trial.result, result)
    known = observed(trial, example)
    if known.drawn:
        with undisturbed(model):
            _same("the part's result", known.program.run(example.clone())[0], trial.result)
    else:
        for row in range(len(example)):
            alone = _alone(known.program, example[row : row + 1])
            _same("one image alone", alone, _row(trial.result, row), _ALONE)
    places = {name: known.program.calls[call] for name, call in calls.items()}
    for name, step in places.items():
        if known.kinds[step] is not Kind.ROWS and not _only_element(known, step, points[name]):
            raise Untraceable(f"what is beside {name} in a tuple has no row an image")
    layers = {step: layer for step in known.program.steps if (layer := layer_of(step)) is not None}
    return Found(known, places, layers, rectified(known.program.steps, references(known.program.result)))


def _only_element(known: Observed, step: Step, point: Point) -> bool:
    """Whether of a tuple that holds a site nothing but the site is read."""
    readers = [one for one in known.program.steps if step in one.inputs]
    read = all(one.call is operator.getitem and one.args[1] == point.element for one in readers)
    return read and step not in references(known.program.result)


def _same(what: str, one: Any, other: Any, tolerance: float = _CLOSE) -> None:
    """Refuse steps whose values are not the model's."""
    ones, others = _tensors(one), _tensors(other)
    close = len(ones) == len(others) and all(
        a.shape == b.shape
        and float((a - b).abs().max()) <= max(tolerance, 8 * torch.finfo(b.dtype).eps) * float(b.abs().max())
        for a, b in zip(ones, others, strict=True)
    )
    if not close:
        raise Untraceable(f"as steps, {what} has other values")


def _alone(program: Program, image: Tensor) -> Any:
    try:
        return program.run(image.clone())[0]
    except Exception as error:  # a model may count on more than one
        raise Untraceable(f"it does not take one image alone ({type(error).__name__})") from error


def _row(result: Any, row: int) -> Any:
    return [tensor[row : row + 1] for tensor in _tensors(result)]


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, tuple | list):
        return [tensor for part in value for tensor in _tensors(part)]
    return []
