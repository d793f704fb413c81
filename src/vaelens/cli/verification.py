"""`vaelens verify` computes a run's numbers again from model, data and configuration, and compares them."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from vaelens.cli.options import DatasetOptions, Device, Root, given_root, options_of
from vaelens.cli.sources import analysis_in, load_lens, model_beside, recorded_dataset
from vaelens.paths import user_path

if TYPE_CHECKING:
    from vaelens.analysis import Analysis, Verification
    from vaelens.data import FactorDataset

_RUN_HELP = "A folder that vaelens train and analyse wrote, a cell of a study, or the folder of an analysis."
_MODEL_HELP = (
    "The model that was analysed, as vaelens analyse takes it; by default the one that lies beside the analysis."
)
_DATASET_HELP = "The images that were analysed; by default the name and options that were recorded."
_JSON_HELP = "Print one JSON object for a program to read."


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help=_RUN_HELP)],
    model: Annotated[str | None, typer.Option(metavar="MODEL", help=_MODEL_HELP)] = None,
    dataset: Annotated[str | None, typer.Option(help=_DATASET_HELP)] = None,
    root: Root = None,
    dataset_option: DatasetOptions = None,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
) -> None:
    """Recompute a run's numbers from model, data and configuration, and say which agree.

    It takes as long as the analysis took and writes nothing. The exit status is 1 where a number differs.
    """
    options = options_of(dataset, dataset_option)
    folder = analysis_in(user_path("RUN", run))
    source = model_beside(folder, "give it as --model, as vaelens analyse takes it") if model is None else model
    import vaelens as vl

    analysis = vl.Analysis.load(folder)
    lens = load_lens(source, device)
    if dataset is None:
        dataset, options = recorded_dataset(analysis.provenance["dataset"], str(run))
    ds = vl.load_dataset(dataset, root=given_root(root), **options)  # pyright: ignore[reportArgumentType]
    reader = _kept_reader(analysis, ds, device)
    verification = vl.verify(analysis, lens, ds, reader=reader, progress=True)
    if as_json:
        print(json.dumps(_plain(verification, folder), ensure_ascii=False, allow_nan=False))
    else:
        _print(verification)
    if not verification.holds:
        raise typer.Exit(1)


def _kept_reader(analysis: "Analysis", ds: "FactorDataset", device: str) -> Any:
    """Finds the reader that the analysis had, and trains no new one."""
    if "reader" not in analysis.provenance:
        return None
    from vaelens.metrics.readers import kept_reader

    return kept_reader(ds, device)


def _print(verification: "Verification") -> None:
    table = Table("part", "agrees", "largest difference", "where, or why not")
    for part in verification.parts:
        largest = "" if math.isnan(part.difference) or not part.difference else f"{part.difference:.2g}"
        table.add_row(part.part, part.status, largest, part.where or part.why)
    Console().print(table)
    print(verification.conclusion)


def _plain(verification: "Verification", folder: Path) -> dict[str, Any]:
    parts = [
        vars(part) | {"difference": part.difference if math.isfinite(part.difference) else None}
        for part in verification.parts
    ]
    return {
        "holds": verification.holds,
        "conclusion": verification.conclusion,
        "causes": list(verification.causes),
        "parts": parts,
        "analysis": str(folder),
    }
