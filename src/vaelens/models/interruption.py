"""An interrupted training, how far it came, and where it goes on."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Interruption:
    """How far a run came."""

    done: int
    """Steps done."""
    steps: int
    """Steps asked for."""
    saved: int | None
    """The step of the last checkpoint, None where there is none."""
    folder: Path | None
    """The run's, None where nothing is kept."""

    def tell(self, advice: str) -> str:
        """Says how far the run came and how it goes on.

        Args:
            advice: what to do to go on from the checkpoint.

        Example:
            >>> Interruption(7, 12, 5, Path("run")).tell("with --resume")
            'training was interrupted after 7 of 12 steps; go on from step 5 with --resume'
        """
        begin = f"training was interrupted after {self.done} of {self.steps} steps"
        if self.folder is None:
            return f"{begin}; nothing was saved, since no folder was given"
        if self.saved is None:
            return f"{begin}; there is no checkpoint yet"
        return f"{begin}; go on from step {self.saved} {advice}"


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C during training.

    Attributes:
        interruption: how far the run came.
    """

    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption
        super().__init__(interruption.tell(f"with folder={str(interruption.folder)!r}, resume=True"))
