"""The record of an analysis, saved as a folder of open formats (netCDF-4, CSV, JSON) and loaded without a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from vaelens.analysis.folder import ELSEWHERE, AnalysisFolder, score_frame, score_records
from vaelens.analysis.manifest import Manifest
from vaelens.errors import VaelensError
from vaelens.writing import sole_writer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What of a provenance all numbers of an analysis depend on.
_CONFIGURATION = (
    "versions",
    "seed",
    "images",
    "images_seen_in_training",
    "images_sha256",
    "model",
    "sites",
    "precision",
    "dataset",
    "observation",
    "reader",
    "asked",
)


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found about one model on one dataset.

    Attributes:
        effects: Datasets by part: `reconstruction` (its error), `latent` (level 2, mode "range", and which latents are
            `informative`, see `vaelens.metrics.informative`), `modes` (CES of every mode), `recoded` (specificity over
            re-encoded latents), `input` (level 1), `patching` (level 3), `mediation` (level 4, each factor's effect
            through each latent), `circuits` (a circuit of every factor, where asked for), `responses` (of the decoder's
            units), `read` (the factors that each latent changes; only with a reader), `pictures` (originals,
            reconstructions, traversals), `importance` (DCI's matrix and the disentanglement scores; only with factors).
            Of a quantised latent besides: `swap` (level 2, mode "swap"; not where the images use one code alone),
            `codes` (`code_effects` of the 24 codes used most, likewise), `one_position` (CES of every mode, each latent
            set at one position an image), and in `pictures` an image under swaps. Every mean over active latents is
            over those of `latent`.
        scores: a row for each score, indexed by its key in the catalogue, such as "ces_relative" or "mig": `label`,
            `value`, `low`, `high` (95 % interval, NaN where there is none), `chance` (the same where nothing but chance
            is at work, NaN where that has no meaning), `better` (which direction), `made` (how, or why there is no
            value).
        provenance: versions, seed, model, dataset, hashes, what was asked for, whether the images analysed were trained
            on (`images_seen_in_training`: "held out", "seen" or "unknown"; of levels 1 and 4 the pairs are of all
            images), on how many images each part was measured (`parts`), why others are missing (`left_out`), what
            the intervals take as given (`conditional_on`), the CPU's `threads`, self-checks.
    """

    effects: Mapping[str, xr.Dataset]
    scores: pd.DataFrame
    provenance: Mapping[str, Any]

    @property
    def configuration(self) -> dict[str, Any]:
        """All that its numbers depend on, so that the same configuration makes the same analysis."""
        return {name: self.provenance[name] for name in _CONFIGURATION if name in self.provenance}

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Writes the analysis into a folder, as manifest.json, effects/ and scores.csv.

        An analysis that is there is replaced when the new one is whole. `vl.analyse(..., folder=folder)` saves each
        part as it ends instead.

        Raises:
            VaelensError: the folder is a file, can't be written, is being written to, or holds an analysis already and
                `overwrite` is not set.
        """
        path = Path(folder).expanduser()
        if path.exists() and not path.is_dir():
            raise VaelensError(f"{str(path)!r} is a file; give a folder to save the analysis in")
        with sole_writer(path):
            kept = AnalysisFolder(path)
            if kept.is_taken and not overwrite:
                raise VaelensError(f"{str(path)!r} holds an analysis already; give another folder, or overwrite it")
            if kept.foreign and not overwrite:
                raise VaelensError(f"{str(path)!r} holds {', '.join(kept.foreign)}, and no analysis; {ELSEWHERE}")
            parts = {name: kept.keep(name, dataset) for name, dataset in self.effects.items()}
            scores = score_records(self.scores)
            kept.finish(Manifest(self.configuration, parts, provenance=self.provenance, scores=scores))
        return path

    @classmethod
    def load(cls, folder: str | Path) -> "Analysis":
        """Reads an analysis that `save` or `vl.analyse(..., folder=folder)` wrote.

        Raises:
            VaelensError: there is none, it is not finished, an earlier version wrote it, or a file of it is missing or
                damaged.
        """
        path = Path(folder).expanduser()
        kept = AnalysisFolder(path)
        manifest = kept.finished
        if manifest is None:
            raise VaelensError(f"{str(path)!r} {_why_none(kept)}")
        kept.check_scores(manifest)
        effects = {name: kept.load(part) for name, part in manifest.parts.items()}
        return cls(effects, score_frame(manifest.scores), manifest.provenance)

    def report(self, path: str | Path) -> Path:
        """Writes everything as one HTML page that loads nothing from the network.

        Args:
            path: the page, such as "report.html"; its folder is made where there is none.

        Returns:
            The path written.

        Raises:
            VaelensError: the path is a folder.
        """
        from vaelens.report import write_analysis  # a convenience of the record; pages themselves live above it

        return write_analysis(self, path)

    def figure(self, name: str, width: float = 6.5) -> "Figure":
        """Draws a figure for a paper, with matplotlib (`pip install '.[figures]'` in the clone).

        It can be changed like any matplotlib figure (`figure.axes`), and `figure.savefig("strengths.pdf")` saves it as
        PNG, SVG or PDF, with text as text. Nothing is shown: notebooks display what a cell ends with.

        Args:
            name: "reconstructions", "traversals", "strengths" (posterior CES, CES, information, removal cost and
                specificity of each latent), "modes" (CES under each mode), "maps" (where each latent acts),
                "associations" (what each factor or manipulation moves, DCI's importances), "labels", "recovered" (what
                each unit recovers when patched), "mediation"; of a codebook "positions" and "swaps".
            width: inches, 1 to 40; 6.5 is a page's text, 3.25 a column of two.

        Raises:
            VaelensError: an unknown name; a part of the analysis that the figure needs is missing; no matplotlib.
        """
        from vaelens.report import figure  # a convenience of the record, like `report`

        return figure(self, name, width)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Returns a table for a paper, each estimate followed by the ends of its 95 % interval.

        `.to_csv("scores.csv")` and `.to_latex("scores.tex", escape=True, float_format="%.3g")` save it.

        Args:
            name: "scores", "latents", "modes" (by mode and latent), "changes" (by factor or manipulation, and latent),
                "outputs" (by factor or manipulation), "importance" (DCI's, by factor and latent), "read" (by factor
                that a reader reads, and latent), "labels" (by factor and latent), "units" (by site and unit),
                "mediation" (by treatment and latent), "circuits" (by factor); of a codebook "positions".
            columns: which to return, each with the ends of its interval: `["ces_posterior", "information"]` of
                "latents" is what a page's width has room for; all of them if None.

        Raises:
            VaelensError: an unknown name or column; a part of the analysis that the table needs is missing.
        """
        from vaelens.report import table  # a convenience of the record, like `report`

        return table(self, name, columns)

    def _repr_html_(self) -> str:
        from vaelens.report import in_html  # a convenience of the record, like `report`

        return in_html(self)

    def __repr__(self) -> str:
        about = f"{self.provenance['model']['model']} on {self.provenance['dataset']['name']}"
        numbers = self.scores.select_dtypes("number")
        return f"Analysis of {about}\n{numbers.to_string(float_format='{:.4g}'.format)}"


def _why_none(kept: AnalysisFolder) -> str:
    if kept.is_of_before:
        return (
            "holds an analysis in the layout of an earlier version; analyse the model again into this folder, with "
            "overwrite"
        )
    if kept.unfinished is not None:
        return "holds an analysis that is not finished; run the same command again to go on with it"
    return "holds no analysis: manifest.json is missing; make one with vl.analyse"
