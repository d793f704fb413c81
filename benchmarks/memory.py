"""What memory the sweeps take over few and over many images.

    python -m benchmarks.memory [--sweeps NAME …] [--over FEW MANY]

Each runs in a process of its own, once over a few images to have everything loaded, and then over all of them: what is
measured is by how much the process then grows at most, so that the images and labels themselves do not count. Needs
Linux.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import vaelens as vl
from vaelens.effects.ces_by_mode import ces_by_mode

OVER, WARM = (1_000, 10_000), 128
SIDE, LATENTS = 32, 4
# Freed blocks go back at once: else the process is as large as it ever was, wherever the images lie.
FREEING = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}


def lens() -> vl.Lens:
    """On a small VAE with two stages a side."""
    encoder = nn.Sequential(nn.Conv2d(1, 8, 4, 4), nn.ReLU(), nn.Conv2d(8, 16, 2, 2), nn.ReLU(), nn.Flatten())
    decoder = nn.Sequential(
        nn.Linear(LATENTS, 256), nn.Unflatten(1, (16, 4, 4)), nn.ReLU(), nn.ConvTranspose2d(16, 8, 2, 2), nn.ReLU()
    )
    head, last = nn.Linear(256, 2 * LATENTS), nn.Sequential(nn.ConvTranspose2d(8, 1, 4, 4), nn.Sigmoid())
    model = nn.ModuleDict({"encoder": encoder, "head": head, "decoder": decoder, "last": last})
    example = torch.zeros(1, 1, SIDE, SIDE)
    return vl.Lens(model, lambda x: head(encoder(x)).chunk(2, dim=1), lambda z: last(decoder(z)), example)


def quantised() -> vl.Lens:
    """On a small VQ-VAE with 2 × 2 positions."""
    encoder, decoder = nn.Conv2d(1, LATENTS, 16, 16), nn.ConvTranspose2d(LATENTS, 1, 16, 16)
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    codebook = torch.randn(8, LATENTS, generator=torch.Generator().manual_seed(1)) / 4
    example = torch.zeros(1, 1, SIDE, SIDE)
    return vl.Lens(model, encoder, lambda z: torch.sigmoid(decoder(z)), example, codebook=codebook)


def labelled(x: torch.Tensor) -> vl.ArrayDataset:
    """The images with two factors."""
    labels = np.stack(np.unravel_index(np.arange(len(x)) % 12, (3, 4)), axis=1)
    return vl.ArrayDataset(x, labels, ["one", "two"])


Sweep = Callable[[vl.Lens, Any, torch.Tensor], Any]
# What a sweep is given in the place of images, where it is not the images.
GIVEN: dict[str, Callable[[torch.Tensor], Any]] = {
    "input_effects, factors": labelled,
    "input_effects, manipulations": vl.ArrayDataset,
}
TREATMENT = [vl.Add("encoder.0", [0, 1], 0.5), vl.Ablate("encoder.1", 0, "mean"), vl.Ablate("encoder.1", 1, "resample")]
SWEEPS: dict[str, Sweep] = {
    "input_effects, factors": lambda lens, ds, y: vl.input_effects(lens, ds, n=len(ds)),
    "input_effects, manipulations": lambda lens, ds, y: vl.input_effects(lens, ds, n=len(ds)),
    **{
        f"latent_effects, {mode}": lambda lens, x, y, mode=mode: vl.latent_effects(lens, x, mode=mode)
        for mode in ("range", "shift", "posterior", "prior", "swap")
    },
    "latent_effects, over latents": lambda lens, x, y: vl.latent_effects(lens, x, over="latents"),
    "ces_by_mode": lambda lens, x, y: ces_by_mode(lens, x),
    "decoder_responses": lambda lens, x, y: vl.decoder_responses(lens, x),
    **{
        f"patching_effects, {method}": lambda lens, x, y, method=method: vl.patching_effects(lens, x, y, method=method)
        for method in ("patch", "zero", "mean", "resample")
    },
    "path_effects": lambda lens, x, y: vl.path_effects(lens, x, y, "encoder.0", "encoder.1"),
    "mediation_effects, images": lambda lens, x, y: vl.mediation_effects(lens, x, y, "latent"),
    "mediation_effects, interventions": lambda lens, x, y: vl.mediation_effects(lens, x, TREATMENT, "latent"),
}


def measure(name: str, images: int) -> float:
    """By how many MB a new process grows at most while it runs a sweep."""
    command = [sys.executable, "-m", "benchmarks.memory", "--alone", name, "--images", str(images)]
    ran = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | FREEING, cwd=Path(__file__).parents[1], check=False
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    return float(ran.stdout)


def alone(name: str, images: int) -> float:
    """The same of this process."""
    torch.manual_seed(0)
    subject = quantised() if name.endswith("swap") else lens()
    x, y = (torch.empty(images, 1, SIDE, SIDE) for _ in range(2))
    for block in (*x.split(64), *y.split(64)):
        block.uniform_()
    given = GIVEN.get(name, lambda images: images)
    SWEEPS[name](subject, given(x[:WARM]), y[:WARM])
    everything = given(x)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here
    before = _status("VmRSS")
    SWEEPS[name](subject, everything, y)
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    """Kilobytes, as the kernel counts them."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--sweeps", nargs="+", choices=SWEEPS, default=SWEEPS, help="which (default all)")
    parser.add_argument("--over", nargs=2, type=int, default=OVER, help="numbers of images (default 1000 10000)")
    parser.add_argument("--alone", choices=SWEEPS, help="measure one in this process, and print MB")
    parser.add_argument("--images", type=int, default=OVER[1], help="over how many images --alone")
    arguments = parser.parse_args()
    if arguments.alone:
        print(alone(arguments.alone, arguments.images))
        return
    print(
        f"PyTorch {torch.__version__}, {SIDE}×{SIDE} images, {LATENTS} latents; MB beyond the images and the process\n"
    )
    print(f"| sweep | {arguments.over[0]:,} images | {arguments.over[1]:,} images | ratio |")
    print("|---|---|---|---|")
    for name in arguments.sweeps:
        few, many = (measure(name, images) for images in arguments.over)
        print(f"| {name} | {few:.1f} | {many:.1f} | {many / few:.2f} |", flush=True)


if __name__ == "__main__":
    main()
