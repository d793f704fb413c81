"""Memory of patching every unit: the peak above what is held when model and images are loaded.

Each way runs once, in a process of its own (`python -m benchmarks.peaks FOLDER WAY …`, which prints MB), on a model
that was saved. On a GPU it is the device's memory; elsewhere the resident memory as Linux counts it.
"""

import argparse
import contextlib
import functools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.patching import ours
from benchmarks.rivals import RIVALS
from benchmarks.subject import PARTS, Subject

HEADER = (
    "| patching, all units | peak above load |\n"
    "|---|---|"
)  # fmt: skip
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def rows(subject: Subject) -> Iterator[str]:
    """A line of the table for ours and for each rival that is installed."""
    if torch.device(subject.device).type != "cuda" and not STATUS.exists():
        yield "| not measured: only Linux says what a process held at most | |"
        return
    labels = {"ours": "ours", **{name: rival.label for name, rival in RIVALS.items() if rival.installed}}
    with tempfile.TemporaryDirectory() as folder:
        subject.model.save_pretrained(folder)
        for name, label in labels.items():
            yield f"| {label} | {in_own_process(folder, name, subject):.0f} MB |"


def in_own_process(folder: str, way: str, subject: Subject) -> float:
    """The peak of one way, in MB."""
    setting = [f"--pairs={subject.pairs}", f"--side={subject.side}", f"--device={subject.device}"]
    command = [sys.executable, "-m", "benchmarks.peaks", folder, way, *setting]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the process of {way} ended with {done.returncode}:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peaks", description=__doc__)
    parser.add_argument("folder", type=Path, help="the saved model")
    parser.add_argument("way", choices=("ours", *RIVALS), help="what is run")
    parser.add_argument("--pairs", type=int, default=Subject.pairs)
    parser.add_argument("--side", type=int, default=Subject.side)
    parser.add_argument("--device", default=Subject.device)
    given = parser.parse_args()
    subject = Subject(pairs=given.pairs, side=given.side, device=given.device, folder=given.folder)
    mine = functools.partial(ours, subject, PARTS)
    run = mine if given.way == "ours" else RIVALS[given.way].prepared(subject, PARTS)
    with torch.no_grad():
        subject.model(subject.base[:1]), subject.source, subject.lens  # loads what is loaded on first use
    before = most_held(given.device, anew=True)
    run()
    print((most_held(given.device) - before) / 2**20)


def most_held(device: str, anew: bool = False) -> int:
    """The most bytes held since it was last asked anew."""
    if torch.device(device).type == "cuda":
        if anew:
            torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.max_memory_allocated(device)
    if anew:
        with contextlib.suppress(OSError):  # where this is not allowed, loading's own peak is what is compared with
            RESET.write_text("5")
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
