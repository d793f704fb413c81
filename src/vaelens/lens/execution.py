"""Execution by forward hooks, which no other file attaches.

Every hook point is resolved before the first hook is attached, and hooks are removed in `finally`. A run costs one
forward of its part; nothing is kept between runs.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from vaelens.errors import VaelensError
from vaelens.lens.calls import SECOND, Axes, Call, Shapes, Stray, Trace, activation_in, batch_axis
from vaelens.lens.function_calls import FunctionRecorder, FunctionWatcher, arranges, belongs, version_of
from vaelens.lens.hook_points import HookPoint, presented, returned
from vaelens.lens.isolation import is_scripted
from vaelens.lens.row_order import RowOrder

ActivationEdit = Callable[[Tensor], Tensor]  # takes a site's activation, returns what flows on in its place
PartFunction = Callable[[Tensor], Any]


def trace(
    module: nn.Module,
    function: PartFunction,
    inputs: Tensor,
    also: Collection[nn.Module] = (),
    other: Trace | None = None,
    order: Sequence[int] = (),
) -> Trace:
    """Runs one part and records every call that returns an activation, a tensor with an axis of images.

    Recorded are calls of leaf modules and, after them, of the functions that may belong to their stages.

    Args:
        module: the model.
        function: the part; it runs modules of the model.
        inputs: what the part is given.
        also: further modules whose calls to record, whatever they return.
        other: a trace for another number of images; without it no call is recorded.
        order: for each image its place among the other trace's.
    """
    leaves = dict.fromkeys(leaf_modules(module))
    calls: list[tuple[Call, int | None]] = []
    last_call: dict[int, tuple[Call, int | None]] = {}  # by the id of an output that a recorded call holds
    strays: list[Stray] = []
    counts: dict[nn.Module, int] = {}
    shapes: Shapes = {}
    rows = RowOrder(inputs)
    other_shapes, others = ({}, 0) if other is None else (other.shapes, other.rows.images)
    axes = Axes()

    def add(call: Call) -> None:
        calls.append((call, version_of(call.output)))
        last_call[id(call.output)] = calls[-1]

    def written(source: Tensor | None, version: int | None) -> bool:
        """Tells whether something was written over what a call returned, as `h += x` does, before the next reads it."""
        known = last_call.get(id(source))
        return known is not None and (known[1] != version or id(source) in recorder.unversioned)

    def record_function(name: str, source: Tensor, output: Tensor, version: int | None) -> None:
        before, _ = last_call.get(id(source), (None, None))
        if before is None or not before.leaf or written(source, version):
            return
        keeps = belongs(name, source, output)
        if keeps or (before.batch == 0 and arranges(name, source, output)):
            axis = before.axis if source.ndim == output.ndim else SECOND
            functions = (*before.functions, name)
            add(
                replace(
                    before,
                    source=source,
                    output=output,
                    axis=axis,
                    functions=functions,
                    arranges=not keeps,
                    source_written=False,
                )
            )

    recorder = FunctionRecorder(record_function)
    versions: list[int | None] = []  # of what each leaf that is running was given

    def enter(child: nn.Module, arguments: tuple) -> None:
        if child in leaves:
            versions.append(version_of(arguments[0]) if arguments and isinstance(arguments[0], Tensor) else None)
            if recorder.inside == 0:
                for argument in arguments:
                    if isinstance(argument, Tensor):
                        recorder.use(argument)
            recorder.inside += 1

    def record(child: nn.Module, arguments: tuple, output: object) -> None:
        leaf = child in leaves
        version_before = versions.pop() if leaf else None
        recorder.inside -= leaf
        if leaf and recorder.inside == 0 and isinstance(output, Tensor) and any(output is given for given in arguments):
            recorder.returned(output)
        number = counts.get(child, 0)
        counts[child] = number + 1
        returned_tensor = activation_in(output)
        batch = None
        if returned_tensor is not None:
            shape = shapes[child, number] = tuple(returned_tensor[0].shape)
            rows.note((child, number), returned_tensor[0])
            batch = batch_axis(shape, len(inputs), other_shapes.get((child, number)), others)
        if returned_tensor is None or batch is None:
            strays.append(Stray(child, number, _in_words(output)))
            return
        activation, element = returned_tensor
        source = arguments[0] if arguments and isinstance(arguments[0], Tensor) else None
        axis = axes.of(child, source, activation, element, leaf)
        in_place = activation is source and version_before != version_of(activation)
        changed = leaf and written(source, version_before)
        how = {"batch": batch, "in_place": in_place, "source_written": changed}
        add(Call(child, number, source, activation, False, axis, element, leaf, **how))

    handles = []
    try:
        for child in leaves | dict.fromkeys(also):
            handles.append(child.register_forward_pre_hook(enter))
            handles.append(child.register_forward_hook(record))
        with recorder:
            result = function(inputs)
    finally:
        for handle in handles:
            handle.remove()
    # An in-place activation rewrites its argument and returns the same tensor: same object, same storage.
    complete = [
        replace(
            call,
            changed_later=version is None or call.output._version != version,
            used_once=recorder.uses.get(id(call.output), 0) <= 1,
            moved=id(call.output) in recorder.moved,
        )
        for call, version in calls
    ]
    if other is not None:
        moved = rows.moved(other.rows, order, {(call.module, call.number): call.batch for call in complete})
        strays += [Stray(*call, "a tensor that holds the images in another order") for call in moved]
        complete = [call for call in complete if (call.module, call.number) not in moved]
    own = {id(parameter) for parameter in module.parameters()}
    foreign = any(key not in own for key in recorder.parameters)
    return Trace(result, complete, strays, counts, shapes, foreign, recorder.origins, rows)


def execute(
    function: PartFunction,
    inputs: Tensor,
    points: Mapping[str, HookPoint],
    edits: Mapping[str, ActivationEdit],
    capture: Collection[str],
) -> tuple[Any, dict[str, Tensor]]:
    """Runs one part, edits the activations of some sites, and captures those of some after the edits.

    Returns:
        The part's result and the captured activations by site.

    Raises:
        VaelensError: an edit or a capture that the forward never reached.
    """
    wanted = {name: points[name] for name in {*edits, *capture}}
    by_call: dict[nn.Module, dict[int, list[str]]] = {}
    for name, point in wanted.items():
        by_call.setdefault(point.module, {}).setdefault(point.number, []).append(name)
    captured: dict[str, Tensor] = {}
    reached: set[str] = set()
    counts: dict[nn.Module, int] = {}

    def at_site(name: str, output: Any) -> Any:
        reached.add(name)
        point = wanted[name]
        activation = presented(output, point)
        if len(activation) != len(inputs):
            raise VaelensError(
                f"{name} holds {len(activation)} rows for {len(inputs)} of the input: the model runs them in pieces "
                "there, or leaves some out; give encode= and decode= that run all at once, or leave this site out"
            )
        if name in edits:
            activation = edits[name](activation)
            output = returned(activation, output, point)
        if name in capture:
            captured[name] = activation.clone() if point.changed_later or activation.is_inference() else activation
        return output

    watcher = FunctionWatcher(at_site)

    def visit(child: nn.Module, arguments: tuple, output: object) -> object:
        number = counts.get(child, 0)
        counts[child] = number + 1
        names = by_call[child].get(number, ())
        for name in names:
            if not wanted[name].functions:
                replaced = at_site(name, output)
                # What a module that writes over its argument returns may never be looked at.
                written = wanted[name].in_place and isinstance(output, Tensor) and replaced is not output
                output = output.copy_(replaced) if written else replaced  # pyright: ignore[reportAttributeAccessIssue]
        for name in names:
            point = wanted[name]
            if point.functions:
                followed = output if isinstance(output, Tensor) else output[point.element]  # pyright: ignore
                watcher.follow(followed, name, point.functions)
        return output

    with ExitStack() as stack:
        for child in by_call:
            stack.callback(child.register_forward_hook(visit).remove)
        if any(point.functions for point in wanted.values()):
            stack.enter_context(watcher)
        result = function(inputs)
    missed = wanted.keys() - reached
    if missed:
        raise VaelensError(
            f"the forward never reached {', '.join(sorted(missed))}: the model took another path than when its "
            "sites were found; make a new Lens with example= set to images of this kind"
        )
    return result, captured


@contextmanager
def passing(
    modules: Collection[nn.Module],
    points: Mapping[str, HookPoint],
    through: Callable[[nn.Module | str, object], object],
) -> Iterator[None]:
    """Passes what some modules return, and the activations at sites that no such module returns, through a function.

    Args:
        modules: the modules.
        points: hook points by site, of which those after functions count.
        through: takes the module or the site's name, and the output.
    """
    followed: dict[nn.Module, list[tuple[str, HookPoint]]] = {}
    for name, point in points.items():
        if point.functions:
            followed.setdefault(point.module, []).append((name, point))
    counts: dict[nn.Module, int] = {}
    watcher = FunctionWatcher(lambda name, output: through(name, output))  # pyright: ignore[reportArgumentType]

    def visit(child: nn.Module, output: Any) -> Any:
        number = counts.get(child, 0)
        counts[child] = number + 1
        output = through(child, output)
        for name, point in followed.get(child, ()):
            if point.number == number and isinstance(output, Tensor):
                watcher.follow(output, name, point.functions)
        return output

    with ExitStack() as stack:
        for child in modules:
            # Of the module itself, also where a copy of it runs.
            hook = child.register_forward_hook(lambda _, __, output, child=child: visit(child, output))
            stack.callback(hook.remove)
        for name, point in points.items():
            if point.module not in modules:  # of a level that is drawn
                hook = point.module.register_forward_hook(lambda _, __, output, name=name: through(name, output))
                stack.callback(hook.remove)
        if followed:
            stack.enter_context(watcher)
        yield


def leaf_modules(module: nn.Module) -> list[nn.Module]:
    """Finds the modules that call no other module and take hooks, whose calls are stages or parts of them."""
    # A parametrised layer (weight or spectral norm) has one child, which computes its weight: still a leaf. So is
    # attention, which takes the weights of its projection without calling it.
    attention = [child for child in module.modules() if isinstance(child, nn.MultiheadAttention)]
    inside = {
        part
        for child in module.modules()
        if is_parametrized(child)
        for part in child.get_submodule("parametrizations").modules()
    } | {part for child in attention for part in child.modules() if part is not child}
    return [
        child
        for child in module.modules()
        if child not in inside
        and not is_scripted(child)
        and (child in attention or all(name == "parametrizations" for name, _ in child.named_children()))
    ]


def has_hooks(modules: Collection[nn.Module]) -> bool:
    """Tells whether any module has hooks of somebody else, or all modules of the process have."""
    everywhere = torch.nn.modules.module
    return bool(everywhere._global_forward_hooks or everywhere._global_forward_pre_hooks) or any(
        module._forward_hooks or module._forward_pre_hooks for module in modules
    )


def _in_words(output: object) -> str:
    return f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
