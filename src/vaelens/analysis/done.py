"""The parts of an analysis that are done, in memory and in its folder if it has one."""

from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from vaelens.analysis.folder import ELSEWHERE, AnalysisFolder, score_records
from vaelens.analysis.manifest import KeptPart, Manifest, differences, plain
from vaelens.analysis.record import Analysis
from vaelens.errors import VaelensError


class Done:
    """The parts of an analysis that are done, in memory and in its folder.

    Args:
        configuration: all that its numbers depend on.
        folder: where it is kept; or None.
    """

    def __init__(self, configuration: Mapping[str, Any], folder: AnalysisFolder | None) -> None:
        self.effects: dict[str, xr.Dataset] = {}
        self._manifest, self._folder = Manifest(configuration, {}), folder

    @property
    def parts(self) -> Mapping[str, KeptPart]:
        """The parts that are done, each with a note on how much it was measured."""
        return self._manifest.parts

    @property
    def configuration(self) -> Mapping[str, Any]:
        """All that the numbers depend on."""
        return self._manifest.configuration

    @property
    def spent(self) -> float:
        """Seconds that were spent on it."""
        return self._manifest.spent

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What is known already of the record's provenance."""
        return self._manifest.provenance

    def resume(self, overwrite: bool) -> Analysis | None:
        """Takes up what the folder keeps of this analysis, and returns it where it is there whole.

        Raises:
            VaelensError: the folder holds another analysis, and it is not to be replaced; a file is damaged.
        """
        if self._folder is None:
            return None
        path = str(self._folder.path)
        if self._folder.is_of_before and not overwrite:
            raise VaelensError(f"{path!r} holds an analysis already, in the layout of an earlier version; {ELSEWHERE}")
        if self._folder.foreign and not overwrite:
            raise VaelensError(f"{path!r} holds {', '.join(self._folder.foreign)}, and no analysis; {ELSEWHERE}")
        begun = _unless(overwrite, lambda folder: folder.unfinished, self._folder)
        if begun is not None and not differences(begun.configuration, self.configuration):
            self._take_up(begun)
            return None
        done = _unless(overwrite, lambda folder: folder.finished, self._folder)
        for manifest, what in ((begun, "an analysis that is not finished"), (done, "another analysis")):
            if manifest is None or overwrite:
                continue
            unlike = differences(manifest.configuration, self.configuration)
            if unlike:
                raise VaelensError(f"{path!r} holds {what}, with {'; '.join(unlike)}; {ELSEWHERE}")
        if done is None or overwrite:
            return None
        if all(self._folder.has(part) for part in done.parts.values()):
            if not self._folder.has_scores():
                self._folder.write_scores(done)
            return Analysis.load(self._folder.path)
        self._take_up(done)
        return None

    def _take_up(self, manifest: Manifest) -> None:
        assert self._folder is not None, "only a folder has something to take up"
        notes = manifest.provenance.get("parts", {})
        parts = {name: part for name, part in manifest.parts.items() if self._folder.has(part)}
        self.effects = {name: self._folder.load(part) for name, part in parts.items()}
        kept = {
            name: part if part.note else KeptPart(part.file, part.sha256, {"share": notes[name]})
            for name, part in parts.items()
        }
        self._manifest = Manifest(self.configuration, kept, manifest.spent, manifest.provenance)

    def checked(self, checks: Mapping[str, bool]) -> None:
        """Notes the self-checks, which need not be made again."""
        provenance = {**self.provenance, "checks": checks}
        self._manifest = Manifest(self.configuration, self.parts, self.spent, provenance)

    def keep(self, name: str, dataset: xr.Dataset, note: Mapping[str, Any], spent: float) -> None:
        """Keeps a part that is done."""
        part = KeptPart("", "")
        if self._folder is not None:
            part = self._folder.keep(name, dataset)
            dataset = self._folder.load(part)  # what a later part sees is the same, whether it was cut off or not
        self.effects[name] = dataset
        parts = {**self.parts, name: KeptPart(part.file, part.sha256, plain(note))}
        self._manifest = Manifest(self.configuration, parts, spent, self._manifest.provenance)
        if self._folder is not None:
            self._folder.note(self._manifest)

    def finish(self, analysis: Analysis) -> None:
        """Puts the whole analysis in place."""
        if self._folder is None:
            return
        parts = {name: self.parts[name] for name in analysis.effects}
        scores = score_records(analysis.scores)
        self._folder.finish(Manifest(self.configuration, parts, provenance=analysis.provenance, scores=scores))


def _unless(
    overwrite: bool, read: Callable[[AnalysisFolder], Manifest | None], folder: AnalysisFolder
) -> Manifest | None:
    """Reads a manifest, or None where it can't be read and is to be replaced."""
    try:
        return read(folder)
    except VaelensError:
        if overwrite:
            return None
        raise
