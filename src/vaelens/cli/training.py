"""`vaelens train` makes a model from a dataset, in a folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaelens.cli.hyperparameters import LATENT_DIM_HELP, MODEL_HELP, takes_hyperparameters
from vaelens.cli.options import (
    Dataset,
    DatasetOptions,
    Device,
    Overwrite,
    Root,
    Seed,
    given_root,
    parse_options,
    print_notes,
)
from vaelens.cli.schedules import CosineDecays, Cycles, WarmUps, parse_schedules
from vaelens.errors import VaelensError
from vaelens.paths import user_path

if TYPE_CHECKING:
    from vaelens.data import FactorDataset
    from vaelens.models import VAE, TrainingResult

LIKELIHOOD_HELP = (
    "A value's distribution: bernoulli, gaussian, gaussian-learned; of counts negative-binomial, "
    "zero-inflated-negative-binomial; of tables categorical. By the data if left out."
)
_MOST_SHOWN = 16  # latents whose KL is printed


@takes_hyperparameters
def train(
    out: Annotated[str, typer.Option(metavar="DIR", help="The folder for model, checkpoint and log.")],
    dataset: Dataset = "sprites",
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = "vae",
    steps: Annotated[int, typer.Option(help="Optimisation steps, at least 1.")] = 3000,
    latent_dim: Annotated[int | None, typer.Option(help=f"{LATENT_DIM_HELP}.")] = None,
    likelihood: Annotated[
        str | None,
        typer.Option(help=LIKELIHOOD_HELP),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(help="Images a step, at least 1; factor-vae trains the model on half of them.")
    ] = 64,
    lr: Annotated[float, typer.Option(help="Adam's learning rate, above 0 and at most 1.")] = 1e-3,
    seed: Seed = 0,
    device: Device = "auto",
    root: Root = None,
    dataset_option: DatasetOptions = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    overwrite: Overwrite = False,
    held_out: Annotated[
        int, typer.Option(help="Images that no batch holds, the same for every model of a dataset, to compare them on.")
    ] = 0,
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
    from vaelens.models.run_folder import run_folder

    folder = user_path("--out", out)
    values: dict[str, Any] = {name: value for name, value in hyperparameters.items() if value is not None}
    with run_folder(folder, resume, overwrite) as place:
        schedules = parse_schedules(warm_up, cyclical, cosine_decay)
        ds = vl.load_dataset(dataset, root=given_root(root), **parse_options(dataset_option))
        print_notes(ds)
        vae = vl.build_model(model, ds.observation, latent_dim, likelihood, seed=seed, **values)
        result = fit(
            vae,
            ds,
            place,
            f"by the same command with --resume{' in place of --overwrite' if overwrite else ''}",
            steps=steps,
            batch_size=batch_size,
            lr=lr,
            seed=seed,
            device=device,
            resume=resume,
            held_out=held_out,
            logger=_tensorboard(place) if tensorboard else None,
            callbacks=schedules,
        )
    print_terms(vae, result)
    print(f"model: {folder}")


def fit(vae: "VAE", ds: "FactorDataset", place: Path, advice: str, **options: Any) -> "TrainingResult":
    """Trains a model in the folder of a run, and leaves it there with a record of how it was made.

    Args:
        vae: what is trained.
        ds: what it is trained on.
        place: where the run works.
        advice: what to do after an interruption to go on.
        **options: those of `vl.train`.

    Raises:
        VaelensError: as `vl.train`.
        KeyboardInterrupt: at Ctrl-C, with the advice.
        SystemExit: at SIGTERM, likewise.
    """
    import vaelens as vl
    from vaelens.models.interruption import TrainingInterrupted
    from vaelens.models.run_record import save_run

    try:
        result = vl.train(vae, ds, folder=place, **options)
    except TrainingInterrupted as stop:
        raise KeyboardInterrupt(stop.interruption.tell(advice)) from stop
    except SystemExit as stop:
        if isinstance(stop.__cause__, TrainingInterrupted):
            raise SystemExit(stop.__cause__.interruption.tell(advice)) from stop
        raise
    rate = {"lr": options["lr"]} if "lr" in options else {}
    save_run(vae, place, result, options.get("callbacks", ()), **rate)
    return result


def print_terms(vae: "VAE", result: "TrainingResult") -> None:
    """Prints what came of a training."""
    terms = dict(result.terms)
    error, active, perplexity = (terms.pop(name, None) for name in ("squared_error", "active_latents", "perplexity"))
    print(f"{result.steps} steps; at the end: {', '.join(f'{name} {value:.4g}' for name, value in terms.items())}")
    print(f"{vae.observation.worded('squared error a pixel')}: {error:.4g}")
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
