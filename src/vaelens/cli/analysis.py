"""`vaelens analyse`: everything about one model, as a record and a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from vaelens.cli.options import Dataset, DatasetOptions, Device, Root, Seed, parse_options, print_notes
from vaelens.cli.sources import load_lens, name_of_source
from vaelens.cli.sources.reason import reason
from vaelens.errors import VaelensError

if TYPE_CHECKING:
    from vaelens.analysis import Analysis
    from vaelens.data import FactorDataset
    from vaelens.lens import Lens

_MODEL_HELP = (
    "A folder that vaelens train, diffusers (AutoencoderKL, VQModel) or Pythae saved; or package.module:function, a "
    "function without arguments that returns a vl.Lens."
)
_OUT_HELP = (
    "Where analysis and report go; MODEL/analysis by default, runs/NAME/analysis where MODEL is no folder, NAME the "
    "function."
)
_READER_HELP = (
    "Train a factor reader on the dataset first, once (some minutes; it is kept), and say which factors of the image "
    "each latent changes."
)


def analyse(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL_HELP)],
    dataset: Dataset,
    root: Root = None,
    dataset_option: DatasetOptions = None,
    out: Annotated[Path | None, typer.Option(help=_OUT_HELP)] = None,
    images: Annotated[int, typer.Option(help="Images to measure on, at most.")] = 512,
    seed: Seed = 0,
    reader: Annotated[bool, typer.Option("--reader", help=_READER_HELP)] = False,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an analysis that is there.")] = False,
) -> None:
    """Explain a trained VAE, of vaelens or not: interventions on all four levels, metrics, and a report."""
    import vaelens as vl
    from vaelens.report import sentences

    target = _default_out(model) if out is None else out
    ds = vl.load_dataset(dataset, root=root, **parse_options(dataset_option))
    print_notes(ds)
    lens = load_lens(model, device)
    _check_fit(lens, ds)
    _check_free(target, overwrite)
    reads = vl.factor_reader(ds, device=device) if reader else None
    if reads is not None:
        print(reads)
    analysis = vl.analyse(lens, ds, n=images, seed=seed, reader=reads)
    analysis.save(target, overwrite=overwrite)
    report = analysis.report(target / "report.html")
    _print_scores(analysis)
    for sentence in sentences(analysis):
        print(f"· {sentence}")
    print(f"analysis: {target}")
    print(f"report: {report}")


def _default_out(model: str) -> Path:
    folder = Path(model).expanduser()
    return folder / "analysis" if folder.is_dir() else Path("runs") / name_of_source(model) / "analysis"


def _check_fit(lens: "Lens", ds: "FactorDataset") -> None:
    given = _shape(ds.image_shape)
    if lens.image_shape is not None and tuple(lens.image_shape) != tuple(ds.image_shape):
        raise VaelensError(
            f"the model takes images of {_shape(lens.image_shape)}, {ds.name} has {given}; name the dataset that it "
            "was trained on"
        )
    image, _ = ds.sample(1, seed=0)
    try:
        lens.reconstruct(image)
    except Exception as error:  # whatever a model raises on images of another shape
        raise VaelensError(
            f"the {lens.describe()['model']} does not fit {ds.name}, whose images are {given}: {reason(error)}"
        ) from error


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
