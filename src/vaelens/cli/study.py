"""`vaelens study` plans, runs and watches a study of many models."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaelens.cli.options import Root, given_root
from vaelens.cli.study_watcher import Watcher, duration, told
from vaelens.errors import VaelensError
from vaelens.paths import user_path

if TYPE_CHECKING:
    from vaelens.study import Study

study = typer.Typer(
    name="study",
    help="Train and analyse many models alike, in a folder that goes on wherever it was cut off.",
    no_args_is_help=True,
)

File = Annotated[str, typer.Argument(metavar="FILE", help="The study, such as studies/smoke.yaml.")]
Folder = Annotated[str, typer.Argument(metavar="DIR", help="The folder of a study.")]
Out = Annotated[str, typer.Option("--out", metavar="DIR", help="The folder of the study.")]
_SHOWN = 40  # cells of a state that are named


@study.command()
def plan(
    file: File,
    out: Annotated[str | None, typer.Option("--out", metavar="DIR", help="The folder of the study, if begun.")] = None,
    workers: Annotated[int, typer.Option(help="Workers to estimate the time for.", min=1)] = 1,
    root: Root = None,
) -> None:
    """Print the cells, what is done, and what the rest will cost. Runs none of them."""
    study = _study(file, root)
    _print_states(study, user_path("--out", out) if out is not None else None, workers)


@study.command()
def run(
    file: File,
    out: Out,
    workers: Annotated[
        int | None, typer.Option(help="Processes on this machine, each with one cell at a time.", min=1)
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A Dask scheduler whose workers see --out under the same path."),
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(metavar="CELL", help="Run one cell alone, such as sprites/vae/0, as in an array job."),
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Retry cells that were given up.")] = False,
    root: Root = None,
) -> None:
    """Run every cell that is not done. Killed at any moment, the same command goes on."""
    study, folder, begun = _study(file, root), user_path("--out", out), time.monotonic()
    watcher = Watcher(folder)
    try:
        tally = study.run(
            folder,
            workers,
            scheduler,
            cell=cell,
            retry_failed=retry_failed,
            event=watcher.tell,
            begun=watcher.begin,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"the study was interrupted; run the same command again to go on in {str(folder)!r}"
        ) from None
    finally:
        watcher.end()
    failed = [title for title, outcome in tally.outcomes.items() if outcome.how in ("failed", "given up")]
    done = tally.count("done")
    print(f"{done} {'cell' if done == 1 else 'cells'} done in {duration(time.monotonic() - begun)}")
    if tally.stopped:
        raise VaelensError(f"the study stopped: {tally.stopped}; nothing is lost: run the same command again to go on")
    print(f"table: {folder / 'runs.csv'} and runs.parquet")
    if failed:
        first = f"{failed[0]}: {tally.outcomes[failed[0]].why}"
        cells, them = ("1 cell", "it") if len(failed) == 1 else (f"{len(failed)} cells", "them")
        were = "was" if len(failed) == 1 else "were"
        raise VaelensError(f"{cells} failed and {were} given up, {first}; --retry-failed tries {them} again")


@study.command()
def status(folder: Folder, root: Root = None) -> None:
    """Print how far each cell of a study is."""
    path = user_path("DIR", folder)
    _print_states(_studies().from_folder(path, given_root(root)), path, 1)


@study.command()
def table(folder: Folder) -> None:
    """Write runs.csv and runs.parquet anew from the cells that are done."""
    path = user_path("DIR", folder)
    rows = _studies().from_folder(path).table()
    from vaelens.study.table import write_table

    write_table(rows, path)
    print(f"table: {path / 'runs.csv'} and runs.parquet, {len(rows):,} rows")


@study.command()
def findings(folder: Folder) -> None:
    """Judge the paper's findings on the cells that are done, by rules written down beforehand, and make a page."""
    path = user_path("DIR", folder)
    results = _studies().from_folder(path).results()
    from vaelens.report.study import write_study
    from vaelens.study.table import write_table

    write_table(results.table, path)
    results.findings.write(path)
    for finding in results.findings:
        print(finding.rule.claim)
        print(f"  {finding.verdict}: {finding.sentence}")
    print(f"findings: {path / 'findings.csv'} and findings.json")
    print(f"report: {write_study(results, path / 'report.html')}")


@study.command()
def report(
    folder: Folder, out: Annotated[str | None, typer.Option("--out", metavar="FILE", help="The page.")] = None
) -> None:
    """Write the page of a study alone, with findings, figures, convergence and cost."""
    path = user_path("DIR", folder)
    target = user_path("--out", out) if out is not None else path / "report.html"
    results = _studies().from_folder(path).results()
    from vaelens.report.study import write_study

    print(f"report: {write_study(results, target)}")


def _studies() -> "type[Study]":
    """Imports `Study`, which needs the packages of the extra `study`."""
    try:
        from vaelens.study import Study
    except ModuleNotFoundError as error:
        raise VaelensError(f"a study needs {error.name}: pip install '.[study]' in the clone of vaelens") from error
    return Study


def _study(file: str, root: str | None) -> "Study":
    return _studies().from_yaml(user_path("FILE", file), given_root(root))


def _print_states(study: "Study", folder: Path | None, workers: int) -> None:
    from vaelens.study.cost import cost_of
    from vaelens.study.folder import StudyFolder

    print(study)
    cells = study.cells()
    states: dict[str, str] = {named.cell.title: "waiting" for named in cells}
    if folder is not None:
        states |= study.states(folder, cells)
    for state in ("done", "running", "interrupted", "failed", "waiting"):
        titles = [title for title, of in states.items() if of == state]
        if titles:
            more = f" and {len(titles) - _SHOWN} more" if len(titles) > _SHOWN else ""
            print(f"{state}: {len(titles)}")
            print(f"  {', '.join(titles[:_SHOWN])}{more}")
    place = StudyFolder(folder if folder is not None else Path(os.devnull))
    done = study.done(place.path)
    if done.others:
        print(done.said_of_others)
    for named in cells:
        if states[named.cell.title] == "failed":
            print(f"{named.cell.title} failed: {place.why_given_up(named, study.plan.attempts)}")
        elif states[named.cell.title] == "running":
            print(f"{named.cell.title} runs: {told(place.progress(named))}")
    left = [named for named in cells if states[named.cell.title] not in ("done", "failed")]
    if left:
        cost = cost_of(done.counted, left, study.root)
        cells = "1 cell" if len(left) == 1 else f"{len(left)} cells"
        many = "1 worker" if workers == 1 else f"{workers} workers"
        time_left = f"about {duration(cost.seconds / workers)}"
        if cost.trained_alone:
            told_of = (
                f"{time_left} of training on {many} (timed on a few steps), and an analysis of each, whose time is"
            )
            print(f"left: {cells}, {told_of} known once one is done")
        else:
            print(f"left: {cells}, {time_left} on {many} (as the cells did that are done)")
