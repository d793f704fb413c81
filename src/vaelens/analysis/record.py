"""The record of an analysis: saves as a folder of open formats (netCDF-4, CSV, JSON), loads without a run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5netcdf
import pandas as pd
import xarray as xr

from vaelens.errors import VaelensError

_EFFECTS, _SCORES, _PROVENANCE = "effects.nc", "scores.csv", "provenance.json"


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found about one model on one dataset.

    Attributes:
        effects: Datasets by name: `input` (level 1), `latent` (level 2, mode "range"), `modes` (CES of every mode),
            `recoded` (specificity over re-encoded latents), `patching` (level 3), `mediation` (level 4, each factor's
            effect through each latent), `responses` (of the decoder's units), `importance` (DCI's matrix and the
            disentanglement scores; only with factors), `read` (the factors that each latent changes; only with a
            reader), `pictures` (originals, reconstructions, traversals). Of a quantised latent besides: `swap` (level
            2, mode "swap"; not where the images use one code alone), `one_position` (CES of every mode, each latent set
            at one position an image), and in `pictures` an image under swaps.
        scores: a row for each score: `value`, `low`, `high` (95 % interval, NaN where there is none), `chance` (the
            same where nothing but chance is at work, NaN where that has no meaning), `better` (which direction), `made`
            (how).
        provenance: versions, seed, model, dataset, hashes, self-checks.
    """

    effects: Mapping[str, xr.Dataset]
    scores: pd.DataFrame
    provenance: Mapping[str, Any]

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write the analysis into a folder: effects.nc, scores.csv and provenance.json.

        Raises:
            VaelensError: the folder is a file, or holds an analysis already and `overwrite` is not set.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise VaelensError(f"{str(folder)!r} is a file; give a folder to save the analysis in")
        if (folder / _EFFECTS).exists() and not overwrite:
            raise VaelensError(f"{str(folder)!r} holds an analysis already; give another folder, or overwrite it")
        folder.mkdir(parents=True, exist_ok=True)
        # All is written beside and then renamed, so that an analysis that is there stays whole if this is killed.
        unfinished = {name: folder / f"{name}.unfinished" for name in (_EFFECTS, _SCORES, _PROVENANCE)}
        tree = xr.DataTree.from_dict({f"/{name}": dataset for name, dataset in self.effects.items()})
        tree.to_netcdf(unfinished[_EFFECTS], engine="h5netcdf")
        self.scores.to_csv(unfinished[_SCORES])
        unfinished[_PROVENANCE].write_text(json.dumps(dict(self.provenance), indent=2) + "\n")
        for name, path in unfinished.items():
            path.replace(folder / name)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> "Analysis":
        """Read an analysis that `save` wrote.

        Raises:
            VaelensError: a file of it is missing or damaged.
        """
        folder = Path(folder)
        for name in (_EFFECTS, _SCORES, _PROVENANCE):
            if not (folder / name).is_file():
                raise VaelensError(f"{str(folder)!r} holds no analysis: {name} is missing; make one with vl.analyse")
        try:
            with h5netcdf.File(folder / _EFFECTS, "r") as file:
                names = list(file.groups)
            effects = {name: xr.load_dataset(folder / _EFFECTS, group=name, engine="h5netcdf") for name in names}
            scores = pd.read_csv(folder / _SCORES, index_col="score", converters={"better": str})
            provenance = json.loads((folder / _PROVENANCE).read_text())
        except (OSError, ValueError, KeyError) as error:
            raise VaelensError(f"the analysis in {str(folder)!r} is damaged ({error}); make it again") from error
        return cls(effects, scores, provenance)

    def report(self, path: str | Path) -> Path:
        """Write everything as one HTML page that loads nothing from the network.

        Args:
            path: the page, such as "report.html"; its folder is made where there is none.

        Returns:
            The path written.

        Raises:
            VaelensError: the path is a folder.
        """
        from vaelens.report import write_analysis  # a convenience of the record; pages themselves live above it

        return write_analysis(self, path)

    def __repr__(self) -> str:
        about = f"{self.provenance['model']['model']} on {self.provenance['dataset']['name']}"
        numbers = self.scores.select_dtypes("number")
        return f"Analysis of {about}\n{numbers.to_string(float_format='{:.4g}'.format)}"
