"""The record of a comparison, with scores of several models side by side and how far every two differ."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from vaelens.analysis import Analysis
from vaelens.comparison.differences import score_differences
from vaelens.comparison.sameness import check_same_data, why_unpaired
from vaelens.errors import VaelensError
from vaelens.metrics.catalogue import METRICS
from vaelens.statistics import holm_sidak
from vaelens.writing import written_whole

if TYPE_CHECKING:
    _Analyses: TypeAlias = Sequence[Analysis]
else:  # anything else is refused in a sentence, which a type that is checked at run time would forestall
    _Analyses = Any

ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several models on the same data, side by side.

    Attributes:
        names: what the models are called.
        scores: a row for each score and model: `score` (the catalogue's key), `label`, `model`, `value`, `low`, `high`,
            `chance`, `untrained`, `better`.
        differences: a row for each score and two models: `first`, `second`, `score`, `label`, `difference` (first less
            second), `low`, `high`, `p`, `p_adjusted` (Holm–Šidák over all rows), `paired`, `better` (the better model
            where p_adjusted is at most 0.05 and the score has a better direction, else nothing), `how`.
        unpaired: why the images of some are not the same, in a sentence; empty where all are paired.
        latents: of each model, `ces_posterior` and `information` of its latents, (d,), where it has them.
        provenance: that of each model's analysis.
    """

    names: tuple[str, ...]
    scores: pd.DataFrame
    differences: pd.DataFrame
    unpaired: str
    latents: Mapping[str, Mapping[str, NDArray[np.float64]]]
    provenance: Mapping[str, Mapping[str, Any]]

    @property
    def are_paired(self) -> bool:
        """Whether all models were analysed on the same images."""
        return not self.unpaired

    def save(self, folder: str | Path) -> Path:
        """Writes scores.csv and differences.csv into a folder.

        Raises:
            VaelensError: they can't be written.
        """
        path = Path(folder).expanduser()
        with written_whole(path) as unfinished:
            self.scores.to_csv(unfinished / "scores.csv", index=False)
            self.differences.to_csv(unfinished / "differences.csv", index=False)
        return path

    def report(self, path: str | Path) -> Path:
        """Writes the comparison as one HTML page that loads nothing from the network.

        Raises:
            VaelensError: the path is a folder, or can't be written.
        """
        from vaelens.report import write_comparison  # a convenience of the record; pages themselves live above it

        return write_comparison(self, path)

    def __repr__(self) -> str:
        wide = self.scores.pivot(index="label", columns="model", values="value")
        ordered = wide.reindex(list(dict.fromkeys(self.scores["label"])))[list(self.names)]
        told = int((self.differences["p_adjusted"] <= ALPHA).sum())
        said = f"{told} of {len(self.differences)} differences are told at 5 %, all at once"
        return f"{ordered.to_string(float_format='{:.4g}'.format)}\n{said}" + (
            f"\nnot paired: {self.unpaired}" if self.unpaired else ""
        )


def compare(analyses: _Analyses, names: Sequence[str] | None = None) -> Comparison:
    """Compares analyses of several models on the same data, score by score.

    Where they are of the same images (`vl.train(held_out=…)` leaves the same for every model, and so do cells of a
    study), reconstruction error, KL and the forms of CES are compared image by image: what makes an image easy or hard
    for both models cancels, and small differences are seen. Other scores, and models on different images of the data,
    are compared by their intervals. All of it is about these trainings: another training of either differs by more.

    Args:
        analyses: two or more, of `vl.analyse`.
        names: what to call the models; by default the model's name, with hyperparameters and numbers where they are
            needed to tell them apart.

    Returns:
        The comparison; `print` shows the scores, `.report(path)` draws it.

    Raises:
        VaelensError: fewer than two analyses, something else, names that do not fit, or analyses of different data.

    Example:
        >>> import vaelens as vl
        >>> ds = vl.load_dataset("digits")
        >>> analyses = [
        ...     vl.analyse(vl.Lens(vl.build_model("vae", ds.image_shape, 2, seed=seed)), ds, n=8, only="reconstruction",
        ...         progress=False)
        ...     for seed in (0, 1)
        ... ]
        >>> comparison = vl.compare(analyses)
        >>> comparison.names, comparison.are_paired, comparison.differences["score"].tolist()
        (('vae (1)', 'vae (2)'), True, ['reconstruction_error'])
    """
    if isinstance(analyses, Analysis) or not isinstance(analyses, Sequence) or len(analyses) < 2:
        raise VaelensError("compare takes two or more analyses in a list, as of vl.analyse or vl.Analysis.load")
    for analysis in analyses:
        if not isinstance(analysis, Analysis):
            raise VaelensError(f"compare takes analyses, and got a {type(analysis).__name__}; make one with vl.analyse")
    if names is not None and (isinstance(names, str) or not isinstance(names, Sequence)):
        raise VaelensError(f"names is {names!r}; expected a list of {len(analyses)} different ones, one an analysis")
    called = _default_names(analyses) if names is None else tuple(map(str, names))
    if len(called) != len(analyses) or len(set(called)) < len(called):
        raise VaelensError(f"names are {', '.join(called)}; expected {len(analyses)} different ones, one an analysis")
    check_same_data(analyses, called)
    scores = [_scores_of(analysis, name) for analysis, name in zip(analyses, called, strict=True)]
    rows, reasons = [], []
    for first, second in combinations(range(len(analyses)), 2):
        reasons.append(why_unpaired(analyses[first], analyses[second]))
        rows += [
            {"first": called[first], "second": called[second], **asdict(difference)}
            for difference in score_differences(analyses[first], analyses[second])
        ]
    table = pd.concat(scores, ignore_index=True)
    order = {key: place for place, key in enumerate(METRICS)}
    table = table.sort_values("score", key=lambda keys: keys.map(order), kind="stable", ignore_index=True)
    return Comparison(
        called,
        table,
        _judged(rows),
        next((reason for reason in reasons if reason), ""),
        {name: _latents_of(analysis) for name, analysis in zip(called, analyses, strict=True)},
        {name: analysis.provenance for name, analysis in zip(called, analyses, strict=True)},
    )


def _scores_of(analysis: Analysis, name: str) -> pd.DataFrame:
    numbers = analysis.scores.reset_index().drop(columns="made")
    numbers.insert(2, "model", name)
    return numbers


def _latents_of(analysis: Analysis) -> dict[str, NDArray[np.float64]]:
    latent = analysis.effects.get("latent", xr.Dataset())
    return {name: latent[name].values for name in ("ces_posterior", "information") if name in latent}


def _judged(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Adjusts the p-values of all differences at once, and says which model is better."""
    columns = ["first", "second", "score", "label", "difference", "low", "high", "p", "p_adjusted", "paired", "better"]
    if not rows:
        return pd.DataFrame(columns=[*columns, "how"])
    table = pd.DataFrame(rows)
    table["label"] = [METRICS[score].label for score in table["score"]]
    table["p_adjusted"] = holm_sidak(table["p"].to_numpy())
    table["better"] = [_better(row) for row in table.to_dict("records")]
    return table[[*columns, "how"]]


def _better(row: Mapping[Any, Any]) -> str:
    direction = METRICS[row["score"]].better
    if not direction or not row["p_adjusted"] <= ALPHA:
        return ""
    return row["first"] if (row["difference"] > 0) == (direction == "higher") else row["second"]


def _default_names(analyses: Sequence[Analysis]) -> tuple[str, ...]:
    """Gives each model the shortest name that tells it apart."""
    plain = [str(analysis.provenance["model"]["model"]) for analysis in analyses]
    if len(set(plain)) == len(plain):
        return tuple(plain)
    detailed = [_with_hyperparameters(analysis.provenance["model"]) for analysis in analyses]
    counts, seen, names = Counter(detailed), Counter[str](), []
    for name in detailed:
        seen[name] += 1
        names.append(f"{name} ({seen[name]})" if counts[name] > 1 else name)
    return tuple(names)


def _with_hyperparameters(model: Mapping[str, Any]) -> str:
    settings = model.get("hyperparameters") or {}
    said = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings.items()
    )
    return f"{model['model']}{f' {said}' if said else ''}"
