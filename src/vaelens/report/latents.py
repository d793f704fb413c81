"""The latents of a page, in what order they stand and which of them are active."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from vaelens.report.ranking import by_strength


@dataclass(frozen=True, eq=False)
class Latents:
    """The latents of a page.

    Attributes:
        order: by posterior CES, largest first, NaN last; as they are numbered where it was not measured.
        active: whether each is, by number; all count where that was not measured.
        measured: whether posterior CES and activity were.
    """

    order: Sequence[int]
    active: np.ndarray
    measured: bool

    @property
    def names(self) -> list[str]:
        """Their numbers in order, an inactive one with a star."""
        return [f"{k}" if self.active[k] else f"{k}*" for k in self.order]

    @property
    def any_inactive(self) -> bool:
        """Whether there is one with a star."""
        return not self.active.all()

    def __len__(self) -> int:
        return len(self.active)


def latents_of(effects: Mapping[str, xr.Dataset]) -> Latents:
    """Finds the latents that an analysis's effects are of, if any part is of latents."""
    if "latent" in effects:
        latent = effects["latent"]
        return Latents(by_strength(latent, "ces_posterior"), latent["active"].values, measured=True)
    count = next((part.sizes["latent"] for part in effects.values() if "latent" in part.sizes), 0)
    return Latents(range(count), np.ones(count, bool), measured=False)


def panels_of(latent: xr.Dataset, recoded: xr.Dataset | None) -> list[tuple[str, xr.Dataset, str]]:
    """Lists what is plotted of each latent, where it has a value, as title, part of the analysis, and variable."""
    panels = [
        ("Posterior CES (pixel-L2)", latent, "ces_posterior"),
        ("CES of the range (pixel-L2)", latent, "ces"),
        ("Information about the image (nats)", latent, "information"),
        ("Removal cost (nats)", latent, "removal_cost"),
        ("Specificity per image, over pixels", latent, "specificity_per_image"),
        ("Normalised specificity over pixels", latent, "specificity_normalised"),
    ]
    if recoded is not None:
        panels.append(("Normalised specificity over latents", recoded, "specificity_normalised"))
    return [panel for panel in panels if panel[2] in panel[1] and panel[1][panel[2]].notnull().any()]
