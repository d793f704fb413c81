"""`vaelens study` plans, runs and watches a study of many models."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaelens.cli.options import Root, given_root
from vaelens.errors import VaelensError
from vaelens.paths import user_path

if TYPE_CHECKING:
    from vaelens.study import Study
    from vaelens.study.execution import Outcome
    from vaelens.study.folder import Named

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
    workers: Annotated[int, typer.Option(help="Workers that the time is told for.", min=1)] = 1,
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
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try cells again that were given up.")] = False,
    root: Root = None,
) -> None:
    """Run every cell that is not done. Killed at any moment, the same command goes on."""
    study, folder, begun = _study(file, root), user_path("--out", out), time.monotonic()
    watcher = _Watcher(study, folder)
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
    print(f"{done} {'cell' if done == 1 else 'cells'} done in {_duration(time.monotonic() - begun)}")
    if tally.stopped:
        raise VaelensError(f"the study stopped: {tally.stopped}; nothing is lost: run the same command again to go on")
    print(f"table: {folder / 'runs.csv'} and runs.parquet")
    if failed:
        first = f"{failed[0]}: {tally.outcomes[failed[0]].why}"
        raise VaelensError(f"{len(failed)} cells failed and were given up, {first}; --retry-failed tries them again")


@study.command()
def status(folder: Folder, root: Root = None) -> None:
    """Print how far each cell of a study is."""
    from vaelens.study import Study

    path = user_path("DIR", folder)
    _print_states(Study.from_folder(path, given_root(root)), path, 1)


@study.command()
def table(folder: Folder) -> None:
    """Write runs.csv and runs.parquet anew from the cells that are done."""
    from vaelens.study import Study
    from vaelens.study.table import write_table

    path = user_path("DIR", folder)
    rows = Study.from_folder(path).table()
    write_table(rows, path)
    print(f"table: {path / 'runs.csv'} and runs.parquet, {len(rows):,} rows")


@study.command()
def findings(folder: Folder) -> None:
    """Judge the paper's findings on the cells that are done, by rules written down beforehand, and make a page."""
    from vaelens.report.study import write_study
    from vaelens.study import Study
    from vaelens.study.table import write_table

    path = user_path("DIR", folder)
    results = Study.from_folder(path).results()
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
    """Write the page of a study alone: findings, figures, convergence and cost."""
    from vaelens.report.study import write_study
    from vaelens.study import Study

    path = user_path("DIR", folder)
    target = user_path("--out", out) if out is not None else path / "report.html"
    print(f"report: {write_study(Study.from_folder(path).results(), target)}")


def _study(file: str, root: str | None) -> "Study":
    try:
        from vaelens.study import Study
    except ModuleNotFoundError as error:
        raise VaelensError(f"a study needs {error.name}: pip install 'vaelens[study]'") from error
    return Study.from_yaml(user_path("FILE", file), given_root(root))


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
            print(f"{named.cell.title} runs: {_told(place.progress(named))}")
    left = [named for named in cells if states[named.cell.title] not in ("done", "failed")]
    if left:
        cost = cost_of(done.counted, left, study.root)
        many = "worker" if workers == 1 else "workers"
        what = "training alone, timed on a few steps" if cost.trained_alone else "as the cells did that are done"
        print(f"left: {len(left)} cells, about {_duration(cost.seconds / workers)} on {workers} {many} ({what})")


class _Watcher:
    """Shows how a study goes on: a live table on a terminal, else a line for each cell that ends."""

    def __init__(self, study: "Study", folder: Path) -> None:
        from rich.console import Console

        self._study, self._folder, self._console = study, folder, Console(stderr=True)
        self._live: Any = None
        self._ended: dict[str, Outcome] = {}
        self._cells: list[Named] = []
        self._begun = time.monotonic()
        self._dashboard = ""

    def begin(self, client: Any, cells: "list[Named]") -> None:
        """Begins to show, once the cells and the workers are there."""
        self._cells = cells
        if client is not None and getattr(client, "dashboard_link", None):
            self._dashboard = client.dashboard_link
            print(f"vaelens: dashboard {self._dashboard}", file=sys.stderr, flush=True)
        print(f"vaelens: {len(cells)} cells to do", file=sys.stderr, flush=True)
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(get_renderable=self._table, console=self._console, refresh_per_second=1)
            self._live.start()

    def tell(self, named: "Named", outcome: "Outcome") -> None:
        """Says how an attempt at a cell ended."""
        self._ended[named.cell.title] = outcome
        why = f": {outcome.why}" if outcome.why else ""
        line = f"vaelens: {named.cell.title} {outcome.how} after {_duration(outcome.seconds)}{why}"
        ended = sum(outcome.how in ("done", "done before") for outcome in self._ended.values())
        line += f" ({ended} of {len(self._cells)})"
        if self._live is not None:
            self._live.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Takes the table off the screen."""
        if self._live is not None:
            self._live.stop()

    def _table(self) -> Any:
        from rich.table import Table

        from vaelens.study.folder import StudyFolder

        place = StudyFolder(self._folder.absolute())
        shown = Table("running", "where", "loss", "left", title=f"{len(self._ended)} of {len(self._cells)} cells ended")
        for named in self._cells:
            told = place.progress(named)
            if told:
                share = f"{told['place']}, {told['share']:.0%}"
                loss = f"{told['loss']:.4g}" if "loss" in told else ""
                left = _duration(told["seconds_left"]) if "seconds_left" in told else ""
                shown.add_row(named.cell.title, share, loss, left)
        return shown


def _told(progress: dict[str, Any]) -> str:
    if not progress:
        return "just begun"
    loss = f", loss {progress['loss']:.4g}" if "loss" in progress else ""
    return f"{progress['place']}, {progress['share']:.0%}{loss}"


def _duration(seconds: float) -> str:
    from vaelens.analysis.plan import duration

    return duration(seconds)
