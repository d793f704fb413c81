"""The choice among the forms of a part's layers, by a short measurement on the machine at hand, made once."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from vaelens.cache import cache_folder
from vaelens.lens.incremental.layers import CHANNELS_LAST, FORMS, PLAIN, Layer
from vaelens.lens.incremental.steps import Program, Step
from vaelens.lens.memory import is_out_of_memory

_ROUNDS = 10
_LEAN = 0.85  # the forms that are nearly always faster are taken unless they are slower by more than a timing's noise
_PATIENCE = 60.0  # seconds to wait for another process that measures
_SLOW = 1.0  # seconds of one run from which on one round must do

_chosen: dict[str, list[str]] = {}


def choose(program: Program, layers: Mapping[Step, Layer], inputs: Tensor, precision: str) -> None:
    """Give each layer the form that is fastest on this input, on this machine.

    Args:
        program: the part.
        layers: its linear layers; their forms are set.
        inputs: as many rows of input as a sweep sends through it at once.
        precision: what the part runs in here.
    """
    if not any(len(layer.forms) > 1 for layer in layers.values()):
        return
    key = _key(program, layers, inputs, precision)
    if not _fits(_chosen.get(key), layers):
        with _one_at_a_time():
            _chosen.update(_read() | _chosen)
            if not _fits(_chosen.get(key), layers):
                _chosen[key] = _measured(program, layers, inputs)
                _write(_chosen)
    for layer, form in zip(layers.values(), _chosen[key], strict=True):
        layer.form = form


def _fits(forms: Any, layers: Mapping[Step, Layer]) -> bool:
    """Whether what was read is a form for each layer."""
    return (
        isinstance(forms, list)
        and len(forms) == len(layers)
        and all(form in layer.forms for form, layer in zip(forms, layers.values(), strict=True))
    )


# What was chosen is kept on disk: another choice is another rounding, and the same command is to give the same numbers
# every time and in every one of several processes.


def _file() -> Path:
    return cache_folder() / "forms.json"


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold the file against other processes; where there can be none, go on without."""
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(_file().with_suffix(".lock"), timeout=_PATIENCE)
        lock.acquire()
    except (OSError, Timeout):
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _read() -> dict[str, list[str]]:
    try:
        found = json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {k: f for k, f in entries if isinstance(f, list) and all(isinstance(one, str) for one in f)}


def _write(chosen: Mapping[str, list[str]]) -> None:
    made = _file().with_suffix(f".{os.getpid()}")
    try:
        made.write_text(json.dumps(chosen, indent=0))
        made.replace(_file())
    except OSError:  # a folder that can't be written: measured again next time
        with suppress(OSError):
            made.unlink(missing_ok=True)


def _measured(program: Program, layers: Mapping[Step, Layer], inputs: Tensor) -> list[str]:
    """For all layers the plain form, or for each its fastest other, whichever takes less to exchange all units."""
    ways: dict[str, dict[Layer, str]] = {}
    for way in FORMS:
        others = (way, PLAIN if way == PLAIN else CHANNELS_LAST, PLAIN)
        ways[way] = {layer: next(form for form in others if form in layer.forms) for layer in layers.values()}
    try:
        rounds = {way: [_times(program, layers, ways[way], inputs)] for way in ways}
    except RuntimeError as error:  # a module of the user's may want its data in another layout
        if is_out_of_memory(error):
            raise
        return [PLAIN] * len(layers)
    if max(sum(one[0].values()) for one in rounds.values()) < _SLOW:
        for _ in range(_ROUNDS):
            for way, times in rounds.items():
                times.append(_times(program, layers, ways[way], inputs))
    least = {
        way: {layer: min(one[layer] for one in times) for layer in layers.values()} for way, times in rounds.items()
    }
    other = {layer: min(FORMS[1:], key=lambda way: least[way][layer]) for layer in layers.values()}
    seconds, plain = (
        sum(times * least[way[layer]][layer] for layer, times in _runs(layers.values()).items() if len(layer.forms) > 1)
        for way in (other, dict.fromkeys(layers.values(), PLAIN))
    )
    return [ways[other[layer]][layer] if _LEAN * seconds < plain else PLAIN for layer in layers.values()]


def _runs(layers: Collection[Layer]) -> dict[Layer, int]:
    """How often each layer runs where every unit after an earlier layer is exchanged once.

    Once with nothing exchanged; units right before it only update it.
    """
    units = [layer.outputs for layer in layers]
    return {layer: 1 + sum(units[: max(0, place - 1)]) for place, layer in enumerate(layers)}


def _times(
    program: Program, layers: Mapping[Step, Layer], forms: Mapping[Layer, str], inputs: Tensor
) -> dict[Layer, float]:
    """The seconds that each layer takes in one run of the part."""
    seconds: dict[Layer, float] = {}

    def timed(layer: Layer) -> Callable[[Mapping[Step, Any]], Tensor]:
        def call(values: Mapping[Step, Any]) -> Tensor:
            _wait(values[layer.data])
            start = time.perf_counter()
            value = layer(values)
            _wait(value)
            seconds[layer] = time.perf_counter() - start
            return value

        return call

    for layer, form in forms.items():
        layer.form = form
    program.run(inputs, calls={step: timed(layer) for step, layer in layers.items()})
    return seconds


def _wait(tensor: Tensor) -> None:
    if tensor.device.type == "cuda":
        torch.cuda.synchronize(tensor.device)


def _key(program: Program, layers: Mapping[Step, Layer], inputs: Tensor, precision: str) -> str:
    device = torch.cuda.get_device_name(inputs.device) if inputs.device.type == "cuda" else str(inputs.device)
    shapes = [[layer.kind, list(layer.weight().shape), repr(layer.options)] for layer in layers.values()]
    steps = [[step.name, type(step.module).__name__] for step in program.steps]
    made = [
        FORMS,
        torch.__version__,
        device,
        torch.get_num_threads(),
        str(inputs.dtype),
        precision,
        list(inputs.shape),
        shapes,
        steps,
    ]
    return hashlib.sha256(json.dumps(made).encode()).hexdigest()
