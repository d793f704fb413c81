"""What a traced part does beyond its graph: which steps write over tensors, draw random numbers, or mix images.

Seen by running it once on an example, and, without computing anything, by the shapes for two numbers of images.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from vaelens.lens.incremental.steps import Program, Step, filled, pruned, references, replaced
from vaelens.lens.incremental.tracing import Untraceable

# Of a tensor they take only the shape: what they give does not change with its values.
_BY_SHAPE = ("rand_like", "randn_like", "randint_like", "empty_like", "zeros_like", "ones_like", "full_like", "new_")
_PLAIN = (bool, int, float, str, tuple, list, slice, torch.dtype, torch.device, torch.layout, torch.memory_format)
_SMALL = 2**23  # numbers of all steps' values for one image: below it computing takes less than following shapes
_SIZES = (5, 7)  # numbers of images that no other axis is likely to have in both runs


class Kind(Enum):
    """How a step's value hangs on the number of images."""

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
        drawn: steps that draw random numbers.
    """

    program: Program
    kinds: Mapping[Step, Kind]
    floats: Mapping[Step, int]
    shapes: Mapping[Step, tuple[int, ...]]
    drawn: frozenset[Step]


@dataclass(frozen=True, eq=False)
class Trial:
    """One run of a traced part, as it is.

    Attributes:
        program: the part, with later readers of what a step wrote over reading that step's result.
        drawn: steps that drew random numbers.
        result: of the part.
        floats: numbers that the values of all steps hold for one image.
    """

    program: Program
    drawn: frozenset[Step]
    result: Any
    floats: int


def tried(program: Program, example: Tensor, watch: Callable[[Step, Any], None]) -> Trial:
    """Run a traced part once, and learn what it writes over and where it draws random numbers.

    Args:
        program: the part.
        example: its input.
        watch: told of each step's value, before a later one may write over it; a value is let go after its last use.

    Raises:
        Untraceable: it writes over what other steps still read in another form.
    """
    values: dict[Step, Any] = {program.input: example}
    stands: dict[Step, Step] = {}  # by a step that was written over, the step whose result it then is
    gone: set[Step] = set()  # written over, and nobody's result
    overwrites: dict[Step, tuple[Step, ...]] = {}
    drawn: set[Step] = set()
    cells = 0
    for k, step in enumerate(program.steps):
        if k == 0:
            continue
        unreadable = [one for one in step.inputs if one in gone]
        if unreadable:
            raise Untraceable(f"{step.name} reads {unreadable[0].name} after it was written over")
        before = {one: _version(value) for one, value in values.items()}
        state = _random_state(example)
        try:
            value = values[step] = step(values)
        except Exception as error:  # Python may have gone another way with a stand-in than with a tensor
            raise Untraceable(f"{step.name} does not take what it is given ({type(error).__name__})") from error
        if not torch.equal(state, _random_state(example)):
            drawn.add(step)
        written = [one for one, version in before.items() if _version(values[one]) != version]
        if any(one.state for one in written):
            raise Untraceable(f"{step.name} writes to a parameter or buffer")
        overwrites[step] = tuple(one for one in written if one in step.inputs)
        if written and not overwrites[step]:
            raise Untraceable(f"{step.name} writes over {written[0].name}, which it is not given")
        for one in written:
            if values[one] is value:
                stands[one] = step
            else:
                gone.add(one)
        watch(step, value)
        cells += 0 if step.state else _cells(value)
        del value
        for done in program.read_last_by(k):
            del values[done]
    if any(one in gone for one in references(program.result)):
        raise Untraceable("it returns what was written over")
    result = filled(program.result, values)
    rewired, new = _rewired(program, stands, overwrites)
    return Trial(rewired, frozenset(new[step] for step in drawn), result, cells // len(example))


def observed(trial: Trial, example: Tensor) -> Observed:
    """What is known of a part's steps from their shapes for two numbers of images.

    Raises:
        Untraceable: a step mixes images, or draws from what it computes; the shapes can't be followed.
    """
    program = trial.program
    few, many = (_shapes(program, example[:1], images, trial.floats < _SMALL) for images in _SIZES)
    kinds: dict[Step, Kind] = {}
    floats: dict[Step, int] = {}
    data = {program.input, *trial.drawn}  # steps whose values hang on more than the number of images
    for step in program.steps:
        kinds[step] = _kind(few[step], many[step])
        if any(one in data for one in step.inputs) and _numel(many[step]):
            data.add(step)
        if kinds[step] is Kind.ROWS and step not in data:
            kinds[step] = Kind.COUNT  # of which image a row is nothing says, such as of indices
        if kinds[step] is Kind.COUNT and step in trial.drawn:
            raise Untraceable(f"{step.name} draws random numbers, but not a row an image")
        floats[step] = (_numel(many[step]) - _numel(few[step])) // (_SIZES[1] - _SIZES[0])
        values_of = [one for one in step.inputs if kinds[one] is not Kind.SAME and _numel(many[one])]
        if not values_of or is_by_shape(step):
            continue
        if step in trial.drawn:
            raise Untraceable(f"{step.name} draws random numbers from what it is given")
        if kinds[step] is Kind.SAME and _numel(many[step]):
            raise Untraceable(f"{step.name} mixes the images of a batch")
    one_image = {s: shape[1:] for s, shape in few.items() if kinds[s] is Kind.ROWS and isinstance(shape, tuple)}
    return Observed(program, kinds, floats, one_image, trial.drawn)


def is_by_shape(step: Step) -> bool:
    """Whether it takes only the shapes of what it is given."""
    return step.module is None and not step.state and step.name.startswith(_BY_SHAPE)


def _rewired(
    program: Program, stands: Mapping[Step, Step], overwrites: Mapping[Step, tuple[Step, ...]]
) -> tuple[Program, Mapping[Step, Step]]:
    """The program with readers of what was written over reading what stands for it, and its steps by the old ones."""
    new: dict[Step, Step] = {program.input: program.input}
    now: dict[Step, Step] = {}  # what stands for a step at this point of the order
    for step in program.steps[1:]:
        read = {one: new[_latest(one, now)] for one in step.inputs}
        new[step] = replace(
            step,
            args=replaced(step.args, read),
            kwargs=replaced(step.kwargs, read),
            overwrites=tuple(read[one] for one in overwrites.get(step, ())),
        )
        now |= {one: step for one, by in stands.items() if by is step}
    result = replaced(program.result, {one: new[_latest(one, now)] for one in references(program.result)})
    calls = {call: new[step] for call, step in program.calls.items()}
    return replace(program, steps=pruned(list(new.values()), result), result=result, calls=calls), new


def _latest(step: Step, now: Mapping[Step, Step]) -> Step:
    while step in now:
        step = now[step]
    return step


def _shapes(program: Program, example: Tensor, images: int, computed: bool) -> dict[Step, Any]:
    """The shape of every step's value: a tuple for a tensor, a list of such for several, else the value itself."""
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
            for done in program.read_last_by(k):
                del values[done]
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
    return value._version if isinstance(value, Tensor) else None


def _random_state(like: Tensor) -> Tensor:
    return torch.cuda.get_rng_state(like.device) if like.is_cuda else torch.random.get_rng_state()
