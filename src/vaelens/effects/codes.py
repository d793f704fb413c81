"""The codes of some images, with what an intervention on them needs to know: spread, positions, codebook."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vaelens.effects.activity import Activity, activity
from vaelens.effects.code_use import CodeUse, code_use
from vaelens.effects.positions import Positions, find_positions
from vaelens.lens import Lens


@dataclass(frozen=True, eq=False)
class Codebook:
    """The codes of a quantised latent, and which of them the images take.

    Attributes:
        codes: (K, d).
        indices: the code at each position of each image, (n, *positions).
        use: how often each code is taken.
    """

    codes: Tensor
    indices: Tensor
    use: CodeUse


@dataclass(frozen=True, eq=False)
class Codes:
    """The codes of some images.

    Attributes:
        z: (n, d, *positions); of a quantised latent before quantisation.
        activity: each latent's spread and divergence.
        positions: where a latent is set.
        codebook: of a quantised latent, else None.
    """

    z: Tensor
    activity: Activity
    positions: Positions
    codebook: Codebook | None = None


def codes_of(lens: Lens, images: Any, positions: Any = "all", seed: int = 0) -> Codes:
    """Encode images, once.

    Raises:
        VaelensError: images out of range, positions that the latent does not have.
    """
    z, logvar = lens.posterior(images)
    places = find_positions(positions, z, seed)
    book = lens.codebook
    if book is None:
        return Codes(z, activity(z, logvar), places)
    indices = lens.quantise(z).indices
    return Codes(z, activity(z, logvar), places, Codebook(book.to(z), indices, code_use(indices, len(book))))
