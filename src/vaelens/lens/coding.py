"""What a lens does without an intervention, which is to encode, decode, reconstruct and quantise."""

from abc import ABC, abstractmethod
from typing import Any

from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens.batch import Batch
from vaelens.lens.codes import checked_codes, has_no_codes
from vaelens.lens.context import ContextLike
from vaelens.lens.description import name_of
from vaelens.lens.example import ImagesLike
from vaelens.lens.facts import Facts
from vaelens.lens.sites import LATENT
from vaelens.models.quantiser import Quantised


class Coding(Facts, ABC):
    """Encodes and decodes with a model under a lens."""

    def posterior(self, x: ImagesLike, context: ContextLike | None = None) -> tuple[Tensor, Tensor | None]:
        """Computes mean and log-variance (None where the encoder gives none) of q(z|x), each (n, d, *positions)."""
        return self._engine.posterior(self.batch(x, context))

    def encode(self, x: ImagesLike, context: ContextLike | None = None) -> Tensor:
        """Encodes observations, such as images in [0, 1], as z = mu(x), (n, d, *positions)."""
        return self.posterior(x, context)[0]

    def decode(self, z: ArrayLike | Tensor | Batch, context: ContextLike | None = None) -> Tensor:
        """Decodes codes, (n, d, *positions), to their mean observations D(z), (n, *shape)."""
        codes = self._codes(z.values if isinstance(z, Batch) else z)
        packed = z.context if isinstance(z, Batch) else self._packed(context, len(codes))
        return self._engine.decode_by_hooks(Batch(codes, packed))

    def reconstruct(self, x: ImagesLike, context: ContextLike | None = None) -> Tensor:
        """Reconstructs observations as D(mu(x)), (n, *shape)."""
        batch = self.batch(x, context)
        return self.decode(batch.with_values(self.encode(batch)))

    def representation(self, x: ImagesLike, context: ContextLike | None = None) -> Tensor:
        """Returns what scores are computed from.

        It is mu(x); for a quantised latent the mean of its codes over positions, (n, d).
        """
        code = self.encode(x, context)
        if not self.quantised:
            return code
        embedding = self.quantise(code).embedding
        return embedding.flatten(2).mean(dim=2) if embedding.ndim > 2 else embedding

    def quantise(self, z: ArrayLike | Tensor) -> Quantised:
        """Finds the codes that embeddings (n, d, *positions) take, as `embedding`, of the same shape, and `indices`.

        Raises:
            VaelensError: a latent that is not quantised, embeddings that do not fit it.
        """
        if not self.quantised:
            raise has_no_codes(self.module)
        return self._engine.quantise_in_chunks(self._codes(z))

    def code_indices(self, x: ImagesLike, context: ContextLike | None = None) -> Tensor:
        """Finds which code each position takes, int64 (n, *positions), 0 to K − 1.

        Raises:
            VaelensError: a latent that is not quantised, images out of range.
        """
        if not self.quantised:
            raise has_no_codes(self.module)
        return self.quantise(self.encode(x, context)).indices

    @abstractmethod
    def check_images(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Returns observations as a tensor (n, *shape), in their range, that the model takes."""

    # Inside

    def batch(self, x: ImagesLike, context: ContextLike | None = None) -> Batch:
        """Checks observations and the context of each, and returns them as a batch that the model takes.

        Raises:
            VaelensError: as `check_images`; a context of another form or number of rows, or none where there must be.
        """
        if isinstance(x, Batch):
            return x
        values = self.check_images(x)
        return Batch(values, self._packed(context, len(values)))

    def _packed(self, context: ContextLike | None, rows: int) -> Tensor | None:
        """Packs the context of some rows as parts take it.

        Raises:
            VaelensError: see `batch`.
        """
        form = self._engine.parts.form
        if form is not None:
            return form.packed(context, rows, self._engine.parts.like)
        if context is not None:
            raise VaelensError(
                f"this {name_of(self.module)} takes no context; leave context out, or make the lens with "
                "context=, encode(x, c) and decode(z, c)"
            )
        return None

    def _codes(self, z: ArrayLike | Tensor) -> Tensor:
        shape = None if self.takes_any_size else self.sites[LATENT].shape
        return checked_codes(z, shape).to(self._engine.parts.like)
