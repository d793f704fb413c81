"""`vaelens analyse`: everything about one model, as a record and a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from vaelens.cli.options import Dataset, DatasetOptions, Device, Root, Seed, parse_options
from vaelens.errors import VaelensError

if TYPE_CHECKING:
    from vaelens.analysis import Analysis
    from vaelens.data import FactorDataset
    from vaelens.models import VAE


def analyse(
    model_dir: Annotated[Path, typer.Argument(help="A folder that vaelens train wrote.")],
    dataset: Dataset,
    root: Root = None,
    dataset_option: DatasetOptions = None,
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
    ds = vl.load_dataset(dataset, root=root, **parse_options(dataset_option))
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
