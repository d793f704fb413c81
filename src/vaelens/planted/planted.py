"""A planted model, with its lens, the images that it encodes exactly, and what is true of it."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vaelens.arguments import Seed
from vaelens.lens import Lens
from vaelens.planted.consequences import truth_of
from vaelens.planted.dataset import PlantedDataset
from vaelens.planted.kinds import KINDS
from vaelens.planted.model import PlantedVAE, plan
from vaelens.planted.truth import Truth

KindName = Literal[
    "aligned", "rotated", "superposed", "dead", "distractor", "interaction", "redundant", "backup", "chain"
]


@dataclass(frozen=True, eq=False)
class Planted:
    """A model whose weights are set by hand, with its lens, its dataset and what is true of it.

    Attributes:
        model: the VAE, which saves and loads like any other.
        lens: a lens on it.
        dataset: images that it encodes and decodes exactly.
        truth: what is true of it.
    """

    model: PlantedVAE
    lens: Lens
    dataset: PlantedDataset
    truth: Truth

    @property
    def images(self) -> Tensor:
        """All images of the dataset, (N, 1, 16, 16), over which the truth's means are."""
        return self.dataset.images_at(torch.arange(len(self.dataset)))


def planted_model(kind: KindName | str, depth: int = 3, convolutional: bool = False, seed: Seed = 0) -> Planted:
    """Builds a VAE whose weights are set by hand, with the images that it encodes exactly and what is true of it.

    An image is a grid of cells of 2×2 pixels, one of each of four lattices (of dense models the pixels are shuffled). A
    factor is the brightness of a lattice. Every hidden site has units that carry factors, one or two for each, and
    three that never respond. Units are shuffled and scaled by the seed.

    - "aligned": every factor has a latent of its own.
    - "rotated": the code of two factors is turned by a known rotation, from the encoder's second site on.
    - "superposed": three factors, of which one at a time is on, share two units of each site as directions 120° apart.
    - "dead": two latents stay at the prior, and the decoder ignores them.
    - "distractor": a second path carries a factor through a latent of its own, and ends before the image.
    - "interaction": a part of the image shows what is positive of the sum of two factors.
    - "redundant": two units side by side carry a factor, and either is enough.
    - "backup": two units act only when the one that carries a factor is ablated.
    - "chain": one unit a site carries each factor, with the other sign at each.

    Args:
        kind: what it is wired to do.
        depth: the number of hidden sites of the encoder, and of the decoder, 2 to 4.
        convolutional: whether of convolutions 2×2 with stride 2, or of dense layers.
        seed: shuffles units, pixels and scales.

    Returns:
        A `Planted` with `model`, `lens`, `dataset` and `truth`.

    Raises:
        VaelensError: an unknown kind, a depth or a seed out of range, or `convolutional` neither True nor False.

    References:
        Toy models of superposition (Elhage et al., 2022). Tracr: compiled transformers as a laboratory for
        interpretability (Lindner et al., 2023), for transformers.

    Example:
        >>> planted = planted_model("rotated", depth=2)
        >>> error = planted.lens.reconstruct(planted.images) - planted.images
        >>> bool(error.abs().max() < 1e-6), planted.truth.unit_types["latent"].count("polysemantic")
        (True, 2)
    """
    wired = plan(kind, depth, convolutional, seed)
    model = PlantedVAE(kind, depth, convolutional, int(seed))
    dataset = PlantedDataset(f"planted-{kind}", KINDS[kind], wired.lattices)
    return Planted(model, Lens(model), dataset, truth_of(wired, kind, dataset))
