"""What is read from a study's folder, which is the table, the findings, how training went, and what it cost."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vaelens.errors import VaelensError
from vaelens.paths import user_path
from vaelens.study.done_cells import DoneCell, DoneCells
from vaelens.study.findings.examination import findings_of
from vaelens.study.findings.finding import OWN_FILES, Findings
from vaelens.study.own_files import refuse_others
from vaelens.study.table import study_table
from vaelens.writing import written_whole

_ERROR = "squared_error"
_RUN = ["dataset", "model", "seed"]
_CURVE = [*_RUN, "step", _ERROR]
_TEXTS, _NUMBERS = ("dataset", "model", "machine", "system"), ("seed", "steps", "training", "analysis")  # of costs
_OWN_FILES = {"runs.parquet": (*_RUN, "measure", "value"), "curves.parquet": _CURVE, "costs.csv": _RUN, **OWN_FILES}
_TAIL = 0.2  # of the steps, in whose second half the error is compared with that in the first


@dataclass(frozen=True, eq=False)
class StudyResults:
    """What a study found and how it was made.

    Attributes:
        name: the study's.
        table: its tidy table.
        findings: what it says.
        curves: the squared error a pixel over training: `dataset`, `model`, `seed`, `step`, `squared_error`.
        costs: of each run: `dataset`, `model`, `seed`, `steps`, `training` and `analysis` in seconds, `machine`,
            `system`.
    """

    name: str
    table: pd.DataFrame
    findings: Findings
    curves: pd.DataFrame
    costs: pd.DataFrame

    @property
    def convergence(self) -> pd.DataFrame:
        """How far the error fell at the end of each training.

        `dataset`, `model`, `seed`, `squared_error` (the last), `fall`: by what share the mean error of the last tenth
        of the steps lies below that of the tenth before; near 0 where it has levelled off, NaN of a few steps.
        """
        rows = []
        for run, curve in self.curves.groupby(["dataset", "model", "seed"], observed=True):
            dataset, model, seed = run if isinstance(run, tuple) else (run, "", 0)
            share = curve["step"].to_numpy(float) / curve["step"].max()
            error = curve[_ERROR].to_numpy(float)
            before, last = error[(share > 1 - _TAIL) & (share <= 1 - _TAIL / 2)], error[share > 1 - _TAIL / 2]
            fall = float(1 - last.mean() / before.mean()) if len(before) else float("nan")
            rows.append((dataset, model, seed, float(error[-1]), fall))
        told = pd.DataFrame(rows, columns=["dataset", "model", "seed", _ERROR, "fall"])
        return told.astype({_ERROR: float, "fall": float})

    def write(self, folder: str | Path) -> None:
        """Writes all that is known here into a folder that `StudyResults.read` reads, a few megabytes at most.

        `runs.parquet`, `curves.parquet`, `costs.csv`, and the files of `Findings.write`.

        Raises:
            VaelensError: they can't be written, or a file of that name is there that no study wrote.
        """
        path = user_path("folder", folder)
        refuse_others(path, _OWN_FILES)
        with written_whole(path) as unfinished:
            self.table.to_parquet(unfinished / "runs.parquet", index=False)
            self.curves.to_parquet(unfinished / "curves.parquet", index=False)
            self.costs.to_csv(unfinished / "costs.csv", index=False)
        self.findings.write(path)

    @classmethod
    def read(cls, folder: str | Path) -> "StudyResults":
        """Reads what `write` wrote. The study is called as its folder, and its findings are judged anew.

        Raises:
            VaelensError: a file is missing or damaged, or holds something else.
        """
        path = user_path("folder", folder)
        try:
            table, curves = (pd.read_parquet(path / f"{name}.parquet") for name in ("runs", "curves"))
            findings = findings_of(table)
            missing = [name for name in _CURVE if name not in curves]
            if missing:
                raise ValueError(f"curves.parquet has no column {', '.join(missing)}")
            curves = curves.astype({"step": "int64", _ERROR: "float64"})
            costs = _read_costs(path / "costs.csv", table)
        except (OSError, ValueError, TypeError, NotImplementedError) as error:
            raise VaelensError(
                f"{str(path)!r} holds no results of a study, or damaged ones ({error}); write them with "
                "StudyResults.write"
            ) from error
        return cls(path.name, table, findings, curves, costs)


def _read_costs(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Reads the costs of a table's runs, texts as they stand.

    Raises:
        ValueError: something else than the costs of these runs, such as a file that was cut off.
    """
    if not path.read_bytes().endswith(b"\n"):
        raise ValueError(f"{path.name} is cut off")
    costs = pd.read_csv(
        path, dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False, na_values=dict.fromkeys(_NUMBERS, "")
    )
    missing = [name for name in (*_TEXTS, *_NUMBERS) if name not in costs]
    if missing:
        raise ValueError(f"{path.name} has no column {', '.join(missing)}")
    for name in _NUMBERS:
        costs[name] = pd.to_numeric(costs[name])
    runs = [sorted(set(map(tuple, of[_RUN].to_numpy().tolist()))) for of in (costs, table)]
    if runs[0] != runs[1] or len(costs) != len(runs[0]):
        raise ValueError(
            f"{path.name} has {len(costs)} rows, runs.parquet {len(runs[1])} runs; expected a row for each"
        )
    return costs


def study_results(done: DoneCells, name: str) -> StudyResults:
    """Reads the cells that are done.

    Args:
        done: as `done_cells` reads them.
        name: the study's.

    Raises:
        VaelensError: no cell is done, or a file of one is missing or damaged.
    """
    table = study_table(done)
    costs = pd.DataFrame(
        {
            **_run(each),
            "steps": each.cell.configuration["training"]["steps"],
            "training": each.training,
            "analysis": each.analysis,
            "machine": each.machine,
            "system": each.system,
        }
        for each in done.counted
    )
    curves = [_curve(each) for each in done.counted if _log(each).exists()]
    told = pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=_CURVE)
    return StudyResults(name, table, findings_of(table), told[_CURVE], costs)


def _run(done: DoneCell) -> dict[str, str | int]:
    return {"dataset": done.cell.dataset, "model": done.cell.model, "seed": done.cell.seed}


def _log(done: DoneCell) -> Path:
    return done.path / "model" / "logs" / "metrics.csv"


def _curve(done: DoneCell) -> pd.DataFrame:
    """Reads the error over training from the log of a run."""
    try:
        log = pd.read_csv(_log(done))
        curve = log[["step", _ERROR]].apply(pd.to_numeric).dropna()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VaelensError(
            f"{str(_log(done))!r} is damaged ({error}); delete it to do without that run's curve, or move the cell's "
            "folder away and run the study to have it made anew"
        ) from error
    return curve.assign(**_run(done))
