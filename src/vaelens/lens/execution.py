"""Execution by forward hooks: the only file that attaches any.

Every point is resolved before the first hook is attached; hooks, train/eval modes and the global random state
are put back in `finally`. A run costs one forward of its part; nothing is kept between runs.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from vaelens.errors import VaelensError
from vaelens.lens.calls import Axes, Call, Stray, Trace, activation_in
from vaelens.lens.points import Point, presented, returned

Edit = Callable[[Tensor], Tensor]  # takes a site's activation, returns what flows on in its place
Part = Callable[[Tensor], object]


@contextmanager
def undisturbed(module: nn.Module, seed: int = 0) -> Iterator[None]:
    """Run a module in eval mode, without gradients and from a fixed random state, and leave no trace.

    The train/eval mode of every submodule and the global random state are the same afterwards, also after an
    exception.
    """
    modes = [(child, child.training) for child in module.modules()]
    fast = torch.backends.mha.get_fastpath_enabled()
    cuda = _cuda_devices(module)
    # A caller's inference mode is left: its tensors have no version, by which in-place operations are found.
    with torch.random.fork_rng(devices=cuda), torch.inference_mode(False), torch.no_grad(), _uncompiled():
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed accelerators that are not in use
        for device in cuda:
            torch.cuda.default_generators[device].manual_seed(seed)
        try:
            _evaluate(module, modes)
            # A transformer's layer runs as one kernel, which rounds differently, unless a hook is inside.
            if any(isinstance(child, nn.TransformerEncoderLayer) for child, _ in modes):
                torch.backends.mha.set_fastpath_enabled(False)
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            for child, training in modes:
                if child.training != training:
                    _set_mode(child, training)


def _uncompiled() -> AbstractContextManager:
    """What torch.compile has taken over runs as it is written: compiled, it would be so anew for every set of hooks."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _evaluate(module: nn.Module, modes: Sequence[tuple[nn.Module, bool]]) -> None:
    """Put a module into eval mode: as it does itself, where one of its submodules has its own way."""
    if not any(training for _, training in modes):
        return
    if all(type(child).train is nn.Module.train and type(child).eval is nn.Module.eval for child, _ in modes):
        for child, _ in modes:
            _set_mode(child, False)
    else:
        module.eval()


def _set_mode(module: nn.Module, training: bool) -> None:
    """Put one module into train or eval mode, without its own way of setting attributes: that is slow once a batch.

    TorchScript keeps the mode outside of Python, where only its own way reaches.
    """
    if is_scripted(module):
        module.training = training
    else:
        object.__setattr__(module, "training", training)


def _cuda_devices(module: nn.Module) -> list[int]:
    if not torch.cuda.is_initialized():
        return []
    return sorted({p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"})


def trace(module: nn.Module, part: Part, inputs: Tensor, also: Collection[nn.Module] = ()) -> Trace:
    """Run one part and record every call of a leaf module that gives an activation: a tensor with the batch in front.

    Args:
        module: the model.
        part: runs modules of it.
        inputs: what the part is given.
        also: further modules whose calls to record, whatever they give.
    """
    leaves = dict.fromkeys(leaf_modules(module))
    seen: list[tuple[Call, int]] = []
    strays: list[Stray] = []
    counts: dict[nn.Module, int] = {}
    axes = Axes()

    def record(child: nn.Module, arguments: tuple, output: object) -> None:
        number = counts.get(child, 0)
        counts[child] = number + 1
        found = activation_in(child, output, len(inputs))
        if found is None:
            strays.append(Stray(child, number, _in_words(output)))
            return
        activation, element = found
        first = arguments[0] if arguments and isinstance(arguments[0], Tensor) else None
        leaf = child in leaves
        axis = axes.of(child, first, activation, element, leaf)
        seen.append((Call(child, number, first, activation, False, axis, element, leaf), activation._version))

    handles = []
    try:
        for child in leaves | dict.fromkeys(also):
            handles.append(child.register_forward_hook(record))
        result = part(inputs)
    finally:
        for handle in handles:
            handle.remove()
    # An in-place activation rewrites its argument and returns the same tensor: same object, same storage.
    calls = [replace(call, changed_later=call.output._version != version) for call, version in seen]
    return Trace(result, calls, [stray for stray in strays if stray.module in also], counts)


def execute(
    part: Part,
    inputs: Tensor,
    points: Mapping[str, Point],
    edits: Mapping[str, Edit],
    capture: Collection[str],
) -> tuple[object, dict[str, Tensor]]:
    """Run one part with edits at some sites and the activations of others captured (after the edits).

    Returns:
        The part's result and the captured activations by site.

    Raises:
        VaelensError: an edit or a capture that the forward never reached.
    """
    wanted = {name: points[name] for name in {*edits, *capture}}
    by_module: dict[nn.Module, dict[int, str]] = {}
    for name, point in wanted.items():
        by_module.setdefault(point.module, {})[point.number] = name
    captured: dict[str, Tensor] = {}
    reached: set[str] = set()
    counts: dict[nn.Module, int] = {}

    def visit(child: nn.Module, arguments: tuple, output: object) -> object:
        number = counts.get(child, 0)
        counts[child] = number + 1
        name = by_module[child].get(number)
        if name is None:
            return None
        reached.add(name)
        point = wanted[name]
        activation = presented(output, point)
        if name in edits:
            activation = edits[name](activation)
            output = returned(activation, output, point)
        if name in capture:
            captured[name] = activation.clone() if point.changed_later else activation
        return output

    handles = []
    try:
        for child in by_module:
            handles.append(child.register_forward_hook(visit))
        result = part(inputs)
    finally:
        for handle in handles:
            handle.remove()
    missed = wanted.keys() - reached
    if missed:
        raise VaelensError(
            f"the forward never reached {', '.join(sorted(missed))}: the model took another path than when its "
            "sites were found; make a new Lens with example= set to images of this kind"
        )
    return result, captured


@contextmanager
def passing(modules: Collection[nn.Module], through: Callable[[nn.Module, object], object]) -> Iterator[None]:
    """Have what some modules return pass through a function of the module and its output."""
    handles = []
    try:
        for child in modules:
            # Of the module itself, also where a copy of it runs.
            handles.append(child.register_forward_hook(lambda _, __, output, child=child: through(child, output)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def leaf_modules(module: nn.Module) -> list[nn.Module]:
    """The modules whose calls are stages or parts of them: those that call no other module, and take hooks."""
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


def is_scripted(module: nn.Module) -> bool:
    """Whether a module is TorchScript, which takes no hooks."""
    return isinstance(module, torch.jit.ScriptModule)


def _in_words(output: object) -> str:
    return f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
