"""Continuous interventions on a quantised latent, beside swaps of its codes: `python -m benchmarks.quantised`.

Trains a VQ-VAE on sprites for each embedding size, and a VAE to compare with, and prints the relative CES of each
mode: of a whole channel, of a channel at one position, and of a code swapped for another. A run that is killed goes
on where it stopped when it is started again with the same `--out`.
"""

import argparse
from pathlib import Path
from typing import Any

import xarray as xr
from rich.console import Console
from rich.progress import track

import vaelens as vl
from vaelens.effects.ces_by_mode import ces_by_mode

SIZES = (8, 16, 32, 64, 128)
MODES = ("range", "shift", "posterior", "prior")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quantised", description=__doc__)
    parser.add_argument("--steps", type=int, default=1000, help="training steps of each (default 1000)")
    parser.add_argument("--images", type=int, default=256, help="images that effects are measured on (default 256)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="embedding sizes (default 8 to 128)")
    parser.add_argument("--out", type=Path, default=Path("runs/quantised"), help="where the models are kept")
    arguments = parser.parse_args()
    ds = vl.load_dataset("sprites")
    x, _ = ds.sample(arguments.images, seed=12345)
    rows = []
    for size in track((None, *arguments.sizes), "embedding sizes", console=Console(stderr=True)):
        model = trained(size, ds, arguments.steps, arguments.out)
        rows.append(row(model, x))
    print(f"sprites, {arguments.steps} steps of 64 images, lr 1e-3; relative CES over {arguments.images} images\n")
    spans = [f"{mode}, {span}" for mode in MODES for span in ("channel", "position")]
    print(f"| model | codes in use | squared error | {' | '.join(spans)} | swap |")
    print("|---" * (len(spans) + 4) + "|")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")
    print("\nMean over latents (swap: over positions). Channel: at all 16 positions; position: at one of them.")


def trained(size: int | None, ds: Any, steps: int, out: Path) -> vl.VAE:
    """A VQ-VAE of that embedding size, or a VAE, trained, or gone on with where an earlier run stopped."""
    folder = out / ("vae" if size is None else f"vq-vae-{size}")
    model = vl.build_model("vae", ds.image_shape) if size is None else vl.build_model("vq-vae", ds.image_shape, size)
    begun = (folder / "checkpoints" / "last.safetensors").exists()
    vl.train(model, ds, steps=steps, folder=folder, resume=begun, progress=False)
    return model.eval()


def row(model: vl.VAE, x: Any) -> list[str]:
    """A model's line of the table."""
    lens = vl.Lens(model)
    error = (lens.reconstruct(x) - x).square().mean().item()
    channel = relative(ces_by_mode(lens, x))
    if not lens.quantised:
        cells = [cell for mode in MODES for cell in (f"{channel[mode]:.3f}", "")]
        return [f"VAE, {model.latent_dim} latents", "", f"{error:.4f}", *cells, ""]
    position = relative(ces_by_mode(lens, x, positions="one"))
    swap = vl.latent_effects(lens, x, mode="swap")
    cells = [cell for mode in MODES for cell in (f"{channel[mode]:.3f}", f"{position[mode]:.3f}")]
    used = f"{lens.code_indices(x).unique().numel()} of {len(lens.codebook)}"
    return [
        f"VQ-VAE, {model.latent_dim} dimensions",
        used,
        f"{error:.4f}",
        *cells,
        f"{float(swap.ces_relative.mean()):.3f}",
    ]


def relative(effects: xr.Dataset) -> dict[str, float]:
    """Each mode's relative CES, as a mean over latents."""
    return {mode: float(effects.ces_relative.sel(mode=mode).mean()) for mode in MODES}


if __name__ == "__main__":
    main()
