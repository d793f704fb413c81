"""`vaelens quickstart`: train, explain and report on built-in data, in minutes."""

from pathlib import Path
from typing import Annotated

import typer

from vaelens.cli.analysis import analyse
from vaelens.cli.options import Seed
from vaelens.cli.training import train

_STEPS, _IMAGES = 1200, 256


def quickstart(
    out: Annotated[Path, typer.Option(help="Where model, analysis and report go.")] = Path("runs/quickstart"),
    seed: Seed = 0,
) -> None:
    """Train a small VAE on the built-in sprites, explain it, and write a report.

    A run that was interrupted goes on where it stopped.
    """
    interrupted = (out / "checkpoints" / "last.safetensors").exists()
    train(out, dataset="sprites", model="vae", steps=_STEPS, seed=seed, resume=interrupted)
    analyse(str(out), dataset="sprites", images=_IMAGES, seed=seed, overwrite=True)
