"""`vaelens train`: a model from a dataset, in a folder."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from vaelens.cli.options import Dataset, Device, Root, Seed
from vaelens.errors import VaelensError
from vaelens.version import __version__


def train(
    out: Annotated[Path, typer.Option(help="The folder for model, checkpoint and log.")],
    dataset: Dataset = "sprites",
    model: Annotated[str, typer.Option(help="The objective: vae, or beta-vae.")] = "vae",
    steps: Annotated[int, typer.Option(help="Optimisation steps, at least 1.")] = 3000,
    beta: Annotated[
        float | None, typer.Option(help="beta-vae: weight of the KL divergence, 0 to 1000; 4 unless said otherwise.")
    ] = None,
    latent_dim: Annotated[int, typer.Option(help="Number of latents, 1 to 256.")] = 10,
    likelihood: Annotated[str, typer.Option(help="A pixel's distribution: bernoulli, or gaussian.")] = "bernoulli",
    batch_size: Annotated[int, typer.Option(help="Images a step, at least 1.")] = 64,
    lr: Annotated[float, typer.Option(help="Adam's learning rate, above 0 and at most 1.")] = 1e-3,
    seed: Seed = 0,
    device: Device = "auto",
    root: Root = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log for TensorBoard too (needs tensorboard).")
    ] = False,
) -> None:
    """Train a VAE and save it as a folder of config.json and model.safetensors."""
    import vaelens as vl

    ds = vl.load_dataset(dataset, root=root)
    hyperparameters = {} if beta is None else {"beta": beta}
    vae = vl.build_model(model, ds.image_shape, latent_dim, likelihood, seed=seed, **hyperparameters)
    result = vl.train(
        vae,
        ds,
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        device=device,
        folder=out,
        resume=resume,
        logger=_tensorboard(out) if tensorboard else None,
    )
    vae.save_pretrained(out)
    record = {
        "vaelens": __version__,
        "model": vae.config,
        "dataset": ds.describe(),
        "steps": result.steps,
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "device": result.device,
        "terms": result.terms,
    }
    (out / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    terms = ", ".join(f"{term} {value:.2f}" for term, value in result.terms.items())
    print(f"{result.steps} steps; nats an image: {terms}")
    print(f"model: {out}")


def _tensorboard(out: Path) -> Any:
    try:
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(out, name="tensorboard")
    except ModuleNotFoundError as error:
        raise VaelensError("--tensorboard needs the package tensorboard: pip install tensorboard") from error
