"""Tracing of a part into steps by torch.fx, which follows Python with stand-ins for tensors, or by torch.export.

torch.fx calls leaf modules as they are; torch.export goes down to the operations inside them, and follows code that
asks for shapes. Neither follows code that decides by a tensor's values.
"""

import io
import logging
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree

from vaelens.lens.execution import PartFunction, passing
from vaelens.lens.function_calls import function_name
from vaelens.lens.hook_points import HookPoint
from vaelens.lens.incremental.lengths import traced_lengths
from vaelens.lens.incremental.steps import Program, Step
from vaelens.lens.incremental.untraceable import Untraceable
from vaelens.lens.isolation import is_scripted


class _PartModule(nn.Module):
    """A part as a module, with the model below it, so that its modules have paths."""

    def __init__(self, model: nn.Module, function: PartFunction):
        super().__init__()
        self.model = model
        self._function = (function,)  # in a tuple: a part that is itself a module is in the model already

    def forward(self, inputs: Any) -> Any:  # of a stand-in for a tensor too
        return self._function[0](inputs)


class _Tracer(fx.Tracer):
    """Follows a part down to given leaf modules and notes what every call of a module returned."""

    proxy_buffer_attributes = True  # so that buffers are read, and not written to, each time

    def __init__(self, leaves: Collection[nn.Module]):
        super().__init__()
        self._leaves = set(leaves)
        self._counts: dict[nn.Module, int] = {}
        self.returned: list[tuple[nn.Module, int, Any]] = []

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return m in self._leaves

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
        number = self._counts.get(m, 0)
        self._counts[m] = number + 1
        output = super().call_module(m, forward, args, kwargs)
        self.returned.append((m, number, output))
        return output


def symbolic(model: nn.Module, function: PartFunction, leaves: Collection[nn.Module]) -> Program:
    """Traces a part by torch.fx.

    Raises:
        Untraceable: it can't follow.
    """
    tracer, root = _Tracer(leaves), _PartModule(model, function)
    try:
        with traced_lengths(model):
            graph = tracer.trace(root)
    except Exception as error:  # whatever a user's code says to a stand-in for a tensor
        raise Untraceable(f"torch.fx can't follow it ({_line(error)})") from error
    steps: dict[fx.Node, Step] = {}
    paths: dict[str, nn.Module] = {}
    result: Any = None
    for node in graph.nodes:
        args, kwargs = (_with_steps(part, steps) for part in (node.args, node.kwargs))
        if node.op == "output":
            result = args[0]
        elif node.op == "placeholder":
            steps[node] = Step(node.name)
        elif node.op == "get_attr":
            steps[node] = Step(node.name, _reader(root, node.target), state=True)
        elif node.op == "call_module":
            module = root.get_submodule(node.target)
            paths[node.target.removeprefix("model").removeprefix(".")] = module
            steps[node] = Step(node.name, module, args, kwargs, module)
        else:
            method = node.op == "call_method"
            call = _method(node.target) if method else node.target
            name = node.target.strip("_") if method else function_name(node.target)
            steps[node] = Step(node.name, call, args, kwargs, function=name)
    calls = {(m, n): steps[out.node] for m, n, out in tracer.returned if isinstance(out, fx.Proxy)}
    return Program(list(steps.values()), result, calls, paths, "torch.fx")


def exported(model: nn.Module, function: PartFunction, example: Tensor, points: Mapping[str, HookPoint]) -> Program:
    """Traces a part by torch.export, for any number of images.

    Args:
        model: the model.
        function: the part; it runs modules of the model.
        example: two rows of input.
        points: where the sites are: what functions return at some of them is marked.

    Raises:
        Untraceable: it can't follow.
    """
    root = _PartModule(model, function)
    paths = {module: path for path, module in model.named_modules() if path and not is_scripted(module)}

    def through(at: nn.Module | str, output: object) -> object:
        return _marked(output, _MARKED_SITE + at if isinstance(at, str) else paths[at])

    # The graph, in which every module's output passes through a mark.
    try:
        with _quiet(), passing(paths, points, through):
            program = torch.export.export(
                root, (example,), dynamic_shapes={"inputs": {0: torch.export.Dim.AUTO}}, strict=False
            )
            if not all(_is_pure(node) for node in program.graph.nodes):
                program = program.run_decompositions({})  # into operations that write nothing; takes as long again
    except Exception as error:  # as above
        raise Untraceable(f"torch.export can't follow it ({_line(error)})") from error
    signature = program.graph_signature
    parameters = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    constants = {
        **signature.inputs_to_lifted_tensor_constants,
        **getattr(signature, "inputs_to_lifted_custom_objs", {}),
    }
    # Its nodes as steps.
    steps: dict[fx.Node, Step] = {}
    inputs: list[Step] = []
    returned: dict[str, list[Step]] = {}  # by module, what its calls gave
    outputs: Any = ()
    for node in program.graph.nodes:
        args, kwargs = (_with_steps(part, steps) for part in (node.args, node.kwargs))
        if node.op == "output":
            outputs = args[0]
        elif node.op == "placeholder" and node.name in parameters:
            steps[node] = Step(node.name, _reader(root, parameters[node.name]), state=True)
        elif node.op == "placeholder" and node.name in constants:
            steps[node] = Step(node.name, _constant(program.constants[constants[node.name]]), state=True)
        elif node.op == "placeholder":
            steps[node] = Step(node.name)
            inputs.append(steps[node])
        elif _is_mark(node):
            steps[node] = args[0]
            returned.setdefault(args[1], []).append(args[0])
        elif node.op == "call_function":
            call = torch.ops.aten.reshape.default if node.target is torch.ops.aten.view.default else node.target
            steps[node] = Step(node.name, call, args, kwargs, function=function_name(node.target))
        else:
            raise Untraceable(f"torch.export leaves a {node.op} in it")
    # What cannot be run again from the middle.
    if len(inputs) != 1:
        raise Untraceable("torch.export finds that its result does not depend on what it is given")
    written = {spec.kind.name for spec in signature.output_specs} - {"USER_OUTPUT"}
    if written:
        to = "over what it is given" if written == {"USER_INPUT_MUTATION"} else "to its own buffers"
        raise Untraceable(f"it writes {to}")
    # Which step each call of a module is.
    assert program.call_spec.out_spec is not None, "an exported program says what it returns"
    result = _pytree.tree_unflatten(list(outputs), program.call_spec.out_spec)
    ordered = dict.fromkeys([*inputs, *steps.values()])
    calls, called = _module_calls(model, {node: step for node, step in steps.items() if not _is_mark(node)})
    marked: dict[str, Step] = {}
    for path, outputs_of in returned.items():
        if path.startswith(_MARKED_SITE):
            marked[path.removeprefix(_MARKED_SITE)] = outputs_of[-1]
            continue
        calls |= {(model.get_submodule(path), number): step for number, step in enumerate(outputs_of)}
        called[path] = model.get_submodule(path)
    return Program(list(ordered), result, calls, called, "torch.export", marked)


# What a module's calls gave is lost in the operations that torch.export leaves: each output passes through a mark.

_MARKED_SITE = "site:"  # what functions returned at a site, in place of a module's path

_library = torch.library.Library("vaelens", "FRAGMENT")
_library.define("mark(Tensor output, str path) -> Tensor")
_library.impl("mark", lambda output, path: output.clone(), "CompositeExplicitAutograd")
torch.library.register_vmap(
    "vaelens::mark", lambda info, axes, output, path: (torch.ops.vaelens.mark(output, path), axes[0]), lib=_library
)


def _marked(output: Any, path: str) -> Any:
    return torch.ops.vaelens.mark(output, path) if isinstance(output, Tensor) else output


def _is_mark(node: fx.Node) -> bool:
    return node.target is torch.ops.vaelens.mark.default


def _is_pure(node: fx.Node) -> bool:
    """Tells whether a node is an operation that says of itself that it writes nothing, or none at all."""
    if node.op in ("placeholder", "output"):
        return True
    if node.op != "call_function" or isinstance(node.target, torch._ops.HigherOrderOperator):
        return False
    if not isinstance(node.target, torch._ops.OpOverload):
        return True  # Python's own: an element of several, or arithmetic of shapes
    # Normalisation of a batch in training writes its running means, and does not say so.
    names = (argument.name for argument in node.target._schema.arguments)
    arguments = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    trains = any(arguments.get(flag) is True for flag in ("training", "use_input_stats"))
    quiet = trains and any(word in node.target.name() for word in ("batch_norm", "instance_norm"))
    return not node.target._schema.is_mutable and not quiet


def _module_calls(
    model: nn.Module, steps: dict[fx.Node, Step]
) -> tuple[dict[tuple[nn.Module, int], Step], dict[str, nn.Module]]:
    """Finds the last step of each call of a module, and the modules by path.

    It is what the call returned, unless that was something older. Several calls of one module may look like one.
    """
    calls: dict[tuple[nn.Module, int], Step] = {}
    paths: dict[str, nn.Module] = {}
    modules = dict(model.named_modules())
    numbers: dict[nn.Module, dict[str, int]] = {}
    for node, step in steps.items():
        for key in (node.meta.get("nn_module_stack") or {}).values():
            path, _, _ = str(key[0]).partition("@")
            path = path.removeprefix("model").removeprefix(".")
            module = modules.get(path)
            if module is None or not str(key[0]).startswith("model"):
                continue
            seen = numbers.setdefault(module, {})
            number = seen.setdefault(str(key[0]), len(seen))
            calls[module, number] = step
            paths[path] = module
    return calls, paths


def _reader(root: nn.Module, path: str) -> Callable[[], Any]:
    """Returns a function that reads a parameter or buffer anew each time, so that it is always the model's."""
    owner, _, name = path.rpartition(".")
    module = root.get_submodule(owner)
    return lambda: getattr(module, name)


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _method(name: str) -> Callable[..., Any]:
    if name == "view":
        return _view
    return lambda tensor, *args, **kwargs: getattr(tensor, name)(*args, **kwargs)


def _view(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Returns a view, or a copy where the layout in memory, which a layer's form may have changed, allows none."""
    by_type = any(isinstance(argument, torch.dtype) for argument in (*args, *kwargs.values()))
    return tensor.view(*args, **kwargs) if by_type else tensor.reshape(*args, **kwargs)


def _with_steps(structure: Any, steps: Mapping[fx.Node, Step]) -> Any:
    """Returns arguments with steps for nodes, and torch.fx's immutable lists and dictionaries as Python's own."""
    if isinstance(structure, fx.Node):
        return steps[structure]
    if isinstance(structure, dict):
        return {key: _with_steps(part, steps) for key, part in structure.items()}
    if isinstance(structure, list):
        return [_with_steps(part, steps) for part in structure]
    if isinstance(structure, tuple):
        parts = [_with_steps(part, steps) for part in structure]
        return type(structure)(*parts) if hasattr(structure, "_fields") else tuple(parts)
    if isinstance(structure, slice):
        return slice(*(_with_steps(part, steps) for part in (structure.start, structure.stop, structure.step)))
    return structure


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences what torch warns of, logs and prints about itself, such as the graph it had when it gave up.

    Why it did is in its error, which is kept.
    """
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.split(".")[0] == "torch"]
    handlers = [(handler, handler.level) for logger in loggers for handler in logger.handlers]
    try:
        for handler, _ in handlers:
            handler.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for handler, level in handlers:
            handler.setLevel(level)


def _line(error: Exception) -> str:
    """Formats an error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}{'…' if len(text) > 160 else ''}"
