"""What sweeps are made of: chunks of unchecked images and codes through a lens, within its budget and precision."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from vaelens.lens.application import Application, checked
from vaelens.lens.budget import Budget, usual_size
from vaelens.lens.execution import Edit
from vaelens.lens.interventions import Intervention
from vaelens.lens.memory import Whole, halving
from vaelens.lens.parts import Decoded, Encoded, Parts
from vaelens.lens.replay import Replay, replay
from vaelens.lens.run import Run
from vaelens.lens.settings import Sweeping, checked_precision
from vaelens.lens.sites import Sites
from vaelens.models.quantiser import Quantised


class Sweepable(ABC):
    """The side of a lens that effects call many times; nothing that it is given is checked."""

    image_shape: tuple[int, ...] | None
    _parts: Parts
    _memory: float | None
    _precision: str

    @property
    @abstractmethod
    def sites(self) -> Sites:
        """The sites in the order of the data."""

    @abstractmethod
    def run(
        self, x: Any, interventions: Any = (), capture: str | Collection[str] = (), sample: bool = False, seed: Any = 0
    ) -> Run:
        """Send images through the model with interventions, and capture activations."""

    @property
    def precision(self) -> str:
        """What sweeps compute in: "fp32", the model's own type, or "bf16"."""
        return self._precision

    @property
    def rows(self) -> int:
        """How many images go through the model at once, within the memory budget."""
        return self.rows_for(self.sites)

    def rows_for(self, sites: Collection[str]) -> int:
        """The same where only some sites are kept: those that a sweep runs again from."""
        return self._budget().rows(sites)

    @property
    def rows_drawn(self) -> int:
        """How many codes become images at once, or images codes, where no site is kept."""
        return self._budget().drawn()

    def site_groups(self, sites: Sequence[str]) -> list[list[str]]:
        """Sites in order, in groups of which the memory budget holds a full chunk of images."""
        return self._budget().groups(sites)

    def with_precision(self, precision: Any) -> "Sweepable":
        """This lens, with sweeps in another precision.

        Raises:
            VaelensError: neither "fp32" nor "bf16".
        """
        other = copy.copy(self)
        other._precision = checked_precision(precision)
        return other

    def encode_rows(
        self,
        images: Tensor,
        edits: Mapping[str, Edit] | None = None,
        capture: Collection[str] = (),
        seed: int = 0,
    ) -> Encoded:
        """One chunk of unchecked images through the encoder: what sweeps are made of."""
        return self._parts.encode(images, edits or {}, capture, seed)

    def posterior_of(self, chunks: Iterable[Tensor], images: int) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance of so many unchecked images, of which one chunk at a time is encoded."""
        means, logvars = Whole(images), Whole(images)
        for chunk in chunks:
            part = self.encode_rows(chunk.to(self._parts.like, non_blocking=True))
            means.add(part.mean)
            if part.logvar is not None:
                logvars.add(part.logvar)
        assert means.tensor is not None, "there is at least one image"
        return means.tensor, logvars.tensor

    def decode_rows(self, codes: Tensor) -> Decoded:
        """One chunk of unchecked codes through the decoder, under hooks."""
        return self._parts.decode(codes, {}, ())

    def draw_rows(self, codes: Tensor) -> Tensor:
        """One chunk of unchecked codes to images, in the forms that are fastest here: equal but for rounding."""
        return halving(lambda rows: self._parts.draw(rows, self._precision), codes)

    def responding_rows(self, codes: Tensor, sites: Collection[str]) -> Mapping[str, Tensor]:
        """The activations of some of the decoder's sites on one chunk of unchecked codes, likewise."""
        return self._parts.responding(codes, sites, self._precision)

    def quantise_rows(self, codes: Tensor) -> Quantised:
        """The codes of the codebook that one chunk of unchecked codes takes."""
        return self._parts.quantise(codes)

    def read_rows(self, images: Tensor) -> Tensor:
        """One chunk of unchecked images to codes, likewise."""
        return halving(lambda rows: self._parts.read(rows, self._precision), images)

    def replay(
        self,
        x: Tensor,
        sites: Collection[str] = (),
        treatment: Sequence[Intervention] = (),
        capture: Collection[str] = (),
    ) -> Replay:
        """Run one chunk of unchecked images, and keep what is needed to run it again from some sites on.

        Args:
            x: images (c, C, H, W).
            sites: where it will be run again from.
            treatment: interventions that hold in every run; "mean" and "resample" ablations are over this chunk.
            capture: further sites whose activations are wanted.
        """
        images = x.to(self._parts.like, non_blocking=True)
        self._parts.forget()
        applications = self._applications(images, treatment)
        sweeping = Sweeping(self.rows, self._allowed(), self._precision)
        return replay(self._parts, self.sites, images, sites, capture, applications, sweeping)

    def _applications(
        self, images: Tensor, edits: Sequence[Any], sample: bool = False, seed: int = 0
    ) -> list[Application]:
        """Interventions tied to their sites, with what they take from the run without them."""
        needed = checked(edits, self.sites, len(images))
        base = self.run(images, capture=needed, sample=sample, seed=seed).activations if needed else {}
        return [Application(edit, self.sites[edit.site], base.get(edit.site)) for edit in edits]

    def _budget(self) -> Budget:
        return Budget(self._allowed(), self._parts, self.sites, self.image_shape or ())

    def _allowed(self) -> float:
        return usual_size(self._parts.like.device) if self._memory is None else self._memory
