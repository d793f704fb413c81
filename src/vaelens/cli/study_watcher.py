"""What `vaelens study run` shows while cells are worked on, a live table on a terminal and lines elsewhere."""

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaelens.study.execution import Outcome
    from vaelens.study.folder import Named

_LOOK = 1.0  # seconds between two looks at what workers tell of themselves
_LINES = 4  # for each phase of a cell, training or analysis


class Watcher:
    """Shows how a study goes on, by a live table on a terminal, else by a line for a cell's end and each phase."""

    def __init__(self, folder: Path) -> None:
        from rich.console import Console

        self._folder, self._console = folder, Console(stderr=True)
        self._live: Any = None
        self._ended: dict[str, Outcome] = {}
        self._cells: list[Named] = []
        self._stop = threading.Event()
        self._teller = threading.Thread(target=self._tell_phases, name="phases", daemon=True)

    def begin(self, client: Any, cells: "list[Named]") -> None:
        """Begins to show, once the cells and the workers are there."""
        self._cells = cells
        if client is not None and getattr(client, "dashboard_link", None):
            print(f"vaelens: dashboard {client.dashboard_link}", file=sys.stderr, flush=True)
        print(f"vaelens: {len(cells)} {'cell' if len(cells) == 1 else 'cells'} to do", file=sys.stderr, flush=True)
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(get_renderable=self._table, console=self._console, refresh_per_second=1)
            self._live.start()
        else:
            self._teller.start()

    def tell(self, named: "Named", outcome: "Outcome") -> None:
        """Says how an attempt at a cell ended."""
        self._ended[named.cell.title] = outcome
        why = f": {outcome.why}" if outcome.why else ""
        line = f"vaelens: {named.cell.title} {outcome.how} after {duration(outcome.seconds)}{why}"
        ended = sum(outcome.how in ("done", "done before") for outcome in self._ended.values())
        line += f" ({ended} of {len(self._cells)})"
        if self._live is not None:
            self._live.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Takes the table off the screen, or ends the lines."""
        self._stop.set()
        if self._live is not None:
            self._live.stop()
        if self._teller.is_alive():
            self._teller.join()

    def _tell_phases(self) -> None:
        """Prints how far cells are, a line when one begins its training or its analysis and for each quarter of it."""
        from vaelens.study.folder import StudyFolder

        place, last = StudyFolder(self._folder.absolute()), dict[str, tuple[str, int]]()
        while not self._stop.wait(_LOOK):
            for named in self._cells:
                progress = place.progress(named) if place.claim_of(named).exists() else {}  # not of those cut off
                phase = (progress["place"], int(_LINES * progress["share"])) if progress else ("", 0)
                if progress and last.get(named.cell.title) != phase:
                    last[named.cell.title] = phase
                    print(f"vaelens: {named.cell.title}: {told(progress)}", file=sys.stderr, flush=True)

    def _table(self) -> Any:
        from rich.table import Table

        from vaelens.study.folder import StudyFolder

        place = StudyFolder(self._folder.absolute())
        shown = Table("running", "where", "loss", "left", title=f"{len(self._ended)} of {len(self._cells)} cells ended")
        for named in self._cells:
            progress = place.progress(named)
            if progress:
                share = f"{progress['place']}, {progress['share']:.0%}"
                loss = f"{progress['loss']:.4g}" if "loss" in progress else ""
                left = duration(progress["seconds_left"]) if "seconds_left" in progress else ""
                shown.add_row(named.cell.title, share, loss, left)
        return shown


def told(progress: dict[str, Any]) -> str:
    """Says how far a worker tells that its cell is."""
    if not progress:
        return "just begun"
    loss = f", loss {progress['loss']:.4g}" if "loss" in progress else ""
    return f"{progress['place']}, {progress['share']:.0%}{loss}"


def duration(seconds: float) -> str:
    """Writes a time as it is spoken of."""
    from vaelens.analysis import plan  # PyTorch is imported when there is something to tell

    return plan.duration(seconds)
