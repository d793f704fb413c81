"""What is known of the objectives, seen again on sprites: `python -m benchmarks.behaviours [--steps N] [--seeds N]`.

Trains each configuration from the same weights on the same batches, and prints one table. Divergence, error and
active latents are measured on 4,096 other images. A run that is killed goes on where it stopped when it is started
again with the same `--out`.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

import vaelens as vl
from vaelens.models.posterior import ACTIVE_NATS, kl_per_latent, sample

IMAGES, ROWS = 4096, 256


@dataclass(frozen=True)
class Configuration:
    """A line of the table."""

    model: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        settings = ", ".join(f"{name} {value:g}" for name, value in self.hyperparameters.items())
        return f"{self.model} ({settings})" if settings else self.model


CONFIGURATIONS = (
    Configuration("vae"),
    Configuration("beta-vae", {"beta": 4.0}),
    Configuration("beta-vae", {"beta": 16.0}),
    Configuration("beta-vae", {"beta": 200.0}),
    Configuration("factor-vae", {"gamma": 35.0}),
    Configuration("beta-tc-vae", {"beta": 6.0}),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.behaviours", description=__doc__)
    parser.add_argument("--steps", type=int, default=1500, help="training steps of each (default 1500)")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each (default 1)")
    parser.add_argument("--out", type=Path, default=Path("runs/behaviours"), help="where the models are kept")
    arguments = parser.parse_args()
    ds = vl.load_dataset("sprites")
    x, _ = ds.sample(IMAGES, seed=12345)
    jobs = [(configuration, seed) for configuration in CONFIGURATIONS for seed in range(arguments.seeds)]
    rows: dict[str, list[dict[str, float]]] = {}
    for configuration, seed in track(jobs, "training", console=Console(stderr=True)):
        model = trained(configuration, ds, arguments.steps, seed, arguments.out)
        rows.setdefault(configuration.label, []).append(measured(model, x))
    print(f"sprites, {arguments.steps} steps of 64 images, lr 1e-3, {arguments.seeds} seed(s), {IMAGES} images\n")
    print("| objective | KL | reconstruction | squared error | total correlation | active latents |")
    print("|---|---|---|---|---|---|")
    for label, runs in rows.items():
        mean = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
        print(
            f"| {label} | {mean['kl']:.2f} | {mean['reconstruction']:.1f} | {mean['squared_error']:.4f} "
            f"| {mean['total_correlation']:.2f} | {mean['active']:.1f} of {model.latent_dim} |"
        )
    print("\nKL and reconstruction in nats an image; total correlation of the sampled codes as of a Gaussian, in nats.")


def trained(configuration: Configuration, ds: Any, steps: int, seed: int, out: Path) -> vl.VAE:
    """The model of a configuration, trained, or gone on with where an earlier run stopped."""
    folder = out / f"{configuration.label.translate(str.maketrans(' ,()', '----'))}-{seed}"
    model = vl.build_model(configuration.model, ds.image_shape, seed=seed, **configuration.hyperparameters)
    begun = (folder / "checkpoints" / "last.safetensors").exists()
    vl.train(model, ds, steps=steps, seed=seed, folder=folder, resume=begun, progress=False)
    return model.eval()


@torch.no_grad()
def measured(model: vl.VAE, x: torch.Tensor) -> dict[str, float]:
    """KL, reconstruction, squared error, total correlation and active latents on some images."""
    parts = [model.encode(chunk) for chunk in x.split(ROWS)]
    mu, logvar = (torch.cat(part) for part in zip(*parts, strict=True))
    z = sample(mu, logvar, torch.Generator().manual_seed(0))
    losses = []
    for chunk, codes in zip(x.split(ROWS), z.split(ROWS), strict=True):
        logits = model.logits(codes)
        nats = torch.nn.functional.binary_cross_entropy_with_logits(logits, chunk, reduction="sum")
        losses.append((nats.item(), (torch.sigmoid(logits) - chunk).square().mean(dim=(1, 2, 3)).sum().item()))
    kl = kl_per_latent(mu, logvar).mean(0)
    reconstruction, squared_error = (sum(part) / len(x) for part in zip(*losses, strict=True))
    return {
        "kl": kl.sum().item(),
        "reconstruction": reconstruction,
        "squared_error": squared_error,
        "total_correlation": vl.gaussian_total_correlation(z.numpy()),
        "active": float((kl > ACTIVE_NATS).sum()),
    }


if __name__ == "__main__":
    main()
