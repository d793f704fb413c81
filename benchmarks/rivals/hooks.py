"""Plain PyTorch: one forward with one hook for each unit."""

from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor, nn

import vaelens as vl
from benchmarks.rivals import norms
from benchmarks.subject import PARTS, Part, point_names


def patching(part: Part, inputs: Tensor, others: Tensor) -> Tensor:
    """Mean ‖f_patched − f_base‖ of every unit, by one forward of the part for each."""
    unpatched, effects = part(inputs), []
    for name in part.points:
        point = part.get_submodule(name)
        given = activation(point, lambda: part(others))
        for unit in range(given.shape[1]):
            with replaced(point, unit, given):
                effects.append(norms(part(inputs) - unpatched).mean())
    return torch.stack(effects)


@torch.no_grad()
def whole(model: vl.VAE, base: Tensor, source: Tensor) -> Tensor:
    """The same of both parts, by one forward of the whole VAE for each unit."""

    def forward(images: Tensor) -> dict[str, Tensor]:
        code = model.encode(images)[0]
        return {"encoder": code, "decoder": model.decode(code)}

    unpatched, effects = forward(base), []
    for part in PARTS:
        layers = getattr(model, part)
        for name in point_names(layers):
            point = layers.get_submodule(name)
            given = activation(point, lambda: forward(source))
            for unit in range(given.shape[1]):
                with replaced(point, unit, given):
                    effects.append(norms(forward(base)[part] - unpatched[part]).mean())
    return torch.stack(effects)


def activation(point: nn.Module, forward: Callable[[], object]) -> Tensor:
    """What a module returns during a forward."""
    kept: list[Tensor] = []
    handle = point.register_forward_hook(lambda module, arguments, output: kept.append(output))
    forward()
    handle.remove()
    return kept[0]


@contextmanager
def replaced(point: nn.Module, unit: int, given: Tensor):
    """While this lasts, a module returns a unit's other values."""

    def patch(module: nn.Module, arguments: object, output: Tensor) -> Tensor:
        output[:, unit] = given[:, unit]  # no ReLU here keeps its output for anything else
        return output

    handle = point.register_forward_hook(patch)
    try:
        yield
    finally:
        handle.remove()
