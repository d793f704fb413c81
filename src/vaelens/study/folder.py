"""The folder of a study, which alone says what is done, running, failed and missing (docs/studies.md has its files).

A finished cell is written in `work`, brought to the disk, and renamed into `runs` in one step. Of two that finish the
same cell, the second finds it there and drops its own.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vaelens.errors import VaelensError
from vaelens.study.cell import Cell, differences
from vaelens.study.lease import Watch, read
from vaelens.writing import written_whole

State = Literal["done", "running", "interrupted", "failed", "waiting"]
DEATHS = 10  # of workers, at the same place, after which a cell is taken to have caused them


@dataclass(frozen=True)
class Named:
    """A cell with its name, which its configuration, the data's hash and the package's version decide."""

    cell: Cell
    data: str
    version: str

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.cell.name(self.data, self.version)

    @property
    def record(self) -> dict[str, Any]:
        """All that its numbers depend on."""
        return self.cell.record(self.data, self.version)


@dataclass(frozen=True)
class StudyFolder:
    """A study's folder."""

    path: Path

    def final(self, named: Named) -> Path:
        """Returns where a finished cell lies."""
        return self.path / named.cell.path

    def claim_of(self, named: Named) -> Path:
        """Returns the file of its lease."""
        return self.path / "claims" / named.name

    def work_of(self, named: Named, token: str) -> Path:
        """Takes over what others left of the cell, or begins anew, in a folder that is this claim's alone.

        A holder that was given up and comes back no longer finds its folder.
        """
        mine = self.path / "work" / f"{named.name}-{token}"
        mine.parent.mkdir(parents=True, exist_ok=True)
        for left in sorted(mine.parent.glob(f"{named.name}-*")):
            if mine.exists():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(FileNotFoundError):
                    left.rename(mine)
        mine.mkdir(exist_ok=True)
        return mine

    def is_done(self, named: Named) -> bool:
        """Tells whether the cell is done.

        Raises:
            VaelensError: its place holds a cell of another configuration, other data or another version.
        """
        final = self.final(named)
        if not final.exists():
            return False
        try:
            record = json.loads((final / "cell.json").read_text(encoding="utf-8"))
            before = {name: record[name] for name in ("configuration", "data", "vaelens")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise VaelensError(
                f"{str(final)!r} is no cell of a study: cell.json can't be read; move it away"
            ) from error
        changed = differences(before, named.record)
        if changed:
            shown = "; ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
            raise VaelensError(
                f"{str(final)!r} was made otherwise than the study now asks ({shown}), and is not mixed with it; give "
                "another --out, or move that folder away to have the cell made anew"
            )
        return True

    def finish(self, named: Named, work: Path) -> bool:
        """Moves a cell that is whole to its place.

        Returns:
            Whether it was counted; False where another has finished it before.
        """
        final = self.final(named)
        final.parent.mkdir(parents=True, exist_ok=True)
        _to_disk(work)
        try:
            work.rename(final)
        except OSError:
            if not final.exists():
                raise
            shutil.rmtree(work, ignore_errors=True)
            return False
        _sync(final.parent)
        return True

    def note(self, named: Named, token: str, ending: Mapping[str, Any]) -> None:
        """Records how an attempt ended that did not finish the cell."""
        folder = self.path / "attempts" / named.name
        with written_whole(folder) as unfinished:
            (unfinished / f"{token}.json").write_text(json.dumps(dict(ending), indent=1), encoding="utf-8")

    def endings(self, named: Named) -> list[dict[str, Any]]:
        """Lists how attempts at the cell ended that did not finish it.

        Raises:
            VaelensError: a file that tells it is damaged.
        """
        told = []
        for path in sorted((self.path / "attempts" / named.name).glob("*.json")):
            with suppress(OSError):
                ending = _record(path)
                needed = {"failed": "why", "died": "place"}.get(str(ending.get("how")), "")
                if not isinstance(ending.get(needed), str):
                    raise VaelensError(
                        f"{str(path)!r} does not tell how an attempt at {named.cell.title} ended; delete it, and that "
                        "attempt is not counted"
                    )
                told.append(ending)
        return told

    def why_given_up(self, named: Named, attempts: int) -> str:
        """Says why the cell is not tried again, or nothing where it is.

        It is given up when it failed `attempts` times by itself, or when its worker died `DEATHS` times at the same
        place: deaths at different places are those of the machine.
        """
        endings = self.endings(named)
        failures = [ending for ending in endings if ending["how"] == "failed"]
        if len(failures) >= attempts:
            return failures[-1]["why"]
        places = [ending["place"] for ending in endings if ending["how"] == "died"]
        for place in places:
            if places.count(place) >= DEATHS:
                return f"its worker died {DEATHS} times at the same place ({place}), as when memory runs out"
        return ""

    def forget_failures(self) -> None:
        """Has all cells tried again that were given up."""
        shutil.rmtree(self.path / "attempts", ignore_errors=True)

    def state(self, named: Named, attempts: int, watch: Watch) -> State:
        """Says how far a cell is."""
        if self.is_done(named):
            return "done"
        holder = read(self.claim_of(named))
        if holder is not None and not watch.is_gone(holder):
            return "running"
        if self.why_given_up(named, attempts):
            return "failed"
        return "interrupted" if any((self.path / "work").glob(f"{named.name}-*")) else "waiting"

    def progress(self, named: Named) -> dict[str, Any]:
        """Reads how far the cell's worker says it is. Empty where nobody works on it."""
        for work in (self.path / "work").glob(f"{named.name}-*"):
            with suppress(OSError):
                told = _record(work / "progress.json")
                if isinstance(told.get("place"), str) and isinstance(told.get("share"), int | float):
                    return told
        return {}

    def done(self) -> Iterator[Path]:
        """Yields the folders of all cells that are done, in order."""
        yield from sorted(path.parent for path in (self.path / "runs").glob("*/*/*/cell.json"))


def _record(path: Path) -> dict[str, Any]:
    """Reads a record in JSON, or returns an empty one where the file holds anything else."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _to_disk(folder: Path) -> None:
    """Has the system write all that lies in a folder to the disk."""
    for root, _, files in os.walk(folder):
        for name in files:
            _sync(Path(root) / name)
        _sync(Path(root))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
