"""The verification of an analysis, which recomputes its numbers from model, data and configuration, and compares.

It costs what the analysis cost. Nothing is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
import torch
import xarray as xr

from vaelens.analysis.agreement import Agreement, compare_parts, compare_scores
from vaelens.analysis.choice import Share
from vaelens.analysis.folder import round_trip
from vaelens.analysis.manifest import differences, plain
from vaelens.analysis.part import Part
from vaelens.analysis.parts import parts_of
from vaelens.analysis.record import Analysis
from vaelens.analysis.run import subject_of
from vaelens.analysis.scores import score_table
from vaelens.analysis.subject import Subject
from vaelens.analysis.threads import on_threads
from vaelens.data import FactorDataset
from vaelens.effects.factor_predictions import ReadsFactors
from vaelens.errors import VaelensError
from vaelens.lens import Lens
from vaelens.progress import ProgressLike, Report, check_progress, reporting

if TYPE_CHECKING:
    _Lens: TypeAlias = Lens
    _Dataset: TypeAlias = FactorDataset
    _Reader: TypeAlias = ReadsFactors
    _Analysis: TypeAlias = Analysis | str | Path
    _Progress: TypeAlias = ProgressLike
else:  # anything else is refused in a sentence, which a type that is checked at run time would forestall
    _Lens = _Dataset = _Reader = _Analysis = _Progress = Any

_HUNDREDTHS = 100  # that a part's progress is told in
_LOOK_AT_OTHERS = ("pictures", "controls")  # parts that come after those they look at
_UNCHANGED = (
    "model, data, versions and precision are as recorded, so that the numbers that were kept are not what they give; "
    "or another device or processor rounds otherwise"
)


@dataclass(frozen=True)
class Verification:
    """Which numbers of an analysis come out the same when recomputed.

    Attributes:
        parts: how each part agrees, in the order of the analysis, and last its scores.
        causes: what is not as it was recorded: model, data, versions, precision; empty where all is.
    """

    parts: tuple[Agreement, ...]
    causes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing that could be recomputed differs."""
        return all(part.status != "differs" for part in self.parts)

    def table(self) -> pd.DataFrame:
        """Lists of each part the status, the largest difference, where that is, and why it could not be recomputed."""
        rows = [vars(part) for part in self.parts]
        return pd.DataFrame(rows, columns=["part", "status", "difference", "where", "why"]).set_index("part")

    @property
    def conclusion(self) -> str:
        """Says in a sentence how many parts agree, and what is likely the cause where they don't."""
        compared = [part for part in self.parts if part.status != "could not be recomputed"]
        differing = [part.part for part in compared if part.status == "differs"]
        if not differing:
            exactly = sum(part.status == "agrees exactly" for part in compared)
            left = len(self.parts) - len(compared)
            more = f"; {left} could not be recomputed" if left else ""
            changed = f" (although: {'; '.join(self.causes)})" if self.causes else ""
            return f"{len(compared)} of {len(self.parts)} parts agree, {exactly} of them exactly{more}{changed}"
        cause = f"likely because of {'; '.join(self.causes)}" if self.causes else _UNCHANGED
        return f"{', '.join(differing)} differ{'s' if len(differing) == 1 else ''}: {cause}"

    def __str__(self) -> str:
        shown = self.table().fillna("").to_string(float_format="{:.2g}".format)
        return f"{shown}\n{self.conclusion}"


def verify(
    analysis: _Analysis,
    lens: _Lens,
    ds: _Dataset,
    *,
    reader: _Reader | None = None,
    progress: _Progress = True,
) -> Verification:
    """Recomputes the numbers of an analysis from model, data and configuration, and says which agree.

    Each part is measured again on as many images and sites as was recorded, with the recorded seed, estimator,
    precision and number of threads, and every variable of it is compared, and every score. Nothing is written.

    Args:
        analysis: an analysis, or the folder of one.
        lens: a lens on the model that was analysed.
        ds: the dataset that it was analysed on.
        reader: the reader that the analysis had, if any; what it read can't be recomputed without.
        progress: True for a bar on standard error, False for none, or a function of (done, total).

    Returns:
        How each part agrees; `print` shows a table and a conclusion, `.holds` says whether nothing differs.

    Raises:
        VaelensError: no lens, dataset or analysis; a dataset of fewer than 8 images, or that does not fit the model;
            the analysis is of a version that did not record its configuration.

    Example:
        >>> import vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=2))
        >>> digits = vl.load_dataset("digits")
        >>> analysis = vl.analyse(lens, digits, n=8, only="latent", progress=False)
        >>> vl.verify(analysis, lens, digits, progress=False).holds
        True
    """
    _check(lens, ds)
    check_progress(progress)
    kept = analysis if isinstance(analysis, Analysis) else Analysis.load(analysis)
    recorded = kept.provenance
    missing = [name for name in ("images", "asked", "parts", "precision") if name not in recorded]
    if missing:
        raise VaelensError(
            f"the analysis does not record its {', '.join(missing)}, which is needed to make it again; analyse the "
            "model again with this version"
        )
    same = lens.with_precision(recorded["precision"])
    threads = int(recorded.get("threads", torch.get_num_threads()))
    with on_threads(threads), reporting(progress, _HUNDREDTHS * len(kept.effects), "verifying") as report:
        asked = recorded["asked"]
        scored = asked["dci_estimator"], asked.get("score_intervals", True)
        subject = subject_of(same, ds, int(recorded["images"]), recorded["seed"], reader, *scored)
        now = plain(subject.describe() | {"asked": asked})
        agreements, recomputed = _recompute(subject, kept, report)
        agreements.append(_scores(kept, recomputed))
    return Verification(tuple(agreements), tuple(differences(kept.configuration, now)))


def _recompute(subject: Subject, found: Analysis, report: Report) -> tuple[list[Agreement], dict[str, xr.Dataset]]:
    """Recomputes each part and returns how it agrees with the one kept, and the recomputed parts."""
    recomputed: dict[str, xr.Dataset] = {}
    parts, missing = parts_of(subject, recomputed)
    compared = {}
    for name in sorted(found.effects, key=lambda name: (name != "latent", name in _LOOK_AT_OTHERS)):
        moved = report.part(_HUNDREDTHS, f"verifying: {name}")
        try:
            if name not in parts:
                raise VaelensError(missing.get(name, "this version knows no such part"))
            recomputed[name] = round_trip(parts[name].run(_share(parts[name], found.provenance["parts"][name]), moved))
            compared[name] = compare_parts(name, round_trip(found.effects[name]), recomputed[name])
        except Exception as error:  # whatever a model or dataset that is another one comes up with
            why = " ".join((str(error) or type(error).__name__).split())
            compared[name] = Agreement(name, "could not be recomputed", float("nan"), why=why)
        moved(1, 1)
    return [compared[name] for name in found.effects], recomputed


def _share(part: Part, taken: Mapping[str, Any]) -> Share:
    return Share(int(taken["taken"]), int(taken.get("sites", len(part.pieces))))


def _scores(found: Analysis, recomputed: Mapping[str, xr.Dataset]) -> Agreement:
    """Compares the scores of the recomputed parts with those kept. Scores of other parts are left out."""
    if not recomputed:
        return Agreement("scores", "could not be recomputed", float("nan"), why="no part could be")
    kept = found.scores
    if len(recomputed) < len(found.effects):
        compared = {name: part for name, part in found.effects.items() if name in recomputed}
        kept = score_table(compared, found.provenance["seed"]).index
        kept = found.scores.loc[[key for key in found.scores.index if key in kept]]
        if "controls" not in recomputed:
            kept = kept.assign(untrained=float("nan"))
    return compare_scores(kept, score_table(recomputed, found.provenance["seed"]))


def _check(lens: Any, ds: Any) -> None:
    if not isinstance(lens, Lens):
        raise VaelensError(f"verify takes a Lens, got a {type(lens).__name__}; wrap the model with vl.Lens(model)")
    if not isinstance(ds, FactorDataset):
        raise VaelensError(
            f"verify takes a dataset, got a {type(ds).__name__}; use vl.load_dataset(name) or vl.ArrayDataset(images)"
        )
