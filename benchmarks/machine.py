"""What the figures were measured on and with."""

import platform
from pathlib import Path

import torch

from benchmarks.rivals import LIBRARIES
from benchmarks.subject import Subject


def described(subject: Subject, repetitions: int) -> str:
    """The lines above the tables."""
    libraries = {rival.package: rival for rival in LIBRARIES.values()}
    there = [f"{name} {rival.version}" for name, rival in libraries.items() if rival.installed]
    absent = [str(name) for name, rival in libraries.items() if not rival.installed]
    missing = f"; not installed, so left out: {', '.join(absent)}" if absent else ""
    return (
        f"{processor(subject.device)}. {', '.join([f'PyTorch {torch.__version__}', *there])}{missing}. "
        f"{str(subject)[0].upper()}{str(subject)[1:]}. Medians of {repetitions} interleaved rounds, in each of "
        "which a way runs for a second at least."
    )


def processor(device: str) -> str:
    """The name of what computes."""
    threads = f"{cpu()}, {torch.get_num_threads()} threads"
    return f"{torch.cuda.get_device_name(device)}; {threads}" if torch.device(device).type == "cuda" else threads


def cpu() -> str:
    """The CPU's name, as far as the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
