"""The one set of active latents, and of informative ones, that all parts of an analysis go by.

They are those of the latent part where it is measured; else of all images of the analysis, at the cost of encoding
them once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool

from vaelens.effects.codes import codes_of
from vaelens.effects.information import information
from vaelens.lens import ImagesLike, Lens
from vaelens.metrics.informative import informative_latents

_MEANING = {
    "long_name": "whether the latent is active and carries more than 0.1 nat of information on the image",
    "units": "1",
}


@dataclass(frozen=True, eq=False)
class LatentSets:
    """Which latents are active, and which informative, each (d,)."""

    active: Bool[np.ndarray, " latents"]
    informative: Bool[np.ndarray, " latents"]


class LatentSetsOf:
    """Finds the sets of latents of an analysis.

    Args:
        lens: the lens.
        x: the images of the analysis.
        seed: of the analysis.
        measured: the parts that are done.
    """

    def __init__(self, lens: Lens, x: ImagesLike, seed: int, measured: Mapping[str, xr.Dataset]) -> None:
        self._lens, self._x, self._seed, self._measured = lens, x, seed, measured
        self._of_codes: LatentSets | None = None

    def __call__(self) -> LatentSets:
        """Returns those of the latent part, or else those of the codes of all images."""
        latent = self._measured.get("latent")
        if latent is not None:
            return LatentSets(latent["active"].values.astype(bool), latent["informative"].values.astype(bool))
        if self._of_codes is None:
            codes = codes_of(self._lens, self._x)
            effects = xr.Dataset({"active": ("latent", codes.activity.active)})
            told = information(codes, self._seed)
            if told is not None:
                effects["information"] = ("latent", told.nats)
            self._of_codes = LatentSets(codes.activity.active, informative_latents(effects))
        return self._of_codes


def with_informative(effects: xr.Dataset) -> xr.Dataset:
    """Adds `informative` (latent) to the effects of latents."""
    return effects.assign(informative=xr.Variable("latent", informative_latents(effects), _MEANING))
