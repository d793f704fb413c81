"""A part traced into steps by torch.fx, else by torch.export, each compared with what hooks saw of the model."""

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from vaelens.lens.execution import leaf_modules
from vaelens.lens.hook_points import HookPoint, presented
from vaelens.lens.incremental.layers import Layer, layer_of
from vaelens.lens.incremental.observation import Kind, Observed, observed, tried
from vaelens.lens.incremental.own_steps import own_modules
from vaelens.lens.incremental.rectified import rectified, rectify
from vaelens.lens.incremental.steps import Program, Step, references
from vaelens.lens.incremental.tracing import exported, symbolic
from vaelens.lens.incremental.untraceable import Mixing, Untraceable
from vaelens.lens.isolation import has_own_modes, isolated
from vaelens.lens.memory import is_out_of_memory
from vaelens.lens.module_state import written_storages
from vaelens.lens.same_tensors import same_but_rounding, storage_of

SYMBOLIC, EXPORTED = "torch.fx", "torch.export"
WAYS = (SYMBOLIC, EXPORTED)
# Of the largest value. Kernels for other numbers of images round otherwise, by 1e-5 after the 60 layers of a large
# decoder; in half precision rounding inside is less than a drift.
_CLOSE, _ALONE, _DRIFT = 1e-5, 1e-4, 1e-3
_PLACES = 2**18  # values of an activation that are compared at most


@dataclass(frozen=True, eq=False)
class TracedPart:
    """A part as steps.

    Attributes:
        known: the steps, and what is known of them.
        places: the step of each site.
        layers: the linear layers among the steps.
        rectified: ReLUs that may be written over what they are given.
        own_modules: the modules that steps call, where all steps are PyTorch's own, and so is the way into eval mode;
            None where one is not.
    """

    known: Observed
    places: Mapping[str, Step]
    layers: Mapping[Step, Layer]
    rectified: frozenset[Step]
    own_modules: Sequence[nn.Module] | None

    @property
    def program(self) -> Program:
        """The steps."""
        return self.known.program

    def calls(self, kept: Collection[Step]) -> dict[Step, Callable[[Mapping[Step, Any]], Any]]:
        """Returns, by step, the ways to a value that are faster than the step's own call.

        Args:
            kept: steps whose values are wanted, or edited, and so are not to be written over.
        """
        over = (step for step in self.rectified if step.inputs[0] not in kept)
        return {**self.layers, **{step: partial(rectify, step) for step in over}}

    def differs_from(self, result: Any, rows: Tensor, rounds: bool) -> bool:
        """Tells whether the steps now return something else for some rows than the model's own forward did.

        Args:
            result: what the model returned.
            rows: what it was given.
            rounds: whether values inside are of a lower precision than the result.
        """
        if any(layer.outdated for layer in self.layers.values()):
            return True
        try:
            as_steps = self.program.run(rows.clone())[0]
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return True  # the model itself has just run
        return not _agree(as_steps, result, _DRIFT if rounds else _ALONE)


@dataclass(frozen=True, eq=False)
class Sample:
    """An activation's shape, its values at so many places that two models are told apart, and its memory."""

    shape: tuple[int, ...]
    values: Tensor
    storage: int = 0


@dataclass(frozen=True, eq=False)
class FirstRun:
    """What hooks saw of a part on an example.

    Attributes:
        result: what it returned.
        samples: of the activation at each site.
    """

    result: Any
    samples: Mapping[str, Sample]


def sampled(activation: Tensor) -> Sample:
    """Takes a sample of an activation, which is all its values or, of a large one, some that are evenly spread."""
    stride = -(-activation.numel() // _PLACES)
    return Sample(tuple(activation.shape), activation.reshape(-1)[:: max(1, stride)].clone(), storage_of(activation))


def keep_sample(samples: dict[str, Sample], name: str, activation: Tensor) -> Tensor:
    """Notes a sample of an activation, and returns the activation."""
    samples[name] = sampled(activation)
    return activation


def trace_part(
    model: nn.Module,
    function: Callable[[Tensor], Any],
    example: Tensor,
    points: Mapping[str, HookPoint],
    seen: FirstRun,
    ways: Collection[str] = WAYS,
) -> TracedPart | str:
    """Traces a part into steps, or says in a clause why that can't be done.

    Args:
        model: the model, in eval mode.
        function: what is traced; it runs modules of the model.
        example: two rows of input.
        points: where the sites are.
        seen: what hooks saw of the same example.
        ways: the ways to try, in this order.

    Raises:
        Mixing: a step mixes the images of a batch, whatever the way.
    """
    reasons = []
    for way in ways:
        try:
            with isolated(model, seed=1):  # what it draws is not by chance what the hooks' run drew
                if way == SYMBOLIC:
                    program = symbolic(model, function, leaf_modules(model))
                else:
                    program = exported(model, function, example.clone(), points)
            with isolated(model):
                return _checked(model, program, example, points, seen)
        except Mixing:
            raise
        except Untraceable as reason:
            reasons.append(str(reason))
        except Exception as error:  # a user's code may do anything with a stand-in for a tensor
            reasons.append(f"{way} fails on it ({type(error).__name__}: {' '.join(str(error).split())[:120]})")
    return "; ".join(reasons)


def _checked(
    model: nn.Module,
    program: Program,
    example: Tensor,
    points: Mapping[str, HookPoint],
    seen: FirstRun,
) -> TracedPart:
    """Compares steps with what hooks saw, on two rows together and alone."""
    steps_at = {name: program.step_at(name, point) for name, point in points.items()}
    places = {name: step for name, step in steps_at.items() if step is not None}
    missing = [name for name in points if name not in places]
    if missing:
        raise Untraceable(f"{program.way} does not see {', '.join(missing)}")
    sites: dict[Step, list[str]] = {}
    for name, step in places.items():
        sites.setdefault(step, []).append(name)

    kept = written_storages(model)

    def watch(step: Step, value: Any) -> None:
        if kept and not step.state and any(storage_of(tensor) in kept for tensor in _tensors(value)):
            raise Untraceable(f"{step.name} writes into memory that the model keeps")
        for name in sites.get(step, ()):
            as_step, by_hook = sampled(presented(value, points[name])), seen.samples[name]
            if as_step.shape != by_hook.shape:
                raise Untraceable(f"as steps, {name} has another shape")
            _same(name, as_step.values, by_hook.values)

    with isolated(model):  # from the random state that the hooks' run began with
        trial = tried(program, example.clone(), watch, tuple(sites))
    _same("the part's result", trial.result, seen.result)
    known = observed(trial, example)
    for row in range(len(example)):
        alone = _alone(known.program, example[row : row + 1])
        _same("one image alone", alone, _row(trial.result, row), _ALONE)
    steps = {name: known.program.step_at(name, points[name]) for name in places}
    places = {name: step for name, step in steps.items() if step is not None}
    for name, step in places.items():
        if points[name].batch != 0:
            raise Untraceable(f"the images lie behind another axis at {name}")
        if known.kinds[step] is not Kind.ROWS and not _only_element(known, step, points[name]):
            raise Untraceable(f"what is beside {name} in a tuple has no row an image")
    layers = {step: layer for step in known.program.steps if (layer := layer_of(step)) is not None}
    over = rectified(known.program.steps, references(known.program.result))
    own = None if has_own_modes(model.modules()) else own_modules(known.program.steps)
    return TracedPart(known, places, layers, over, own)


def _only_element(known: Observed, step: Step, point: HookPoint) -> bool:
    """Tells whether nothing but the site is read of a tuple that holds it."""
    readers = [reader for reader in known.program.steps if step in reader.inputs]
    only = all(reader.call is operator.getitem and reader.args[1] == point.element for reader in readers)
    return only and step not in references(known.program.result)


def _agree(value: Any, expected: Any, tolerance: float) -> bool:
    """Tells whether the tensors in two values are the same but for rounding."""
    tensors, expected_tensors = _tensors(value), _tensors(expected)
    return len(tensors) == len(expected_tensors) and all(
        same_but_rounding(tensor, other, tolerance) for tensor, other in zip(tensors, expected_tensors, strict=True)
    )


def _same(what: str, value: Any, expected: Any, tolerance: float = _CLOSE) -> None:
    """Refuses steps whose values are not the model's."""
    types, expected_types = ([tensor.dtype for tensor in _tensors(each)] for each in (value, expected))
    if types != expected_types or not _agree(value, expected, tolerance):  # an autocast inside would be lost
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
        return [tensor for element in value for tensor in _tensors(element)]
    return []
