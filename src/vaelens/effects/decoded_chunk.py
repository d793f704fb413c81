"""A chunk of codes, decoded, and decoded again after the interventions of a mode."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from vaelens.effects.chunks import chunks
from vaelens.effects.outcomes import sizes
from vaelens.effects.replacements import Replacements, Rows
from vaelens.lens import Batch, Lens, joined


class DecodedChunk:
    """Some images, decoded from their codes, and decoded again from codes that a mode changes.

    Attributes:
        rows: which of all images they are.
        images: D(z), (c, C, H, W).

    Args:
        lens: the lens.
        codes: (c, d, *positions), in their context.
        rows: as above.
        first_row: where in the order of the sweep they begin.
    """

    def __init__(self, lens: Lens, codes: Batch, rows: Rows, first_row: int):
        self.rows, self._engine, self._first_row, self._codes = rows, lens.engine, first_row, codes
        self._observed = lens.observed
        self.images = self._engine.decode(codes, first_row)
        self._indices = self._engine.quantise(codes.values).indices if lens.quantised else None

    def encoded(self, images: Tensor) -> Tensor:
        """Encodes the chunk's images, changed or not, (c, d, *positions)."""
        return self._engine.encode(self._codes.with_values(self._observed(images)), self._first_row)

    def picked(self, images: Tensor, local: Tensor) -> Batch:
        """Picks what `codes_of_picked` needs of some of the chunk's images, by their indices (k,), after a change.

        That is the images themselves, or their codes where rows depend on the rest of their chunk.
        """
        return self._codes.with_values(self.encoded(images) if self._engine.coupled else self._observed(images))[local]

    def codes_of_picked(self, batches: list[Batch]) -> list[Tensor]:
        """Returns the codes of the images picked, (k, d, *positions) for each batch."""
        if self._engine.coupled:
            return [batch.values for batch in batches]
        parts = joined(batches).split(self._engine.rows_uncached)
        return list(torch.cat([self._engine.encode(part) for part in parts]).split(len(batches[0])))

    def changed(self, plan: Replacements, unit: int) -> Iterator[Tensor]:
        """Yields the images D(z̃) after interventions on one unit, one batch for each value."""
        yield from self.decoded(lambda k: plan.changed(self.rows, unit, k), len(plan.labels))

    def decoded(self, codes_of: Callable[[int], Tensor], variants: int) -> Iterator[Tensor]:
        """Yields the images of several variants of the chunk's codes, one batch for each."""
        # Of few images several variants: as much at once as of many.
        for span in chunks(variants, max(1, self._engine.rows_uncached // len(self.images))):
            codes = [self._codes.with_values(codes_of(k)) for k in range(span.start, span.stop)]
            yield from self._engine.decode_variants(codes, self._first_row, self.images, self._indices)

    def sizes(self, change: Tensor) -> Tensor:
        """Measures how large changes of the images are, in the distance of these observations, (c,)."""
        return sizes(change, self._engine.observation)

    def distances(self, plan: Replacements, unit: int) -> Tensor:
        """Measures ‖D(z) − D(z̃)‖₂ for each value of the plan, (c, values)."""
        return torch.stack([self.sizes(image - self.images) for image in self.changed(plan, unit)], dim=1)
