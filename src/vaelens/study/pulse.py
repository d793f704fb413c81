"""How far the work on a cell is, in a small file that those who watch the study read."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vaelens.errors import VaelensError

_EVERY = 1.0  # seconds between two writings


class Pulse:
    """Tells those who watch how far a cell is, and ends work on a cell that another has taken over."""

    def __init__(self, path: Path, lost: Callable[[], bool]) -> None:
        self.path, self._lost, self._last = path, lost, 0.0

    def tell(self, place: str, share: float = 0.0, **more: float) -> None:
        """Writes how far the cell is, by the place, the share of it that is done, and numbers such as the loss.

        Raises:
            VaelensError: the lease was lost.
        """
        if self._lost():
            raise VaelensError("another process took the cell over, since this one was not heard of; it goes on there")
        self._last = time.monotonic()
        unfinished = self.path.with_name(f".{self.path.name}")
        with suppress(OSError):
            unfinished.write_text(json.dumps({"place": place, "share": share, **more}), encoding="utf-8")
            unfinished.replace(self.path)

    @property
    def is_due(self) -> bool:
        """Whether the last look was a while ago."""
        return time.monotonic() - self._last >= _EVERY

    def analysing(self, done: float, total: float) -> None:
        """Tells how far the analysis is, as `progress=` of `vl.analyse`."""
        if self.is_due:
            self.tell("the analysis", done / total if total else 0.0)
