"""`vaelens explore` serves a page on this machine that changes a model's images, latents, units and circuits."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaelens.cli.options import DatasetOptions, Device, Root, given_root, options_of, print_notes
from vaelens.cli.sources import (
    analysis_in,
    dataset_lines,
    lens_lines,
    load_lens,
    model_beside,
    model_in,
    recorded_dataset,
    trained_on,
)
from vaelens.paths import user_path

if TYPE_CHECKING:
    from vaelens.analysis import Analysis

_MODEL_HELP = (
    "What vaelens analyse takes: a folder, or package.module:function; or the folder of an analysis, or a cell of a "
    "study."
)
_DATASET_HELP = "Where images come from; by default what the model was analysed on, or trained on."
_CIRCUIT_HELP = (
    "A JSON file of vaelens circuits (repeatable); by default those in MODEL/circuits and those of the analysis."
)
_HOST_HELP = "The address to listen at: this machine alone by default; 0.0.0.0 lets others in, without a password."
_PORT_HELP = "The port to listen at; the first free one from 7860 on by default."


def explore(
    model: Annotated[str, typer.Argument(metavar="RUN_OR_MODEL", help=_MODEL_HELP)],
    dataset: Annotated[str | None, typer.Option(help=_DATASET_HELP)] = None,
    root: Root = None,
    dataset_option: DatasetOptions = None,
    circuit: Annotated[list[Path] | None, typer.Option(metavar="FILE", help=_CIRCUIT_HELP)] = None,
    host: Annotated[str, typer.Option(help=_HOST_HELP)] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help=_PORT_HELP)] = None,
    device: Device = "auto",
) -> None:
    """Open a model to drag latents, patch and ablate units, walk circuits, and see at once what becomes of an image.

    Serves a page on this machine until Ctrl-C. Nothing is written, and nothing is asked of another machine.
    """
    options = options_of(dataset, dataset_option)
    where = given_root(root)
    import vaelens as vl
    from vaelens.explorer.python import Origin
    from vaelens.explorer.server import gradio
    from vaelens.explorer.walk import read_walk, walks_in, walks_of_table

    gradio()  # where it is missing, that is said before anything takes time
    folder = Path(model).expanduser()
    analysis = _analysis(folder)
    source = str(model_in(folder)) if folder.is_dir() and model_in(folder) else model
    if analysis is not None and model_in(folder) is None:
        source = model_beside(analysis_in(folder), "open the model itself, as vaelens analyse takes it")
    lens = load_lens(source, device)
    if dataset is None:
        recorded = trained_on(lens) if analysis is None else analysis.provenance["dataset"]
        dataset, options = recorded_dataset(recorded, model)
    ds = vl.load_dataset(dataset, root=where, **options)  # pyright: ignore[reportArgumentType]
    print_notes(ds)
    if circuit:
        walks = [read_walk(user_path("--circuit", path)) for path in circuit]
    else:
        of_analysis = {} if analysis is None else analysis.effects
        walks = walks_of_table(of_analysis["circuits"]) if "circuits" in of_analysis else []
        walks += walks_in(Path(source) / "circuits")
    origin = Origin(lens_lines(source, device, lens), dataset_lines(dataset, where, options))
    vl.explore(lens, ds, walks, host=host, port=port, origin=origin)


def _analysis(folder: Path) -> "Analysis | None":
    """Loads the analysis that a folder is, or holds. None where there is none, or none that is finished."""
    import vaelens as vl

    if not (folder / "manifest.json").is_file() and not (folder / "analysis" / "manifest.json").is_file():
        return None
    return vl.Analysis.load(analysis_in(folder))
