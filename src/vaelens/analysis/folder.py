"""A folder that keeps an analysis, with each part in a file of its own and a manifest that is put in place last.

    manifest.json     what the analysis is of, its parts with their checksums, provenance and scores
    effects/          one netCDF-4 file a part, named for what it holds
    scores.csv        the scores once more, for other programs
    unfinished.json   the manifest of an analysis that is not finished; beside a finished one until it replaces it

A file is never changed once it is there, so an analysis that is replaced stays whole until the new one is.
"""

import hashlib
import io
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vaelens.analysis.manifest import KeptPart, Manifest, read_manifest, write_manifest
from vaelens.analysis.score_display import Scores
from vaelens.analysis.scores import COLUMNS, NUMBERS
from vaelens.errors import VaelensError
from vaelens.writing import write_whole

_FINISHED, _UNFINISHED, _EFFECTS, _SCORES = "manifest.json", "unfinished.json", "effects", "scores.csv"
_BEFORE = ("effects.nc", "provenance.json")  # of the layout that earlier versions wrote
ELSEWHERE = "give another folder, or replace it with overwrite (--overwrite on the command line)"
_LARGEST = 4  # times the bytes of its file that a part may take in memory, beyond a MiB


class AnalysisFolder:
    """What a folder keeps of an analysis. Hold `sole_writer(path)` while it is written to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def finished(self) -> Manifest | None:
        """The analysis that is there.

        Raises:
            VaelensError: its manifest is damaged, or an earlier version wrote it.
        """
        return read_manifest(self.path / _FINISHED)

    @property
    def unfinished(self) -> Manifest | None:
        """The analysis that was begun and not finished."""
        return read_manifest(self.path / _UNFINISHED)

    @property
    def is_of_before(self) -> bool:
        """Whether an earlier version's analysis is there, which this version can't read."""
        return (self.path / _BEFORE[0]).exists() and not (self.path / _FINISHED).exists()

    @property
    def is_taken(self) -> bool:
        """Whether there is an analysis, finished or not, of this version or another."""
        return self.is_of_before or any((self.path / name).exists() for name in (_FINISHED, _UNFINISHED))

    @property
    def foreign(self) -> list[str]:
        """Lists the files that would be replaced although no analysis wrote them. No part's file is ever replaced."""
        return [] if self.is_taken else [name for name in (_SCORES,) if (self.path / name).exists()]

    @property
    def is_whole(self) -> bool:
        """Whether a finished analysis is there with all its files, and no other was begun."""
        with suppress(VaelensError):
            finished = self.finished
            files = finished is not None and all(self.has(part) for part in finished.parts.values())
            return files and self.has_scores() and not (self.path / _UNFINISHED).exists()
        return False

    def keep(self, name: str, dataset: xr.Dataset) -> KeptPart:
        """Writes a part into a file of its own.

        The file is made in memory first: on a full disk the library would end Python.

        Raises:
            VaelensError: it can't be written.
        """
        content = _content(dataset)
        checksum = hashlib.sha256(content).hexdigest()
        file = f"{_EFFECTS}/{name}-{checksum[:12]}.nc"
        write_whole(self.path / file, content)
        return KeptPart(file, checksum)

    def has(self, part: KeptPart) -> bool:
        """Tells whether a part's file is there."""
        return (self.path / part.file).exists()

    def load(self, part: KeptPart) -> xr.Dataset:
        """Reads a part.

        Raises:
            VaelensError: its file is missing or damaged.
        """
        path = self.path / part.file
        remedy = "analyse the model again with the same command, which makes this part anew"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise VaelensError(f"{str(path)!r} is missing; {remedy}") from None
        except OSError as error:
            raise VaelensError(f"{str(path)!r} can't be read ({error.strerror}); {remedy}") from error
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise VaelensError(f"{str(path)!r} is damaged: its checksum is not the one kept; delete it, then {remedy}")
        try:
            with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as opened:
                if opened.nbytes > _LARGEST * len(content) + 2**20:
                    raise ValueError(f"it unpacks to {opened.nbytes:,} bytes")
                return opened.load()
        except Exception as error:  # whatever the library makes of what is no netCDF
            raise VaelensError(
                f"{str(path)!r} is no netCDF file of ours ({error}); delete it, then {remedy}"
            ) from error

    def note(self, manifest: Manifest) -> None:
        """Writes down how far an unfinished analysis is."""
        write_manifest(self.path / _UNFINISHED, manifest)

    def finish(self, manifest: Manifest) -> None:
        """Puts a whole analysis in place, and clears away what is not of it. Cut off anywhere, it can be done again."""
        parts = {name: replace(part, note={}) for name, part in manifest.parts.items()}
        write_manifest(self.path / _FINISHED, replace(manifest, parts=parts, spent=0.0))
        write_whole(self.path / _SCORES, _csv(manifest.scores))
        self._clear(parts.values())

    def check_scores(self, manifest: Manifest) -> None:
        """Refuses a table of scores that is not the manifest's, unless it is just being replaced.

        Raises:
            VaelensError: it is damaged.
        """
        path = self.path / _SCORES
        if not path.exists() or (self.path / _UNFINISHED).exists():
            return
        if path.read_bytes() != _csv(manifest.scores):
            raise VaelensError(
                f"{str(path)!r} is damaged or was changed: it is not what was saved; delete it (the scores are in "
                f"{_FINISHED} too, and the same command writes it anew)"
            )

    def has_scores(self) -> bool:
        """Tells whether the table of scores is there."""
        return (self.path / _SCORES).exists()

    def write_scores(self, manifest: Manifest) -> None:
        """Writes the table of scores for other programs."""
        write_whole(self.path / _SCORES, _csv(manifest.scores))

    def _clear(self, parts: Iterable[KeptPart]) -> None:
        """Removes what belongs to an analysis that was replaced, where it can."""
        ours = {self.path / part.file for part in parts}
        replaced = [path for path in (self.path / _EFFECTS).glob("*-*.nc*") if path not in ours]
        names = (*_BEFORE, *(f"{name}.unfinished" for name in (_FINISHED, _SCORES, _UNFINISHED)), _UNFINISHED)
        with suppress(OSError):
            for path in (*replaced, *(self.path / name for name in names)):
                path.unlink(missing_ok=True)


def round_trip(dataset: xr.Dataset) -> xr.Dataset:
    """Returns a part as it would be read back from its file."""
    with xr.open_dataset(io.BytesIO(_content(dataset)), engine="h5netcdf") as opened:
        return opened.load()


def score_records(scores: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Turns the table of an `Analysis` into records by key."""
    return {str(key): {str(name): score[name] for name in score.index} for key, score in scores.iterrows()}


def score_frame(scores: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Turns records by key into the table of an `Analysis`."""
    table = pd.DataFrame.from_dict(dict(scores), orient="index", columns=list(COLUMNS))
    numbers = dict.fromkeys(NUMBERS, np.float64)
    return Scores(table.astype(numbers).rename_axis(index="score"))


def _content(dataset: xr.Dataset) -> bytes:
    with _without_scheduler():
        return bytes(dataset.to_netcdf(engine="h5netcdf"))


def _csv(scores: Mapping[str, Mapping[str, Any]]) -> bytes:
    return score_frame(scores).to_csv(lineterminator="\n").encode()


def _without_scheduler() -> AbstractContextManager[Any]:
    """Keeps xarray from locking a file by the user's Dask scheduler, which knows no locks of files in memory."""
    if "dask" not in sys.modules:
        return nullcontext()
    import dask.config

    return dask.config.set(scheduler="synchronous")
