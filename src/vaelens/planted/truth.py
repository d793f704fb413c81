"""What is true of a planted model, as a record."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

Units = Mapping[str, tuple[int, ...]]  # by site, in ascending order
Node = tuple[str, int] | str  # a unit of a site, the factor's name, or "image"


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of a planted model, computed from its wiring.

    Means are over all images of its dataset, and over all pairs that differ in one factor alone, in both orders.

    Attributes:
        circuits: of each factor a smallest set of units that carries its whole effect on the image when all others are
            held, by site.
        alternatives: of each factor the other such sets of which no unit can be left out; mostly none.
        edges: of each factor the wires within its circuit, from the factor's name to "image".
        unit_types: by site, of each unit "dead" (no factor moves it), "monosemantic" (one does) or "polysemantic".
        roles: of some units what they are there for: "redundant" or "backup".
        ces: the causal effect strength of each latent under the values −3, −2 … 3, in pixel-L2, (d,).
        specificity: the intervention specificity of each latent over pixels, (d,); NaN for a latent without effect.
        modularity: the circuit modularity, normalised; NaN where fewer than two latents have an effect.
        mediation: of each factor a table with a row for each unit: site, index, and what a change of the factor does
            to the image through that unit alone (`indirect`), past it (`direct`), and by both together (`interaction`),
            as fractions of the whole.
    """

    circuits: Mapping[str, Units]
    alternatives: Mapping[str, tuple[Units, ...]]
    edges: Mapping[str, frozenset[tuple[Node, Node]]]
    unit_types: Mapping[str, tuple[str, ...]]
    roles: Mapping[tuple[str, int], str]
    ces: Float[np.ndarray, " d"]
    specificity: Float[np.ndarray, " d"]
    modularity: float
    mediation: Mapping[str, pd.DataFrame]
