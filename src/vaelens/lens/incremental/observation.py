"""What a traced part does beyond its graph, such as writing over tensors or mixing images.

Seen by running it once on an example, and by the shapes for two numbers of images, which of a large part are followed
without computing anything.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from vaelens.lens.incremental.steps import Program, Step, filled, pruned, references, replaced
from vaelens.lens.incremental.untraceable import Mixing, Untraceable
from vaelens.lens.isolation import random_states

# Functions that take only the shape of a tensor: what they return does not change with its values.
_BY_SHAPE = frozenset(["empty_like", "zeros_like", "ones_like", "full_like"])
_PLAIN = (bool, int, float, str, tuple, list, slice, torch.dtype, torch.device, torch.layout, torch.memory_format)
_SMALL = 2**23  # numbers of all steps' values for one image: below it computing takes less than following shapes
_SIZES = (5, 7)  # numbers of images that no other axis is likely to have in both runs


class Kind(Enum):
    """How a step's value depends on the number of images."""

    ROWS = "one row an image"
    SAME = "the same for any images"
    COUNT = "else: computed anew for another number of images"


@dataclass(frozen=True, eq=False)
class Observed:
    """A traced part and what is known of its steps.

    Attributes:
        program: as it was traced, but that nothing is written over, and without steps that the result does not need.
        kinds: of every step.
        floats: numbers that a step's value holds for one image.
        shapes: for one image, of the values that are one tensor with a row an image.
    """

    program: Program
    kinds: Mapping[Step, Kind]
    floats: Mapping[Step, int]
    shapes: Mapping[Step, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Trial:
    """One run of a traced part, as it is.

    Attributes:
        program: the part, with later readers of what a step wrote over reading that step's result.
        result: of the part.
        floats: numbers that the values of all steps hold for one image.
    """

    program: Program
    result: Any
    floats: int


def tried(program: Program, example: Tensor, watch: Callable[[Step, Any], None], keep: Collection[Step] = ()) -> Trial:
    """Runs a traced part once, and learns what it writes over.

    Args:
        program: the part.
        example: its input.
        keep: steps that are wanted, besides those that the result needs.
        watch: told of each step's value, before a later one may write over it; a value is let go after its last use.

    Raises:
        Untraceable: it writes over what other steps still read in another form; it draws random numbers.
    """
    values: dict[Step, Any] = {program.input: example}
    stands: dict[Step, Step] = {}  # by a step that was written over, the step whose result it then is
    gone: set[Step] = set()  # written over, and nobody's result
    overwrites: dict[Step, tuple[Step, ...]] = {}
    cells = 0
    for k, step in enumerate(program.steps):
        if k == 0:
            continue
        unreadable = [argument for argument in step.inputs if argument in gone]
        if unreadable:
            raise Untraceable(f"{step.name} reads {unreadable[0].name} after it was written over")
        before = {earlier: _version(value) for earlier, value in values.items()}
        state = random_states(example.device)
        try:
            value = values[step] = step(values)
        except Exception as error:  # Python may have gone another way with a stand-in than with a tensor
            raise Untraceable(f"{step.name} does not take what it is given ({type(error).__name__})") from error
        if random_states(example.device) != state:
            raise Untraceable("it draws random numbers")
        written = [earlier for earlier, version in before.items() if _version(values[earlier]) != version]
        if any(target.state for target in written):
            raise Untraceable(f"{step.name} writes to a parameter or buffer")
        overwrites[step] = tuple(target for target in written if target in step.inputs)
        if written and not overwrites[step]:
            raise Untraceable(f"{step.name} writes over {written[0].name}, which it is not given")
        for target in written:
            if values[target] is value:
                stands[target] = step
            else:
                gone.add(target)
        watch(step, value)
        cells += 0 if step.state else _cells(value)
        del value
        for finished in program.read_last_by(k):
            del values[finished]
    if any(step in gone for step in references(program.result)):
        raise Untraceable("it returns what was written over")
    result = filled(program.result, values)
    return Trial(_rewired(program, stands, overwrites, keep), result, cells // len(example))


def observed(trial: Trial, example: Tensor) -> Observed:
    """Derives what is known of a part's steps from their shapes for two numbers of images.

    Raises:
        Untraceable: a step mixes images (`Mixing`); the shapes can't be followed.
    """
    program = trial.program
    few, many = (_shapes(program, example[:1], images, trial.floats < _SMALL) for images in _SIZES)
    kinds: dict[Step, Kind] = {}
    floats: dict[Step, int] = {}
    data = {program.input}  # steps whose values depend on more than the number of images
    for step in program.steps:
        kinds[step] = _kind(few[step], many[step])
        if any(argument in data for argument in step.inputs) and _numel(many[step]):
            data.add(step)
        if kinds[step] is Kind.ROWS and step not in data:
            kinds[step] = Kind.COUNT  # of which image a row is nothing says, such as of indices
        floats[step] = (_numel(many[step]) - _numel(few[step])) // (_SIZES[1] - _SIZES[0])
        reads_images = any(kinds[step_in] is not Kind.SAME and _numel(many[step_in]) for step_in in step.inputs)
        if not reads_images or is_by_shape(step):
            continue
        if kinds[step] is Kind.SAME and _numel(many[step]):
            raise Mixing(f"{step.name} mixes the images of a batch")
    one_image = {s: shape[1:] for s, shape in few.items() if kinds[s] is Kind.ROWS and isinstance(shape, tuple)}
    return Observed(program, kinds, floats, one_image)


def is_by_shape(step: Step) -> bool:
    """Tells whether a step takes only the shapes of what it is given."""
    return step.function in _BY_SHAPE or step.function.startswith("new_")


def _rewired(
    program: Program,
    stands: Mapping[Step, Step],
    overwrites: Mapping[Step, tuple[Step, ...]],
    keep: Collection[Step],
) -> Program:
    """Returns the program with the readers of a step that was written over reading the one that stands for it."""
    new: dict[Step, Step] = {program.input: program.input}
    now: dict[Step, Step] = {}  # what stands for a step at this point of the order
    for step in program.steps[1:]:
        read = {argument: new[_latest(argument, now)] for argument in step.inputs}
        new[step] = replace(
            step,
            args=replaced(step.args, read),
            kwargs=replaced(step.kwargs, read),
            overwrites=tuple(read[written] for written in overwrites.get(step, ())),
        )
        now |= {written: step for written, by in stands.items() if by is step}
    outputs = references(program.result)
    result = replaced(program.result, {output: new[_latest(output, now)] for output in outputs})
    calls = {call: new[step] for call, step in program.calls.items()}
    steps = pruned(list(new.values()), [result, *(new[step] for step in keep)])
    marked = {site: new[step] for site, step in program.marked.items()}
    return replace(program, steps=steps, result=result, calls=calls, marked=marked)


def _latest(step: Step, now: Mapping[Step, Step]) -> Step:
    while step in now:
        step = now[step]
    return step


def _shapes(program: Program, example: Tensor, images: int, computed: bool) -> dict[Step, Any]:
    """Finds the shape of every step's value.

    It is a tuple for a tensor, a list of such for several, else the value itself in a dictionary.
    """
    rows = example.expand(images, *example.shape[1:])
    with nullcontext() if computed else FakeTensorMode(allow_non_fake_inputs=True) as fake:
        values: dict[Step, Any] = {program.input: rows.clone() if fake is None else fake.from_tensor(rows)}
        shapes = {program.input: _shape(values[program.input])}
        for k, step in enumerate(program.steps[1:], start=1):
            try:
                values[step] = step(values)
            except Exception as error:  # a leaf module may do anything with what it is given
                raise Untraceable(f"its shapes can't be followed ({type(error).__name__})") from error
            shapes[step] = _shape(values[step])
            for finished in program.read_last_by(k):
                del values[finished]
        return shapes


def _shape(value: Any) -> Any:
    if isinstance(value, Tensor):
        return tuple(int(size) for size in value.shape)
    if isinstance(value, tuple | list) and any(isinstance(part, Tensor | tuple | list) for part in value):
        return [_shape(part) for part in value]
    if value is not None and not isinstance(value, _PLAIN):
        raise Untraceable(f"a step gives a {type(value).__name__}")
    return {"value": value}


def _kind(few: Any, many: Any) -> Kind:
    if isinstance(few, tuple):
        rows = bool(few) and (few[0], many[0]) == _SIZES and few[1:] == many[1:]
        return Kind.ROWS if rows else Kind.SAME if few == many else Kind.COUNT
    if isinstance(few, list):
        kinds = {_kind(a, b) for a, b in zip(few, many, strict=True)}
        return kinds.pop() if len(kinds) == 1 else Kind.COUNT
    same = type(few["value"]) is type(many["value"]) and few["value"] == many["value"]
    return Kind.SAME if same else Kind.COUNT


def _numel(shape: Any) -> int:
    if isinstance(shape, tuple):
        return int(torch.Size(shape).numel())
    return sum(_numel(part) for part in shape) if isinstance(shape, list) else 0


def _cells(value: Any) -> int:
    if isinstance(value, tuple | list):
        return sum(_cells(part) for part in value)
    return value.numel() if isinstance(value, Tensor) else 0


def _version(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_version(part) for part in value]
    return value._version if isinstance(value, Tensor) and not value.is_inference() else None
