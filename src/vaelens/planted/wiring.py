"""The wiring of a planted model, one number a unit, from which its truth is computed in NumPy without the model.

A model repeats each number at all positions of a site (convolutional) or not (dense), and behaves as its wiring does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vaelens.lens import IMAGE, LATENT

LATTICES = 4  # of pixels, in each cell of 2×2 one each
CONTRAST = 16.0  # a lattice that shows the number s has pixels of 0.5 + s / CONTRAST

Values = Float[np.ndarray, "n _"]


@dataclass(frozen=True, eq=False)
class Stage:
    """A site's units, computed from those of the stage before.

    Attributes:
        site: its name; "image" for the lattices that are painted.
        weight: (units, inputs).
        bias: (units,).
        names: of its units, as the construction calls them.
        rectified: whether a ReLU follows.
    """

    site: str
    weight: Float[np.ndarray, "units inputs"]
    bias: Float[np.ndarray, " units"]
    names: tuple[str, ...]
    rectified: bool

    def values(self, inputs: Values) -> Values:
        """Computes the units' values."""
        values = inputs @ self.weight.T + self.bias
        return np.maximum(values, 0) if self.rectified else values


@dataclass(frozen=True, eq=False)
class Wiring:
    """The stages of a planted model, in the order of the data.

    Attributes:
        stages: of the encoder, the latent, the decoder, and at last the image.
    """

    stages: tuple[Stage, ...]

    @property
    def sites(self) -> tuple[str, ...]:
        """Lists the sites whose units can belong to a circuit, which leaves out the image."""
        return tuple(stage.site for stage in self.stages if stage.site != IMAGE)

    def stage(self, site: str) -> Stage:
        """Finds the stage of a site, or of the image."""
        return next(stage for stage in self.stages if stage.site == site)

    def of(self, part: str) -> tuple[Stage, ...]:
        """Lists the stages of "encoder" or "decoder", without the latent and the image."""
        return tuple(stage for stage in self.stages if stage.site.startswith(f"{part}."))

    @property
    def latents(self) -> int:
        """The number of latents."""
        return len(self.stage(LATENT).bias)

    def node(self, name: str) -> tuple[str, int]:
        """Finds the site and the index of a unit by the name that the construction calls it."""
        return next((stage.site, stage.names.index(name)) for stage in self.stages if name in stage.names)

    def run(self, seen: Values, held: Mapping[str, Values] | None = None) -> dict[str, Values]:
        """Computes every stage's values from the numbers that an image's lattices show.

        Args:
            seen: (n, lattices).
            held: by site values (n, units) that replace those computed; NaN where the computed one stays.
        """
        computed: dict[str, Values] = {}
        values = seen
        for stage in self.stages:
            values = stage.values(values)
            if held is not None and stage.site in held:
                values = np.where(np.isnan(held[stage.site]), values, held[stage.site])
            computed[stage.site] = values
        return computed
