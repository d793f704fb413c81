"""The modes, device, memory layout, signal handlers and log levels that training leaves as they were."""

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning_utilities.core import rank_zero
from torch import nn


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Lightning, inside a `with`, from announcing hardware, tips and hints."""
    loggers = [rank_zero.log, *map(logging.getLogger, ("lightning", "lightning.pytorch", "lightning.fabric"))]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # hints such as "GPU available but not used": device= is how that is chosen here
            warnings.simplefilter("ignore", PossibleUserWarning)
            # Lightning 2.6 builds a class that torch 2.9 and later have deprecated
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def as_before(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Lets the model train inside a `with`, after which its mode and device, and all that is global, are as before."""
    home = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]
    without_gradient = [
        (module, name)
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if not buffer.requires_grad
    ]
    gradients = torch.is_grad_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    interrupt = signal.getsignal(signal.SIGINT)
    model.train()
    # Convolutions are faster with the channels innermost, on a CPU too, and compute the same.
    _lay_out(model, torch.channels_last)
    if device.type == "cuda":  # its fastest convolutions differ from run to run in the last bits
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        _lay_out(model, torch.contiguous_format)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        torch.set_grad_enabled(gradients)
        if signal.getsignal(signal.SIGINT) is not interrupt and threading.current_thread() is threading.main_thread():
            # Lightning ignores Ctrl-C after the first
            signal.signal(signal.SIGINT, interrupt)
        model.zero_grad(set_to_none=True)
        # vector-quantize-pytorch lets a buffer take gradients, whose copy from a GPU could then not be copied again
        for module, name in without_gradient:
            buffer = getattr(module, name, None)
            if isinstance(buffer, torch.Tensor) and buffer.requires_grad:
                setattr(module, name, buffer.detach())
        model.to(home)
        for module, mode in modes:
            module.training = mode


def _lay_out(model: nn.Module, memory_format: torch.memory_format) -> None:
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim == 4:  # the layout is one of images; PyTorch refuses it for a volume's kernels
            tensor.data = tensor.data.contiguous(memory_format=memory_format)
