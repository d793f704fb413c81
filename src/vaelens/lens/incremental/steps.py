"""A part of a model as steps in order, each a call whose arguments are constants and the values of earlier steps."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from vaelens.lens.function_calls import may_hand_on
from vaelens.lens.hook_points import HookPoint

Values = dict["Step", Any]
ValueEdit = Callable[[Any], Any]  # takes a step's value, returns what flows on in its place


@dataclass(eq=False)
class Step:
    """One call.

    Attributes:
        name: for messages.
        call: what is called; None for the part's input.
        args: its arguments, in which earlier steps stand for their values.
        kwargs: likewise.
        module: the leaf module that it calls, if it does.
        state: whether it reads a parameter or buffer, and so has no arguments.
        overwrites: the steps whose values it writes over; it is given copies of them.
        function: the name of the function or method that it calls, such as "relu"; empty for a module.
    """

    name: str
    call: Callable[..., Any] | None = None
    args: tuple = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    module: nn.Module | None = None
    state: bool = False
    overwrites: tuple["Step", ...] = ()
    function: str = ""

    def __post_init__(self) -> None:
        self.inputs: tuple[Step, ...] = tuple(dict.fromkeys(references((self.args, self.kwargs))))

    def __call__(self, values: Mapping["Step", Any]) -> Any:
        """Computes its value, from those of its inputs."""
        assert self.call is not None, "the input is given, not computed"
        if self.overwrites:
            values = {**{step: values[step] for step in self.inputs}, **{o: values[o].clone() for o in self.overwrites}}
        return self.call(*filled(self.args, values), **filled(self.kwargs, values))

    def __repr__(self) -> str:
        return f"Step({self.name})"


@dataclass(eq=False)
class Program:
    """A part as steps.

    Attributes:
        steps: all of them, the input first, each after its inputs.
        result: what the part returns, in which steps stand for their values.
        calls: the step whose value the n-th call of a module is, by (module, n).
        marked: the step of a site whose activation functions return, by the site's name, where tracing has marked it.
        paths: where each leaf module that is called lies in the model.
        way: how it was found, "torch.fx" or "torch.export".
    """

    steps: list[Step]
    result: Any
    calls: dict[tuple[nn.Module, int], Step]
    paths: dict[str, nn.Module]
    way: str
    marked: dict[str, Step] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.order = {step: k for k, step in enumerate(self.steps)}
        self._users_left = last_uses(self.steps, references(self.result))

    @property
    def input(self) -> Step:
        """The step that stands for what the part is given."""
        return self.steps[0]

    def step_at(self, site: str, point: HookPoint) -> Step | None:
        """Returns the step whose value is read at a hook point, or None where the steps do not show it."""
        step = self.marked.get(site) or self.calls.get((point.module, point.number))
        if site in self.marked:
            return step
        for name in point.functions:
            handed_on = {step}  # and what may be it under another name
            readers: list[Step] = []
            for reader in self.steps:
                if not handed_on.isdisjoint(reader.inputs):
                    if reader.function == name:
                        readers.append(reader)
                    elif may_hand_on(reader.function):
                        handed_on.add(reader)
            if len(readers) != 1:
                return None
            given = readers[0].args[0] if readers[0].args else readers[0].kwargs.get("input")
            if not isinstance(given, Step) or given not in handed_on:
                return None
            step = readers[0]
        return step

    def read_last_by(self, k: int) -> Sequence[Step]:
        """Returns the steps whose values nobody reads after the k-th."""
        return self._users_left[k]

    def run(
        self,
        inputs: Tensor,
        edits: Mapping[Step, ValueEdit] | None = None,
        keep: Collection[Step] = (),
        calls: Mapping[Step, Callable[[Mapping[Step, Any]], Any]] | None = None,
    ) -> tuple[Any, Values]:
        """Runs the whole part.

        Args:
            inputs: what the part is given.
            edits: by step, what flows on in place of its value.
            keep: steps whose values are wanted, after the edits.
            calls: by step, another way to its value.

        Returns:
            The part's result, and the values of the steps to keep.
        """
        edits, calls = edits or {}, calls or {}
        wanted = set(keep)
        values: Values = {}
        kept: Values = {}
        for k, step in enumerate(self.steps):
            value = inputs if k == 0 else calls.get(step, step)(values)
            if step in edits:
                value = edits[step](value)
            values[step] = value
            if step in wanted:
                kept[step] = value
            del value
            for finished in self.read_last_by(k):
                del values[finished]
        return filled(self.result, values), kept


def references(structure: Any) -> list[Step]:
    """Lists the steps that an argument holds, however nested."""
    if isinstance(structure, Step):
        return [structure]
    if isinstance(structure, tuple | list):
        return [step for part in structure for step in references(part)]
    if isinstance(structure, dict):
        return [step for part in structure.values() for step in references(part)]
    if isinstance(structure, slice):
        return references((structure.start, structure.stop, structure.step))
    return []


def filled(structure: Any, values: Mapping[Step, Any]) -> Any:
    """Returns a structure with the values of its steps in their places."""
    if isinstance(structure, Step):
        return values[structure]
    if isinstance(structure, tuple):
        parts = [filled(part, values) for part in structure]
        return type(structure)(*parts) if hasattr(structure, "_fields") else tuple(parts)
    if isinstance(structure, list):
        return [filled(part, values) for part in structure]
    if isinstance(structure, dict):
        return {key: filled(part, values) for key, part in structure.items()}
    if isinstance(structure, slice):
        return slice(*(filled(part, values) for part in (structure.start, structure.stop, structure.step)))
    return structure


def replaced(structure: Any, other: Mapping[Step, Step]) -> Any:
    """Returns a structure with others in the places of some of its steps."""
    return filled(structure, {step: other.get(step, step) for step in references(structure)})


def pruned(steps: Sequence[Step], result: Any) -> list[Step]:
    """Keeps the steps that the result needs, in order, the input kept first."""
    needed: set[Step] = set()
    pending = references(result)
    while pending:
        step = pending.pop()
        if step not in needed:
            needed.add(step)
            pending += step.inputs
    return [step for k, step in enumerate(steps) if k == 0 or step in needed]


def last_uses(steps: Sequence[Step], results: Sequence[Step]) -> list[list[Step]]:
    """Lists for each step the steps whose values nobody reads after it."""
    last = {step: k for k, step in enumerate(steps)}
    for k, step in enumerate(steps):
        for argument in step.inputs:
            last[argument] = k
    ends: list[list[Step]] = [[] for _ in steps]
    for step, k in last.items():
        if step not in results:
            ends[k].append(step)
    return ends
