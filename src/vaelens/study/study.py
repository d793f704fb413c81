"""A study, which is a plan that is run into a folder, and what the folder then holds."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from vaelens.arguments import whole_number
from vaelens.errors import VaelensError, unknown
from vaelens.paths import user_path
from vaelens.study.cell import differences
from vaelens.study.done_cells import DoneCells, done_cells
from vaelens.study.driver import Event, Tally, in_turn, on_workers, workers
from vaelens.study.execution import Outcome, data_hash, dataset
from vaelens.study.findings.examination import findings_of
from vaelens.study.findings.finding import Findings
from vaelens.study.folder import Named, State, StudyFolder
from vaelens.study.lease import Watch
from vaelens.study.plan import Plan
from vaelens.study.results import StudyResults, study_results
from vaelens.study.study_file import parse_plan, read_plan
from vaelens.study.table import study_table, write_table
from vaelens.version import __version__
from vaelens.writing import is_ours, written_whole

_PLAN = "study.yaml"


@dataclass
class Study:
    """Every model on every dataset from every seed, as a file plans it.

    Attributes:
        plan: what the file says, checked.
        text: the file.
        root: where the files of datasets lie; the usual place by default.
        folder: where it was last run, or read from; None before that.

    Example:
        >>> study = Study.from_text("{name: tiny, datasets: [digits], models: [vae], seeds: [0, 1, 2]}")
        >>> study
        Study('tiny': 3 cells, 1 dataset × 1 model × 3 seeds)
    """

    plan: Plan
    text: str
    root: Path | None = None
    folder: Path | None = field(default=None, compare=False)

    @classmethod
    def from_yaml(cls, path: str | Path, root: str | Path | None = None) -> "Study":
        """Reads a study's file.

        Args:
            path: the file, such as studies/smoke.yaml.
            root: where the files of datasets lie; the usual place by default.

        Raises:
            VaelensError: there is no such file, or a field is unknown, missing or out of range; with the line.
        """
        file = user_path("path", path)
        plan = read_plan(file)
        return cls(plan, file.read_text(encoding="utf-8"), None if root is None else user_path("root", root))

    @classmethod
    def from_text(cls, text: str) -> "Study":
        """Reads a study's plan from text.

        Raises:
            VaelensError: as `from_yaml`.
        """
        return cls(parse_plan(text), text)

    @classmethod
    def from_folder(cls, folder: str | Path, root: str | Path | None = None) -> "Study":
        """Reads the plan of a study that was begun in a folder.

        Raises:
            VaelensError: no study was begun there.
        """
        path = user_path("folder", folder)
        if not (path / _PLAN).exists():
            raise VaelensError(f"{str(path)!r} holds no study: {_PLAN} is missing; begin one with vaelens study run")
        study = cls.from_yaml(path / _PLAN, root)
        study.folder = path
        return study

    def cells(self) -> list[Named]:
        """Lists the cells by name, in the order in which they are run. Reads a few images of each dataset."""
        hashes = {
            label: data_hash(dataset(entry.name, _options(entry.options), self.root))
            for entry, label in zip(self.plan.datasets, self.plan.dataset_labels, strict=True)
        }
        return [Named(cell, hashes[cell.dataset], __version__) for cell in self.plan.cells()]

    def states(
        self, folder: str | Path, cells: Sequence[Named] | None = None, watch: Watch | None = None
    ) -> dict[str, State]:
        """Says of each cell, by its title, whether it is done, running, interrupted, failed or waiting.

        Args:
            folder: the study's.
            cells: as `cells` lists them; listed anew by default.
            watch: what was seen of leases before.

        Raises:
            VaelensError: a cell there was made otherwise.
        """
        place, watch = StudyFolder(user_path("folder", folder)), watch or Watch()
        listed = self.cells() if cells is None else cells
        return {named.cell.title: place.state(named, self.plan.attempts, watch) for named in listed}

    def run(
        self,
        folder: str | Path,
        workers: int | None = None,
        scheduler: str | None = None,
        *,
        cell: str | None = None,
        retry_failed: bool = False,
        event: Event | None = None,
        begun: Callable[[Any, list[Named]], Any] | None = None,
    ) -> Tally:
        """Runs every cell that is not done, and writes the table of all that are.

        Killed at any moment, the same call does what is missing, and ends with the same table.

        Args:
            folder: where the study lives.
            workers: processes on this machine, each with one cell at a time; 1 by default, which is this process.
            scheduler: the address of a Dask scheduler whose workers see the folder under the same path.
            cell: the title (sprites/vae/0) or the name of one cell to run alone, in this process.
            retry_failed: has cells tried again that were given up.
            event: is told how each attempt at a cell ended.
            begun: is told the Dask client, if any, and the cells, once the workers are there.

        Returns:
            How the cells ended that were not done before.

        Raises:
            VaelensError: a field out of range, an unknown cell, a cell in the folder that was made otherwise, a folder
                of another study or one that can't be written, or no scheduler at the address.
        """
        place = StudyFolder(user_path("folder", folder).absolute())
        if scheduler is not None and (workers is not None or cell is not None):
            raise VaelensError("scheduler brings its own workers; leave workers and cell out, or scheduler")
        count = 1 if workers is None else whole_number("workers", workers, 1, 1024)
        cells = self.cells()
        if cell is not None:
            cells = [_find(cells, cell)]
        left = [named for named in cells if not place.is_done(named)]
        self._begin(place)
        self.folder = place.path
        if retry_failed:
            place.forget_failures()
        tell = event or _nothing
        if not left:
            tally = Tally()
        elif scheduler is None and count == 1:
            if begun is not None:
                begun(None, left)
            tally = in_turn(place, left, self.root, self.plan.attempts, tell, wait=cell is None)
        else:
            with _workers(count, scheduler, self.plan.device) as client:
                if begun is not None:
                    begun(client, left)
                tally = on_workers(client, place, left, self.root, self.plan.attempts, self.plan.device, tell)
        done = done_cells(place, self.plan)
        if done.counted and not tally.stopped:
            write_table(study_table(done), place.path)
        return tally

    def done(self, folder: str | Path | None = None) -> DoneCells:
        """Reads which cells of the plan are done in the folder, by default the last, and what else lies there.

        Raises:
            VaelensError: no folder is known, or the record of a cell is damaged.
        """
        return done_cells(StudyFolder(self._place(folder)), self.plan)

    def table(self, folder: str | Path | None = None) -> pd.DataFrame:
        """Reads the table of the plan's cells that are done from the folder, by default the last. See `study_table`.

        Raises:
            VaelensError: no folder is known, or no cell is done there.
        """
        return study_table(self.done(folder))

    def findings(self, folder: str | Path | None = None) -> Findings:
        """Judges the paper's findings on the table of the folder, by default the last. See `findings_of`.

        Raises:
            VaelensError: no folder is known, or no cell is done there.
        """
        return findings_of(self.table(folder))

    def results(self, folder: str | Path | None = None) -> StudyResults:
        """Reads table, findings, training curves and costs from the folder, by default the last.

        Raises:
            VaelensError: as `findings`.
        """
        return study_results(self.done(folder), self.plan.name)

    def report(self, path: str | Path, folder: str | Path | None = None) -> Path:
        """Writes the study as one HTML page that loads nothing from the network.

        Raises:
            VaelensError: as `findings`; the path is a folder, or can't be written.
        """
        from vaelens.report.study import write_study  # a convenience of the study; pages themselves live above it

        return write_study(self.results(folder), path)

    def _place(self, folder: str | Path | None) -> Path:
        if folder is None and self.folder is None:
            raise VaelensError("this study was not run yet, so there is no folder to read; give folder=, or run it")
        return self.folder if folder is None and self.folder is not None else user_path("folder", folder)

    def _begin(self, place: StudyFolder) -> None:
        """Keeps the plan in the folder, unless another study lives there."""
        kept = place.path / _PLAN
        if kept.exists():
            before = read_plan(kept)
            if kept.read_text(encoding="utf-8") == self.text:
                return
            _check_shared(place.path, before, self.plan)
        # What another driver is just writing, or one that was killed left, is nobody else's.
        elif place.path.is_dir() and not all(is_ours(path.name) for path in place.path.iterdir()) and not kept.exists():
            raise VaelensError(f"{str(place.path)!r} holds other things than a study; give an empty or a new folder")
        with written_whole(place.path) as unfinished:
            (unfinished / _PLAN).write_text(self.text, encoding="utf-8")

    def __repr__(self) -> str:
        plan = self.plan
        counts = [
            f"{len(of)} {what}{'' if len(of) == 1 else 's'}"
            for of, what in ((plan.datasets, "dataset"), (plan.models, "model"), (plan.seeds, "seed"))
        ]
        total = len(plan.datasets) * len(plan.models) * len(plan.seeds)
        return f"Study({plan.name!r}: {total} cell{'' if total == 1 else 's'}, {' × '.join(counts)})"


_workers = workers  # `run` has an argument of that name


def _nothing(named: Named, outcome: Outcome) -> None:
    """Tells nobody."""


def _check_shared(folder: Path, before: Plan, now: Plan) -> None:
    """Refuses a plan none of whose cells the plan has that lives in the folder."""
    there = {cell.title: cell.configuration for cell in before.cells()}
    if any(there.get(cell.title) == cell.configuration for cell in now.cells()):
        return
    changed = differences(before.model_dump(mode="json"), now.model_dump(mode="json"))
    shown = "; ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
    raise VaelensError(
        f"{str(folder)!r} is the folder of the study {before.name!r}, which has no cell in common with this one "
        f"({shown}), and studies are not mixed; give another --out"
    )


def _find(cells: Sequence[Named], asked: str) -> Named:
    for named in cells:
        if asked in (named.cell.title, named.name):
            return named
    raise unknown("cell", asked, [named.cell.title for named in cells])


def _options(options: Any) -> str:
    return json.dumps(dict(options), sort_keys=True)
