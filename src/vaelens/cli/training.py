"""`vaelens train`: a model from a dataset, in a folder."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaelens.cli.hyperparameters import LATENT_DIM_HELP, MODEL_HELP, takes_hyperparameters
from vaelens.cli.options import Dataset, DatasetOptions, Device, Root, Seed, parse_options, print_notes
from vaelens.cli.schedules import CosineDecays, Cycles, WarmUps, parse_schedules
from vaelens.errors import VaelensError
from vaelens.version import __version__

if TYPE_CHECKING:
    from vaelens.models import VAE, TrainingResult

_MOST_SHOWN = 16  # latents whose KL is printed


@takes_hyperparameters
def train(
    out: Annotated[Path, typer.Option(help="The folder for model, checkpoint and log.")],
    dataset: Dataset = "sprites",
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = "vae",
    steps: Annotated[int, typer.Option(help="Optimisation steps, at least 1.")] = 3000,
    latent_dim: Annotated[int | None, typer.Option(help=f"{LATENT_DIM_HELP}.")] = None,
    likelihood: Annotated[str, typer.Option(help="A pixel's distribution: bernoulli, or gaussian.")] = "bernoulli",
    batch_size: Annotated[
        int, typer.Option(help="Images a step, at least 1; factor-vae trains the model on half of them.")
    ] = 64,
    lr: Annotated[float, typer.Option(help="Adam's learning rate, above 0 and at most 1.")] = 1e-3,
    seed: Seed = 0,
    device: Device = "auto",
    root: Root = None,
    dataset_option: DatasetOptions = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log for TensorBoard too (needs tensorboard).")
    ] = False,
    warm_up: WarmUps = None,
    cyclical: Cycles = None,
    cosine_decay: CosineDecays = None,
    **hyperparameters: float | int | str | None,
) -> None:
    """Train a VAE and save it as a folder of config.json and model.safetensors."""
    import vaelens as vl

    schedules = parse_schedules(warm_up, cyclical, cosine_decay)
    given = {name: value for name, value in hyperparameters.items() if value is not None}
    ds = vl.load_dataset(dataset, root=root, **parse_options(dataset_option))
    print_notes(ds)
    vae = vl.build_model(model, ds.image_shape, latent_dim, likelihood, seed=seed, **given)
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
        callbacks=schedules,
    )
    vae.save_pretrained(out)
    record = {
        "vaelens": __version__,
        "model": vae.config,
        "dataset": ds.describe(),
        "steps": result.steps,
        "batch_size": batch_size,
        "lr": lr,
        "schedules": {schedule.name: schedule.describe() for schedule in schedules},
        "seed": seed,
        "device": result.device,
        "terms": result.terms,
        "kl_per_latent": result.kl_per_latent,
    }
    (out / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    _print_terms(vae, result)
    print(f"model: {out}")


def _print_terms(vae: "VAE", result: "TrainingResult") -> None:
    terms = dict(result.terms)
    error, active, perplexity = (terms.pop(name, None) for name in ("squared_error", "active_latents", "perplexity"))
    print(f"{result.steps} steps; at the end: {', '.join(f'{name} {value:.4g}' for name, value in terms.items())}")
    print(f"squared error a pixel: {error:.4g}")
    if perplexity is not None:
        print(f"codes in use: {perplexity:.1f} of {vae.hyperparameters['codes']} (perplexity of a batch)")
    if active is not None:
        kl = " ".join(f"{value:.2f}" for value in result.kl_per_latent)
        short = f"; KL of each, in nats: {kl}" if vae.latent_dim <= _MOST_SHOWN else ""
        print(f"active latents: {active:.0f} of {vae.latent_dim}{short}")


def _tensorboard(out: Path) -> Any:
    try:
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(out, name="tensorboard")
    except ModuleNotFoundError as error:
        raise VaelensError("--tensorboard needs the package tensorboard: pip install tensorboard") from error
