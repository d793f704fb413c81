"""The cells of a plan that are done, told from whatever else the study's folder holds.

A cell counts where its place is planned, and its configuration, its version and its name are those of the plan.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaelens.errors import VaelensError
from vaelens.study.cell import Cell, differences
from vaelens.study.folder import StudyFolder
from vaelens.study.plan import Plan
from vaelens.version import __version__

_SHOWN = 3  # of the cells that don't count


@dataclass(frozen=True)
class DoneCell:
    """A cell that is done.

    Attributes:
        cell: what it was to do.
        path: where its results lie.
        name: its name.
        data: its data's hash.
        training: seconds that it took to train.
        analysis: seconds that it took to analyse.
        machine: where.
        system: of that machine.
    """

    cell: Cell
    path: Path
    name: str
    data: str
    training: float
    analysis: float
    machine: str
    system: str


@dataclass(frozen=True)
class DoneCells:
    """What a study's folder holds that is done.

    Attributes:
        folder: the study's.
        counted: cells of the plan, in the order of their places.
        others: what else lies where cells do, each with the reason why it doesn't count.
    """

    folder: Path
    counted: tuple[DoneCell, ...]
    others: tuple[str, ...]

    @property
    def said_of_others(self) -> str:
        """How many other cells there are and what to do, in words that are empty where there are none."""
        if not self.others:
            return ""
        count = len(self.others)
        cells, them = ("a cell that is", "it") if count == 1 else (f"{count} cells that are", "them")
        shown = "; ".join(self.others[:_SHOWN])
        shown += f"; and {count - _SHOWN} more" if count > _SHOWN else ""
        return (
            f"{str(self.folder)!r} holds {cells} not of its plan and left out ({shown}); move {them} to another "
            f"folder, or plan {them} as well"
        )


def done_cells(folder: StudyFolder, plan: Plan) -> DoneCells:
    """Reads which cells of a plan are done.

    Raises:
        VaelensError: the record of a planned cell is damaged, or cells of one dataset were made on different data.
    """
    planned = {folder.path / cell.path: cell for cell in plan.cells()}
    counted, others = [], []
    for path in folder.done():
        where = path.relative_to(folder.path).as_posix()
        if path not in planned:
            others.append(f"{where}: not planned")
            continue
        done, version = _read(path, planned[path])
        changed = differences(version, {"configuration": planned[path].configuration, "vaelens": __version__})
        if changed:
            others.append(f"{where}: made otherwise, {changed[0]}")
        elif done.name != done.cell.name(done.data, __version__):
            others.append(f"{where}: called {done.name}, which is not the name of what it records")
        else:
            counted.append(done)
    _check_data(counted)
    return DoneCells(folder.path, tuple(counted), tuple(others))


def _read(path: Path, cell: Cell) -> tuple[DoneCell, dict[str, Any]]:
    """Reads a cell's record, and by what configuration and version it was made."""
    file = path / "cell.json"
    try:
        record: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        origin = record["made"]
        training, analysis = (float(origin["seconds"][kind]) for kind in ("training", "analysis"))
        names = str(record["cell"]), str(record["data"])
        done = DoneCell(cell, path, *names, training, analysis, str(origin["machine"]), str(origin["system"]))
        return done, {"configuration": dict(record["configuration"]), "vaelens": record["vaelens"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        missing = f"it has no {error}" if isinstance(error, KeyError) else error
        raise VaelensError(
            f"{str(file)!r} is damaged ({missing}); move the cell's folder away, and run the study to have it made anew"
        ) from error


def _check_data(cells: list[DoneCell]) -> None:
    """Refuses cells that are called of one dataset and are not of the same images."""
    first: dict[str, DoneCell] = {}
    for done in cells:
        other = first.setdefault(done.cell.dataset, done)
        if other.data != done.data:
            raise VaelensError(
                f"{other.cell.title} and {done.cell.title} were made on different data, though both are called "
                f"{done.cell.dataset}; move the folder of the one away that is not of this study"
            )
