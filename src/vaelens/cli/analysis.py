"""`vaelens analyse` measures everything about one model, and writes a record and a report."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from vaelens.cli.options import DatasetOptions, Device, Root, Seed, given_root, options_of, print_notes
from vaelens.cli.sources import load_lens, name_of_source, recorded_dataset, trained_on
from vaelens.cli.sources.reason import reason
from vaelens.errors import VaelensError

if TYPE_CHECKING:
    from vaelens.analysis import Analysis
    from vaelens.data import FactorDataset
    from vaelens.lens import Lens

_MODEL_HELP = (
    "A folder that vaelens train, diffusers (AutoencoderKL, Tiny, DC …) or Pythae saved; or package.module:function, a "
    "function without arguments that returns a vl.Lens."
)
_DATASET_HELP = (
    "The images: a name that vaelens data list has; by default what a model of vaelens train was trained on."
)
_OUT_HELP = (
    "Where analysis and report go; MODEL/analysis by default, runs/NAME/analysis where MODEL is no folder, NAME the "
    "function."
)
_MINUTES_HELP = (
    "How long it may take: what each part costs is measured first, and as many images, and sites to patch, are taken "
    "as there is time for."
)
_ONLY_HELP = "Parts to run, such as latent or patching,mediation (repeatable); all but circuits by default."
_CIRCUITS_HELP = "Find a circuit of every factor too: the units that carry it from image to image (some minutes)."
_SKIP_HELP = "Parts to leave out (repeatable)."
_OVERWRITE_HELP = "Replace another analysis that is there; it stays whole until the new one is done."
_DCI_HELP = "What DCI is computed by: random-forest, or the reference, gradient-boosting, which takes an hour."
_VERBOSE_HELP = "Print all scores and all sentences, not only the five that matter most."
_JSON_HELP = "Print one JSON object for a program to read: scores, sentences and where the files are."
_READER_HELP = (
    "Train a factor reader on the dataset first, once (some minutes; it is kept), and say which factors of the image "
    "each latent changes."
)


def _folder(text: str) -> Path:
    if not text:
        raise typer.BadParameter("it is empty; give a folder")
    return Path(text).expanduser()


def analyse(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL_HELP)],
    dataset: Annotated[str | None, typer.Option(help=_DATASET_HELP)] = None,
    root: Root = None,
    dataset_option: DatasetOptions = None,
    out: Annotated[Path | None, typer.Option(help=_OUT_HELP, parser=_folder, metavar="DIR")] = None,
    images: Annotated[int, typer.Option(help="Images to measure on, at most.")] = 512,
    seed: Seed = 0,
    minutes: Annotated[float | None, typer.Option(help=_MINUTES_HELP)] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="PART", help=_ONLY_HELP)] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="PART", help=_SKIP_HELP)] = None,
    circuits: Annotated[bool, typer.Option("--circuits", help=_CIRCUITS_HELP)] = False,
    reader: Annotated[bool, typer.Option("--reader", help=_READER_HELP)] = False,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help=_OVERWRITE_HELP)] = False,
    dci_estimator: Annotated[str, typer.Option(help=_DCI_HELP)] = "random-forest",
    verbose: Annotated[bool, typer.Option("--verbose", help=_VERBOSE_HELP)] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
) -> None:
    """Explain a trained VAE, of vaelens or not, by interventions on all four levels, metrics, and a report.

    Each part is saved as it ends, and the same command goes on where it was cut off.
    """
    from vaelens.writing import sole_writer

    options = options_of(dataset, dataset_option)
    target = _default_out(model) if out is None else out
    with sole_writer(target):  # before anything that takes time
        import vaelens as vl
        from vaelens.analysis.run import selected_parts

        parts = {"only": _split(only), "skip": _split(skip)}
        selected_parts(**parts, circuits=circuits)
        lens = load_lens(model, device)
        if dataset is None:
            dataset, options = recorded_dataset(trained_on(lens), model)
        ds = vl.load_dataset(dataset, root=given_root(root), **options)  # pyright: ignore[reportArgumentType]
        if not as_json:
            print_notes(ds)
        _check_fit(lens, ds)
        reads = vl.factor_reader(ds, device=device) if reader else None
        if reads is not None and not as_json:
            print(reads, flush=True)
        asked = {
            "n": images,
            "seed": seed,
            "minutes": minutes,
            **parts,
            "circuits": circuits,
            "reader": reads,
            "overwrite": overwrite,
        }
        asked["dci_estimator"] = dci_estimator
        explain(lens, ds, target, asked, tell=_tell_json if as_json else _tell_all if verbose else tell_headlines)


def tell_headlines(analysis: "Analysis", target: Path, report: Path) -> None:
    """Prints the five sentences that matter most, and where everything is."""
    from vaelens.report.sentences import headlines

    _print_sentences(headlines(analysis), target, report)


def explain(
    lens: "Lens",
    ds: "FactorDataset",
    target: Path,
    asked: dict[str, Any],
    may_be_there: bool = False,
    tell: Callable[["Analysis", Path, Path], None] = tell_headlines,
) -> None:
    """Analyses into a folder, reports there, and prints what was found.

    Args:
        lens: the lens.
        ds: the dataset.
        target: the folder.
        asked: the options of `vl.analyse`.
        may_be_there: whether an analysis and report that are there already are told again, rather than refused.
        tell: prints what was found, given the analysis, its folder and its report; `tell_headlines` by default.

    Raises:
        VaelensError: as `vl.analyse`.
    """
    import vaelens as vl
    from vaelens.analysis.folder import AnalysisFolder
    from vaelens.report.pages import page
    from vaelens.writing import write_whole

    if (target / "report.html").exists() and not AnalysisFolder(target).is_taken and not asked["overwrite"]:
        raise VaelensError(f"{str(target)!r} holds a report.html, and no analysis; give another --out, or --overwrite")
    was_whole = not (asked["overwrite"] or may_be_there) and AnalysisFolder(target).is_whole
    analysis = vl.analyse(lens, ds, folder=target, **asked)
    content, report = page(analysis), target / "report.html"
    if was_whole and report.exists() and report.read_bytes() == content:
        raise VaelensError(
            f"{str(target)!r} holds this very analysis and its report already; give another --out, or --overwrite"
        )
    write_whole(report, content)
    tell(analysis, target, report)


def _tell_all(analysis: "Analysis", target: Path, report: Path) -> None:
    from vaelens.report import sentences

    _print_scores(analysis)
    _print_sentences(sentences(analysis), target, report)


def _tell_json(analysis: "Analysis", target: Path, report: Path) -> None:
    from vaelens.analysis.folder import score_records
    from vaelens.analysis.manifest import plain
    from vaelens.report import sentences

    told = {
        "scores": score_records(analysis.scores),
        "sentences": sentences(analysis),
        "analysis": str(target),
        "report": str(report),
    }
    print(json.dumps(plain(told), ensure_ascii=False, allow_nan=False))


def _print_sentences(said: Sequence[str], target: Path, report: Path) -> None:
    for sentence in said:
        print(f"· {sentence}")
    print(f"analysis: {target}")
    print(f"report: {report}")


def _split(names: Sequence[str] | None) -> list[str] | None:
    """Splits names that stand alone or side by side, with commas between them."""
    return [name.strip() for text in names for name in text.split(",")] if names else None


def _default_out(model: str) -> Path:
    folder = Path(model).expanduser()
    return folder / "analysis" if folder.is_dir() else Path("runs") / name_of_source(model) / "analysis"


def _check_fit(lens: "Lens", ds: "FactorDataset") -> None:
    shape = _shape(ds.image_shape)
    if not lens.takes_any_size and tuple(lens.image_shape) != tuple(ds.image_shape):
        raise VaelensError(
            f"the model takes images of {_shape(lens.image_shape)}, {ds.name} has {shape}; name the dataset that it "
            "was trained on"
        )
    image, _ = ds.sample(1, seed=0)
    try:
        lens.reconstruct(image)
    except Exception as error:  # whatever a model raises on images of another shape
        raise VaelensError(
            f"the {lens.describe()['model']} does not fit {ds.name}, whose images are {shape}: {reason(error)}"
        ) from error


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _print_scores(analysis: "Analysis") -> None:
    table = Table("score", "value", "95 % interval", "how it was made")
    for _, score in analysis.scores.iterrows():
        interval = "" if score["low"] != score["low"] else f"{score['low']:.4g} to {score['high']:.4g}"
        table.add_row(str(score["label"]), f"{score['value']:.4g}", interval, str(score["made"]))
    Console().print(table)
