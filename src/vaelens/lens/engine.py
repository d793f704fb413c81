"""The engine, which runs unchecked images and codes through a model, within a memory budget and a precision.

They run in chunks, and every run behind an effect is a call of it. `run_by_hooks` is the model's own forward;
everything else runs its layers in faster forms, and agrees with it but for rounding.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens.batch import Batch, BatchLike, as_batch, joined
from vaelens.lens.bound_intervention import BoundIntervention, checked
from vaelens.lens.budget import Budget, usual_size
from vaelens.lens.cached_run import CachedRun, cached_run
from vaelens.lens.forward import forward
from vaelens.lens.interventions import Intervention
from vaelens.lens.memory import Whole, halving
from vaelens.lens.model_part import ModelPart
from vaelens.lens.model_parts import ModelParts
from vaelens.lens.quantisation import rows_that_differ
from vaelens.lens.run import Run
from vaelens.lens.settings import SweepSettings, checked_precision
from vaelens.lens.sites import LATENT, Sites
from vaelens.models.quantiser import Quantised
from vaelens.observation import Observation


@dataclass(frozen=True, eq=False)
class Engine:
    """Runs a model without checking anything that it is given.

    Rows of a model that draws random numbers, or whose rows influence one another, are run in the chunks in which
    `Lens.run` runs them: `first_row` says where in the order of all images a chunk begins.

    Attributes:
        parts: the model.
        sites: its sites.
        observation: what goes in and comes out.
        precision: what sweeps compute in, "fp32" (the model's own type) or "bf16".
        memory: the bytes that the activations of one chunk may take; None for the device's usual size.
    """

    parts: ModelParts
    sites: Sites
    observation: Observation
    precision: str
    memory: float | None

    # How much at once

    @property
    def coupled(self) -> bool:
        """Whether rows draw random numbers or influence one another, so that chunks must stay what they are."""
        return self.parts.coupled

    @property
    def rows(self) -> int:
        """How many images go through the model at once, within the memory budget."""
        return self._budget().rows(self.sites)

    def rows_for(self, sites: Collection[str]) -> int:
        """Returns how many images go through at once where only some sites are cached."""
        return self.rows if self.coupled else self._budget().rows(sites)

    @property
    def rows_uncached(self) -> int:
        """How many codes are decoded at once, or images encoded, where no site is cached."""
        return self.rows if self.coupled else self._budget().rows_uncached()

    def site_groups(self, sites: Sequence[str]) -> list[list[str]]:
        """Splits sites, in order, into groups of which the memory budget holds a CPU's full chunk of images."""
        return self._budget().groups(sites)

    def with_precision(self, precision: str) -> "Engine":
        """Returns this engine with sweeps in another precision.

        Raises:
            VaelensError: neither "fp32" nor "bf16".
        """
        return replace(self, precision=checked_precision(precision))

    # Whole runs

    def run_by_hooks(
        self,
        images: BatchLike,
        interventions: Sequence[Any] = (),
        capture: Collection[str] = (),
        sample: bool = False,
        seed: int = 0,
    ) -> Run:
        """Sends images through the model's own forward, with interventions."""
        images = self._batch(images).to(self.parts.like)
        bound = self.bind(images, interventions, sample, seed)
        return forward(self.parts, self.sites, images, self.rows, bound, capture, sample, seed)

    def posterior(self, images: BatchLike) -> tuple[Tensor, Tensor | None]:
        """Computes mean and log-variance (or None) of q(z|x) of images, encoded one chunk at a time under hooks."""
        means, logvars = Whole(len(images)), Whole(len(images))
        self.parts.begin()  # a sweep begins by encoding
        for first_row, chunk in self.chunks(self._batch(images)):
            encoded = self.parts.encode(chunk.to(self.parts.like), {}, (), first_row)
            self.sites.check_units({LATENT: encoded.mean})
            means.add(encoded.mean)
            if encoded.logvar is not None:
                logvars.add(encoded.logvar)
        assert means.tensor is not None, "there is at least one image"
        return means.tensor, logvars.tensor

    def decode_by_hooks(self, codes: BatchLike) -> Tensor:
        """Decodes codes to images, one chunk at a time under hooks."""
        codes = self._batch(codes).to(self.parts.like)
        return torch.cat([self.parts.decode(chunk, {}, (), start).images for start, chunk in self.chunks(codes)])

    def chunks(self, rows: Batch) -> Iterator[tuple[int, Batch]]:
        """Yields consecutive chunks of images or codes, each with the number of its first row."""
        size = self.rows
        for start in range(0, len(rows), size):
            yield start, rows[start : start + size]

    # What sweeps are made of

    def decode(self, codes: BatchLike, first_row: int = 0) -> Tensor:
        """Decodes one chunk of codes to images, (n, *shape)."""
        return self._whole_or_halves(
            lambda rows: self.parts.evaluate_decoder(rows, self.precision, first_row),
            self._batch(codes),
            self.parts.decoder,
        )

    def decode_variants(
        self, variants: Sequence[Batch], first_row: int, images: Tensor, indices: Tensor | None = None
    ) -> Iterator[Tensor]:
        """Decodes one chunk under several changes of its codes, and yields one batch of images for each change.

        Args:
            variants: codes of the chunk, (c, d, *positions), after each change.
            first_row: of the chunk.
            images: what the chunk's codes decode to without a change.
            indices: of a quantised latent, the codes that the chunk takes without a change, (c, *positions): where a
                change takes none to another, nothing is decoded.
        """
        if self.parts.decoder.rows.coupled:
            yield from (self.decode(codes, first_row) for codes in variants)
            return
        codes = joined(list(variants))
        if indices is None:
            yield from self.decode(codes).split(len(images))
            return
        changed, count = images.repeat(len(variants), *[1] * (images.ndim - 1)), len(variants)
        before = indices.repeat(count, *[1] * (indices.ndim - 1))
        moved = rows_that_differ(self.quantise(codes.values).indices, before)
        if len(moved):
            changed[moved] = self.decode(codes[moved])
        yield from changed.split(len(images))

    def decode_some(self, codes: Batch, indices: Tensor) -> Tensor:
        """Decodes some of all codes, by their indices, in chunks."""
        whole = Whole(len(indices))
        if not self.parts.decoder.rows.coupled:
            for chunk in codes[indices].split(self.rows_uncached):
                whole.add(self.decode(chunk))
        else:  # each in the chunk that it belongs to
            size, position = self.rows, indices.argsort()
            images = Whole(len(indices))
            for start in range(0, len(codes), size):
                inside = indices[(indices >= start) & (indices < start + size)].sort().values - start
                if len(inside):
                    images.add(self.decode(codes[start : start + size], start)[inside])
            assert images.tensor is not None, "there is at least one index"
            whole.add(images.tensor[position.argsort()])
        assert whole.tensor is not None, "there is at least one index"
        return whole.tensor

    def encode(self, images: BatchLike, first_row: int = 0) -> Tensor:
        """Encodes one chunk of images to codes, (n, d, *positions)."""
        return self._whole_or_halves(
            lambda rows: self.parts.evaluate_encoder(rows, self.precision, first_row),
            self._batch(images),
            self.parts.encoder,
        )

    def quantise(self, codes: Tensor) -> Quantised:
        """Finds the codes of the codebook that one chunk of codes takes."""
        return self.parts.quantise(codes)

    def quantise_in_chunks(self, codes: Tensor) -> Quantised:
        """Finds the codes of the codebook that any number of codes take."""
        chunks = [self.quantise(chunk.values) for _, chunk in self.chunks(Batch(codes))]
        embeddings, indices = (
            torch.cat([getattr(chunk, name) for chunk in chunks]) for name in ("embedding", "indices")
        )
        return Quantised(embeddings, indices)

    def decoder_activations(self, codes: BatchLike, sites: Collection[str], first_row: int = 0) -> Mapping[str, Tensor]:
        """Computes the activations of some of the decoder's sites on one chunk of codes, (n, units, *positions)."""
        return self.parts.decoder_activations(self._batch(codes), sites, self.precision, first_row)

    def cached_run(
        self,
        images: BatchLike,
        sites: Collection[str] = (),
        treatment: Sequence[Intervention] = (),
        capture: Collection[str] = (),
        first_row: int = 0,
    ) -> CachedRun:
        """Runs one chunk of images, and caches what is needed to run it again from some sites on.

        Args:
            images: the chunk, (c, *shape).
            sites: where it will be run again from.
            treatment: interventions that hold in every run; "mean" and "resample" ablations are over this chunk.
            capture: further sites whose activations are wanted, of this run or of runs again.
            first_row: of the chunk.
        """
        images = self._batch(images).to(self.parts.like)
        self.parts.forget_weights()
        bound = self.bind(images, treatment)
        settings = SweepSettings(self.rows, self._allowed(), self.precision)
        again, captured = ([self.sites[name].name for name in names] for names in (sites, capture))
        return cached_run(self.parts, self.sites, images, again, captured, bound, settings, first_row)

    def bind(
        self, images: Batch, interventions: Sequence[Any], sample: bool = False, seed: int = 0
    ) -> list[BoundIntervention]:
        """Binds interventions to their sites and to what they take from the run without them."""
        needed = checked(interventions, self.sites, len(images))
        base = self.run_by_hooks(images, capture=needed, sample=sample, seed=seed).activations if needed else {}
        return [
            BoundIntervention(intervention, site, base.get(site.name))
            for intervention, site in ((each, self.sites[each.site]) for each in interventions)
        ]

    # Inside

    def _batch(self, rows: BatchLike) -> Batch:
        """Returns rows as a batch with the context that the model takes.

        Raises:
            VaelensError: it takes one, and there is none.
        """
        batch = as_batch(rows)
        if batch.context is None and self.parts.form is not None:
            raise VaelensError(f"this model takes a context besides; give context=, {self.parts.form.described}")
        return batch

    def _whole_or_halves(self, work: Callable[[Batch], Tensor], rows: Batch, part: ModelPart) -> Tensor:
        """Runs the work on some rows, in halves where memory runs out, unless its rows belong together."""
        if part.rows.coupled:
            return work(rows)
        return halving(work, rows)

    def _budget(self) -> Budget:
        return Budget(self._allowed(), self.parts, self.sites, self.observation.size)

    def _allowed(self) -> float:
        return usual_size(self.parts.like.device) if self.memory is None else self.memory
