"""The choice among the forms of a part's layers, by a short measurement on the machine at hand, made once."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from vaelens.lens.incremental.layers import CHANNELS_LAST, LINEAR, PLAIN, SUB_PIXEL, Layer
from vaelens.lens.incremental.steps import Program, Step

_ROUNDS = 3
_SLOW = 1.0  # seconds of one run from which it is timed once
_GAIN = 0.95  # of the plain form's time: what is not clearly faster is not worth another order of arithmetic

_chosen: dict[str, list[str]] = {}


def choose(program: Program, layers: Mapping[Step, Layer], given: Tensor) -> None:
    """Give each layer the form that is fastest on this input, on this machine.

    Args:
        program: the part.
        layers: its linear layers; their forms are set.
        given: as many rows of input as a sweep sends through it at once.
    """
    if not any(len(layer.forms) > 1 for layer in layers.values()):
        return
    key = _key(layers, given)
    if key not in _chosen:
        _chosen[key] = _measured(program, layers, given)
    for layer, form in zip(layers.values(), _chosen[key], strict=True):
        layer.form = form


def _measured(program: Program, layers: Mapping[Step, Layer], given: Tensor) -> list[str]:
    plain = {layer: PLAIN for layer in layers.values()}

    def run(forms: Mapping[Layer, str]) -> Callable[[], Any]:
        def once() -> Any:
            for layer, form in forms.items():
                layer.form = form
            return program.run(given, calls=layers)

        return once

    last = {layer: PLAIN if layer.kind == LINEAR else CHANNELS_LAST for layer in layers.values()}
    split = [layer for layer in layers.values() if SUB_PIXEL in layer.forms]
    if split:
        run(last)
        for layer, form in last.items():
            layer.form = form
        _, values = program.run(given, calls=layers, keep={layer.data for layer in split})
        for layer in split:
            data = values[layer.data]
            times = {form: _seconds(_applied(layer, form, data)) for form in (CHANNELS_LAST, SUB_PIXEL)}
            last[layer] = min(times, key=times.__getitem__)
    faster = _seconds(run(last)) < _GAIN * _seconds(run(plain))
    return [(last if faster else plain)[layer] for layer in layers.values()]


def _applied(layer: Layer, form: str, data: Tensor) -> Callable[[], Tensor]:
    def once() -> Tensor:
        layer.form = form
        return layer.apply(data)

    return once


def _seconds(function: Callable[[], Any]) -> float:
    """The least of a few runs, after one that warms up; of slow ones the first."""
    times = []
    for _ in range(1 + _ROUNDS):
        start = time.perf_counter()
        _wait(function())
        times.append(time.perf_counter() - start)
        if times[0] > _SLOW:
            return times[0]
    return min(times[1:])


def _wait(result: Any) -> None:
    tensor = result[0] if isinstance(result, tuple) else result
    while isinstance(tensor, tuple | list):
        tensor = tensor[0]
    if tensor.device.type == "cuda":
        torch.cuda.synchronize(tensor.device)


def _key(layers: Mapping[Step, Layer], given: Tensor) -> str:
    device = torch.cuda.get_device_name(given.device) if given.device.type == "cuda" else str(given.device)
    shapes = [[layer.kind, list(layer.weight().shape), repr(layer.options)] for layer in layers.values()]
    made = [torch.__version__, device, torch.get_num_threads(), str(given.dtype), list(given.shape), shapes]
    return json.dumps(made)
