"""Execution by forward hooks: the only file that attaches any.

Every point is resolved before the first hook is attached; hooks, train/eval modes and the global random state
are put back in `finally`. A run costs one forward of its part; nothing is kept between runs.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from vaelens.errors import VaelensError
from vaelens.lens.sites import Call

Edit = Callable[[Tensor], Tensor]  # takes a site's activation, returns what flows on in its place
Part = Callable[[Tensor], object]


@dataclass(frozen=True)
class Point:
    """Where a site's activation leaves the module tree: the n-th call of a leaf module in one forward."""

    module: nn.Module
    number: int
    changed_later: bool
    element: int | None = None


@contextmanager
def undisturbed(module: nn.Module, seed: int = 0) -> Iterator[None]:
    """Run a module in eval mode, without gradients and from a fixed random state, and leave no trace.

    The train/eval mode of every submodule and the global random state are the same afterwards, also after an
    exception.
    """
    modes = [(child, child.training) for child in module.modules()]
    cuda = sorted({p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"})
    # A caller's inference mode is left: its tensors have no version, by which in-place operations are found.
    with torch.random.fork_rng(devices=cuda), torch.inference_mode(False), torch.no_grad():
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed accelerators that are not in use
        for device in cuda:
            torch.cuda.default_generators[device].manual_seed(seed)
        try:
            module.eval()
            yield
        finally:
            for child, training in modes:
                child.training = training


def trace(module: nn.Module, part: Part, inputs: Tensor) -> tuple[object, list[Call]]:
    """Run one part and record every call of a leaf module that gives a tensor with the batch in front."""
    seen: list[tuple[nn.Module, int, Tensor | None, Tensor, int]] = []
    counts: dict[nn.Module, int] = {}

    def record(leaf: nn.Module, arguments: tuple, output: object) -> None:
        number = counts.get(leaf, 0)
        counts[leaf] = number + 1
        if isinstance(output, Tensor) and output.ndim >= 2 and output.shape[0] == inputs.shape[0]:
            first = arguments[0] if arguments and isinstance(arguments[0], Tensor) else None
            seen.append((leaf, number, first, output, output._version))

    handles = []
    try:
        for leaf in leaf_modules(module):
            handles.append(leaf.register_forward_hook(record))
        result = part(inputs)
    finally:
        for handle in handles:
            handle.remove()
    # An in-place activation rewrites its argument and returns the same tensor: same object, same storage.
    calls = [
        Call(leaf, number, source, output, output._version != version) for leaf, number, source, output, version in seen
    ]
    return result, calls


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

    def visit(leaf: nn.Module, arguments: tuple, output: Tensor) -> Tensor | None:
        number = counts.get(leaf, 0)
        counts[leaf] = number + 1
        name = by_module[leaf].get(number)
        if name is None:
            return None
        reached.add(name)
        if name in edits:
            output = edits[name](output)
        if name in capture:
            captured[name] = output.clone() if wanted[name].changed_later else output
        return output

    handles = []
    try:
        for leaf in by_module:
            handles.append(leaf.register_forward_hook(visit))
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


def leaf_modules(module: nn.Module) -> list[nn.Module]:
    # A parametrised layer (weight or spectral norm) has one child, which computes its weight: still a leaf.
    inside = {
        part
        for child in module.modules()
        if is_parametrized(child)
        for part in child.get_submodule("parametrizations").modules()
    }
    return [
        child
        for child in module.modules()
        if child not in inside and all(name == "parametrizations" for name, _ in child.named_children())
    ]
