"""The quantiser, which replaces each position's embedding by the nearest code of a codebook learnt by moving averages.

vector-quantize-pytorch does the work; importing it takes seconds, hence only when a model has a codebook.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from vaelens.models.randomness import next_seed, own_randomness


@dataclass(frozen=True, eq=False)
class Quantised:
    """Embeddings after quantisation."""

    embedding: Float[Tensor, "n d *positions"]
    """The chosen code at each position; in training, gradients pass straight through to what was quantised."""
    indices: Int[Tensor, "n *positions"]
    """Which code was chosen at each position."""


class Quantiser(nn.Module):
    """A codebook of K codes of d dimensions, and the map of each position's embedding to its nearest code.

    In training the codebook follows the embeddings that chose it, by exponential moving averages, and a code that is
    hardly chosen any more is replaced by an embedding of the batch. In eval mode nothing changes. Distances are
    compared in float32: of codes that are equally near but for its rounding, any may be chosen.

    Args:
        codes: the number K of codes.
        latent_dim: the number d of dimensions.
        decay: of the moving averages, a step.
        revival: a code chosen less often than this a batch, on average, is replaced; 0 never does.

    References:
        van den Oord, Vinyals, Kavukcuoglu: Neural Discrete Representation Learning (2017), appendix A.1.
    """

    def __init__(self, codes: int, latent_dim: int, decay: float, revival: float) -> None:
        from vector_quantize_pytorch import VectorQuantize

        super().__init__()
        self.nearest = VectorQuantize(
            dim=latent_dim,
            codebook_size=codes,
            decay=decay,
            threshold_ema_dead_code=revival,  # pyright: ignore[reportArgumentType]: compared with averages
            accept_image_fmap=True,
            commitment_weight=0.0,  # the objective's, which sums where the library averages
        )
        # The averages start as after a revival. From the library's 1, a code that nothing is near would be dead for
        # hundreds of steps before it counts as such, and the codebook with it.
        book = self.nearest.get_submodule("_codebook")
        if revival > 0:
            book.get_buffer("cluster_size").fill_(revival)
            book.get_buffer("embed_avg").mul_(revival)

    @property
    def codebook(self) -> Float[Tensor, "codes d"]:
        """Returns the codes."""
        return self.nearest.codebook

    def forward(self, z: Float[Tensor, "n d *positions"], generator: torch.Generator | None = None) -> Quantised:
        """Finds the nearest code at each position.

        Args:
            z: embeddings.
            generator: draws what dead codes are replaced by, in training.
        """
        codebook = self.codebook.clone() if self.training else self.codebook  # training moves it
        positions = z.shape[2:]
        grid = z.detach() if len(positions) == 2 else z.detach().flatten(2)[..., None]  # the library knows two axes
        if generator is None:
            _, indices, _ = self.nearest(grid)
        else:
            with own_randomness(next_seed(generator), z.device):
                _, indices, _ = self.nearest(grid)
        indices = indices.reshape(len(z), *positions)
        # The library finds codes and moves them. What comes out is taken from the codebook itself, since the library
        # rounds it to float32, and gradients pass straight through, as published, where the library rotates them.
        chosen = F.embedding(indices, codebook).movedim(-1, 1).to(z)
        return Quantised(z + (chosen - z).detach() if self.training else chosen, indices)
