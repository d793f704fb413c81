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
from vaelens.lens.incremental.layers import CHANNELS_LAST, LINEAR, PLAIN, SUB_PIXEL, Layer
from vaelens.lens.incremental.steps import Program, Step, Values
from vaelens.lens.memory import is_out_of_memory

_ROUNDS = 10
_PATIENCE = 60.0  # seconds to wait for another process that measures
_SLOW = 1.0  # seconds of one run from which on one round must do

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
    key = _key(program, layers, given)
    if not _fits(_chosen.get(key), layers):
        with _one_at_a_time():
            _chosen.update(_read() | _chosen)
            if not _fits(_chosen.get(key), layers):
                _chosen[key] = _measured(program, layers, given)
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


def _measured(program: Program, layers: Mapping[Step, Layer], given: Tensor) -> list[str]:
    plain = dict.fromkeys(layers.values(), PLAIN)
    last = {layer: PLAIN if layer.kind == LINEAR else CHANNELS_LAST for layer in layers.values()}
    try:
        _run(program, layers, last, given)
    except RuntimeError as error:  # a module of the user's may want its data in another layout
        if is_out_of_memory(error):
            raise
        return [PLAIN] * len(layers)
    split = [layer for layer in layers.values() if SUB_PIXEL in layer.forms]
    if split:
        _, values = _run(program, layers, last, given, keep={layer.data for layer in split})
        for layer in split:
            data = values[layer.data]
            last[layer] = _fastest({form: _applied(layer, form, data) for form in (SUB_PIXEL, CHANNELS_LAST)})
    ways = {True: lambda: _run(program, layers, last, given), False: lambda: _run(program, layers, plain, given)}
    return [(last if _fastest(ways) else plain)[layer] for layer in layers.values()]


def _run(
    program: Program,
    layers: Mapping[Step, Layer],
    forms: Mapping[Layer, str],
    given: Tensor,
    keep: Collection[Step] = (),
) -> tuple[Any, Values]:
    for layer, form in forms.items():
        layer.form = form
    return program.run(given, calls=layers, keep=keep)


def _applied(layer: Layer, form: str, data: Tensor) -> Callable[[], Tensor]:
    def once() -> Tensor:
        layer.form = form
        return layer.apply(data)

    return once


def _fastest(ways: Mapping[Any, Callable[[], Any]]) -> Any:
    """The way whose fastest run is fastest, of a few rounds in turn after one that warms up; of slow ways one round."""
    times = {way: _seconds(run) for way, run in ways.items()}
    if max(times.values()) < _SLOW:
        rounds = [{way: _seconds(run) for way, run in ways.items()} for _ in range(_ROUNDS)]
        times = {way: min(one[way] for one in rounds) for way in ways}
    return min(times, key=times.__getitem__)


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    _wait(function())
    return time.perf_counter() - start


def _wait(result: Any) -> None:
    tensor = result[0] if isinstance(result, tuple) else result
    while isinstance(tensor, tuple | list):
        tensor = tensor[0]
    if tensor.device.type == "cuda":
        torch.cuda.synchronize(tensor.device)


def _key(program: Program, layers: Mapping[Step, Layer], given: Tensor) -> str:
    device = torch.cuda.get_device_name(given.device) if given.device.type == "cuda" else str(given.device)
    shapes = [[layer.kind, list(layer.weight().shape), repr(layer.options)] for layer in layers.values()]
    steps = [[step.name, type(step.module).__name__] for step in program.steps]
    made = [torch.__version__, device, torch.get_num_threads(), str(given.dtype), list(given.shape), shapes, steps]
    return hashlib.sha256(json.dumps(made).encode()).hexdigest()
