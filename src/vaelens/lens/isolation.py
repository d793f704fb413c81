"""Isolation of a running model, in eval mode, without gradients, with its own random state, leaving no trace.

One model runs at a time in a process, because the random state, which every run sets, belongs to all threads.
"""

import os
import random
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import numpy as np
import torch
from torch import nn
from torch._C._functorch import (  # pyright: ignore[reportMissingImports]
    get_dynamic_layer_stack_depth,
    pop_dynamic_layer_stack_and_undo_to_depth,
)

from vaelens.lens.module_state import ModuleState
from vaelens.lens.single_precision import single_precision
from vaelens.models.devices import check_default_device

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # a fork waits, so that no child has a model, or a lock, of a run in the middle
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@contextmanager
def isolated(model: nn.Module, seed: int = 0, copies: bool = False) -> Iterator[ModuleState]:
    """Runs a model in eval mode, without gradients and from a fixed random state, and leaves no trace.

    What its modules hold, the train/eval mode of each, and the random states of torch, NumPy and Python are the same
    afterwards, also after an exception. Another thread waits. A caller's autocast and inference mode do not reach in,
    and values of single precision are multiplied in it (see `single_precision`).

    Args:
        model: the model.
        seed: of the random states inside.
        copies: as of `ModuleState`.

    Yields:
        The state to which the model returns.

    Raises:
        VaelensError: new tensors would be made elsewhere than on the CPU.
    """
    with _torch_set(seed, _cuda_devices(model)), _python_random_states(seed):
        modes = [(child, child.training) for child in model.modules()]
        # What merges weights where it enters eval mode, as LoRA does, writes past their version.
        merges = any(training for _, training in modes) and has_own_modes(child for child, _ in modes)
        state = ModuleState(model, copies or merges)
        fast = torch.backends.mha.get_fastpath_enabled()
        try:
            _evaluate(model, modes)
            # A transformer's layer runs as one kernel, which rounds differently, unless a hook is inside.
            if any(isinstance(child, nn.TransformerEncoderLayer) for child, _ in modes):
                torch.backends.mha.set_fastpath_enabled(False)
            yield state
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            state.restore()
            for child, training in modes:
                if child.training != training:
                    _set_mode(child, training)


@contextmanager
def isolated_steps(modules: Collection[nn.Module], device: torch.device, seed: int = 0) -> Iterator[None]:
    """Runs steps of a model that are PyTorch's own, as `isolated` runs the model.

    They assign nothing, and draw from nothing but PyTorch's random state. Nothing else is noted and put back, which
    would take longer than a small model runs.

    Args:
        modules: those that the steps call.
        device: where they compute.
        seed: of the random state inside.

    Raises:
        VaelensError: new tensors would be made elsewhere than on the CPU.
    """
    with _torch_set(seed, [device.index or 0] if device.type == "cuda" else []):
        training = [module for module in modules if module.training]
        try:
            for module in training:
                _set_mode(module, False)
            yield
        finally:
            for module in training:
                _set_mode(module, True)


@contextmanager
def _torch_set(seed: int, cuda: Sequence[int]) -> Iterator[None]:
    """Sets PyTorch up for a run, without gradients, from a seed, in the model's own types, for one thread at a time."""
    check_default_device()
    with _lock, ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=cuda))
        # In a caller's inference mode tensors have no version, by which in-place operations are noticed.
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        # Transforms (vmap, jvp) that steps have entered when one of them fails.
        stack.callback(pop_dynamic_layer_stack_and_undo_to_depth, get_dynamic_layer_stack_depth())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(single_precision())
        stack.enter_context(_uncompiled())
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed accelerators that are not in use
        for number in cuda:
            torch.cuda.default_generators[number].manual_seed(seed)
        yield


@contextmanager
def _python_random_states(seed: int) -> Iterator[None]:
    """Sets the global random states of NumPy and Python from a seed, and puts them back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(seed % 2**32)  # noqa: NPY002 — what a model draws from the global state
        random.seed(seed)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def random_states(device: torch.device) -> tuple[object, ...]:
    """Reads the random states that a forward may draw from. Two are equal where nothing was drawn between them."""
    torch_state = torch.random.get_rng_state().numpy().tobytes()
    on_device = torch.cuda.get_rng_state(device).numpy().tobytes() if device.type == "cuda" else b""
    numpy = np.random.get_state(legacy=False)  # noqa: NPY002
    assert isinstance(numpy, dict), "the state of NumPy's own generator is a record"
    return torch_state, on_device, random.getstate(), numpy["state"]["key"].tobytes(), numpy["state"]["pos"]


def is_scripted(module: nn.Module) -> bool:
    """Tells whether a module is TorchScript, which takes no hooks."""
    return isinstance(module, torch.jit.ScriptModule)


def _uncompiled() -> AbstractContextManager:
    """Returns a context in which compiled functions run as written, since every set of hooks would be compiled anew."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _evaluate(model: nn.Module, modes: Sequence[tuple[nn.Module, bool]]) -> None:
    """Puts a model into eval mode, by its own `eval` where one of its submodules overrides `train` or `eval`."""
    if not any(training for _, training in modes):
        return
    if has_own_modes(child for child, _ in modes):
        model.eval()
    else:
        for child, _ in modes:
            _set_mode(child, False)


def has_own_modes(modules: Iterable[nn.Module]) -> bool:
    """Tells whether a module overrides `train` or `eval`."""
    return any(
        type(module).train is not nn.Module.train or type(module).eval is not nn.Module.eval for module in modules
    )


def _set_mode(module: nn.Module, training: bool) -> None:
    """Puts one module into train or eval mode past its own `__setattr__`, which is slow once a batch.

    TorchScript keeps the mode outside of Python, where only its `__setattr__` reaches.
    """
    if is_scripted(module):
        module.training = training
    else:
        object.__setattr__(module, "training", training)


def _cuda_devices(model: nn.Module) -> list[int]:
    if not torch.cuda.is_initialized():
        return []
    return sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
