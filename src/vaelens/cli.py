"""The front door: parse, call the public API, print. Every command ends with where its results are.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from vaelens.errors import VaelensError
from vaelens.version import __version__

if TYPE_CHECKING:
    from vaelens.analysis import Analysis
    from vaelens.data import FactorDataset
    from vaelens.models import VAE


class _Interrupted(Exception):
    """Ctrl-C, with what the interrupted work says about going on."""


class _Commands(TyperGroup):
    """The commands; Typer would turn Ctrl-C into an exit status without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise _Interrupted(str(stop) or "interrupted") from stop


app = typer.Typer(
    name="vaelens",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# Typer carries Click, its own copy or the package; in either, a user's mistake is the parent of BadParameter.
_UsageError: Any = typer.BadParameter.__mro__[1]

_QUICK_STEPS, _QUICK_IMAGES = 1500, 256

Seed = Annotated[int, typer.Option(help="Fixes everything that is drawn.", min=0)]
Dataset = Annotated[str, typer.Option(help="The images: sprites, or digits.")]
Root = Annotated[Path | None, typer.Option(help="The folder of a dataset that reads files; built-in ones read none.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


def _print_version(asked: bool) -> bool:
    if asked:
        print(f"vaelens {__version__}")
        raise typer.Exit
    return asked


@app.callback(help="See what happens inside a variational autoencoder, by intervening on it.")
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """The options of every command; `main` reads --debug, wherever it stands."""


@app.command()
def quickstart(
    out: Annotated[Path, typer.Option(help="Where model, analysis and report go.")] = Path("runs/quickstart"),
    seed: Seed = 0,
) -> None:
    """Train a small VAE on the built-in sprites, explain it, and write a report.

    A run that was interrupted goes on where it stopped.
    """
    interrupted = (out / "checkpoints" / "last.safetensors").exists()
    train(out, dataset="sprites", model="vae", steps=_QUICK_STEPS, seed=seed, resume=interrupted)
    analyse(out, dataset="sprites", images=_QUICK_IMAGES, seed=seed, overwrite=True)


@app.command()
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


@app.command()
def analyse(
    model_dir: Annotated[Path, typer.Argument(help="A folder that vaelens train wrote.")],
    dataset: Dataset,
    root: Root = None,
    out: Annotated[
        Path | None, typer.Option(help="Where analysis and report go; MODEL_DIR/analysis by default.")
    ] = None,
    images: Annotated[int, typer.Option(help="Images to measure on, at most.")] = 512,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an analysis that is there.")] = False,
) -> None:
    """Explain a trained VAE: interventions on all four levels, metrics, and a report."""
    import vaelens as vl
    from vaelens.models.devices import find_device
    from vaelens.report import sentences

    target = model_dir / "analysis" if out is None else out
    ds = vl.load_dataset(dataset, root=root)
    model = vl.VAE.from_pretrained(model_dir)
    _check_fit(model, ds)
    _check_free(target, overwrite)
    analysis = vl.analyse(vl.Lens(model.to(find_device(device))), ds, n=images, seed=seed)
    analysis.save(target, overwrite=overwrite)
    report = analysis.report(target / "report.html")
    _print_scores(analysis)
    for sentence in sentences(analysis):
        print(f"· {sentence}")
    print(f"analysis: {target}")
    print(f"report: {report}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: errors are one line on standard error, with exit status 1, or 2 for wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    try:
        command = [argument for argument in given if argument != "--debug"]
        status = app(command, standalone_mode=False, prog_name="vaelens")
        sys.exit(status if isinstance(status, int) else 0)
    except _Interrupted as stop:
        _fail(str(stop), 130)
    except _UsageError as error:
        help_of = error.ctx.command_path if error.ctx else "vaelens"
        _fail(f"{error.format_message()} See {help_of} --help.", 2)
    except (VaelensError, OSError) as error:
        if debug:
            raise
        _fail(str(error), 1)
    except Exception as error:
        if debug:
            raise
        _fail(f"{type(error).__name__}: {error}; this is a fault of vaelens: --debug shows where", 1)


def _fail(message: str, status: int) -> None:
    print(f"vaelens: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(status)


def _tensorboard(out: Path) -> Any:
    try:
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(out, name="tensorboard")
    except ModuleNotFoundError as error:
        raise VaelensError("--tensorboard needs the package tensorboard: pip install tensorboard") from error


def _check_fit(model: "VAE", ds: "FactorDataset") -> None:
    if tuple(model.image_shape) != tuple(ds.image_shape):
        raise VaelensError(
            f"the model takes images of {_shape(model.image_shape)}, {ds.name} has {_shape(ds.image_shape)}; "
            "name the dataset that it was trained on"
        )


def _check_free(out: Path, overwrite: bool) -> None:
    """Refuse before the work, not after it."""
    if out.is_file():
        raise VaelensError(f"{str(out)!r} is a file; give a folder")
    if (out / "effects.nc").exists() and not overwrite:
        raise VaelensError(f"{str(out)!r} holds an analysis already; give another --out, or --overwrite")


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _print_scores(analysis: "Analysis") -> None:
    table = Table("score", "value", "95 % interval", "how it was made")
    for name, row in analysis.scores.iterrows():
        interval = "" if row["low"] != row["low"] else f"{row['low']:.4g} to {row['high']:.4g}"
        table.add_row(str(name), f"{row['value']:.4g}", interval, str(row["made"]))
    Console().print(table)
