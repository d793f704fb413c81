"""A replay: a chunk of images run once, and run again with units of a site taking their values from elsewhere.

What levels 3 and 4 are made of. Rows whose values would not change are skipped, exactly; the others go in batches
sized for the caches and the memory budget, halved when memory runs out.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from vaelens.lens.application import Application, edits_for
from vaelens.lens.exchange import Contrast, Exchange, Tasks
from vaelens.lens.kept import Base, first, held, holding
from vaelens.lens.memory import halving
from vaelens.lens.part import INPUT, Part
from vaelens.lens.parts import Parts
from vaelens.lens.quantisation import rows_that_differ
from vaelens.lens.regions import Group, Region
from vaelens.lens.settings import Sweeping
from vaelens.lens.sites import LATENT, Sites

CODE, IMAGE = "code", "image"


@dataclass(frozen=True, eq=False)
class Again:
    """Some counterfactual rows.

    Attributes:
        tasks: for each which group's values were exchanged in which image of the chunk, (m,).
        outcomes: their codes or images, (m, …).
    """

    tasks: Tasks
    outcomes: Tensor

    @property
    def rows(self) -> Tensor:
        """For each the image of the chunk, (m,), on the device of the outcomes."""
        return self.tasks.rows


class Replay:
    """A chunk of images as a treatment leaves it, kept.

    The decoder runs when something of it is asked for: of the encoder's sites the code may be all that matters.

    Attributes:
        images: what went in, (c, C, H, W), in the model's type and on its device.
        code: (c, d, *positions).

    Args:
        parts: the model.
        sites: its sites.
        images: the chunk.
        encoder: the encoder's run.
        code: the code after the treatment.
        decode: runs the decoder on the code.
        sweeping: how much runs again at once, and in what precision.
        held: the regions of the code that the treatment has set; they stay so.
    """

    def __init__(
        self,
        parts: Parts,
        sites: Sites,
        images: Tensor,
        encoder: Base,
        code: Tensor,
        decode: Callable[[Tensor], Base],
        sweeping: Sweeping,
        held: Sequence[Region] = (),
    ):
        self.images, self.code = images, code
        self._parts, self._sites, self._sweeping = parts, sites, sweeping
        self._encoder, self._decode, self._held = encoder, decode, held

    @cached_property
    def _decoder(self) -> Base:
        return self._decode(self.code)

    @cached_property
    def image(self) -> Tensor:
        """What came out, (c, C, H, W)."""
        return first(self._decoder.result).to(self.images)

    def activation(self, site: str) -> Tensor:
        """The activation at a site that was captured, (c, units, *positions)."""
        if site == LATENT:
            return self.code
        run = self._encoder if self._sites[site].part == "encoder" else self._decoder
        return run.activations[site]

    @property
    def activations(self) -> dict[str, Tensor]:
        """All activations that were captured, by site."""
        return {LATENT: self.code, **self._encoder.activations, **self._decoder.activations}

    def outcome(self, kind: str) -> Tensor:
        """The code or the image."""
        return self.code if kind == CODE else self.image

    def again(self, site: str, groups: Sequence[Group], source: Tensor, outcome: str) -> Iterator[Again]:
        """The outcomes of worlds in which one group of a site's units takes its values from elsewhere.

        Args:
            site: where the units are; one that this replay was made for.
            groups: sets of cells, each exchanged by itself.
            source: the site's activation to take them from, (c, units, *positions).
            outcome: "code" or "image".

        Yields:
            Batches of rows, groups in order. A row whose values are the same bits in both is never yielded: its
            outcome is the replay's own.
        """
        present = self.activation(site)
        between = Contrast(present, source.to(present), groups)
        tasks = between.tasks()
        if not len(tasks):
            return
        for batch in tasks.batches(self._together(site, outcome, between.partial)):
            yield Again(batch, halving(lambda some: self._outcomes(site, Exchange(between, some), outcome), batch))

    def _together(self, site: str, outcome: str, partial: bool) -> int:
        """How many rows to run again at once."""
        part = self._sites[site].part
        device, budget = self.images.device, self._sweeping.budget
        if part == "encoder":
            rows = self._parts.encoder.rows_again(site, partial, device, budget)
            if outcome == CODE:
                return rows or self._sweeping.rows
            rows, site = rows or self._sweeping.rows, INPUT
            return min(rows, self._parts.decoder.rows_again(INPUT, False, device, budget) or self._sweeping.rows)
        return (
            self._parts.decoder.rows_again(INPUT if part == LATENT else site, partial, device, budget)
            or self._sweeping.rows
        )

    def _outcomes(self, site: str, exchange: Exchange, outcome: str) -> Tensor:
        part = self._sites[site].part
        if part == "encoder":
            code = self._parts.encoder.again(self._encoder, site, exchange)
            if self._held:
                code = held(self.code.index_select(0, exchange.rows), self._held, code)
            return code if outcome == CODE else self._images(code, exchange.rows)
        if part == "decoder":
            return self._parts.decoder.again(self._decoder, site, exchange)
        if self._parts.quantisation is None:
            return self._parts.decoder.again(self._decoder, INPUT, exchange)
        return self._images(exchange.activation(), exchange.rows)

    def _images(self, codes: Tensor, rows: Tensor) -> Tensor:
        """The images of changed codes; where a codebook takes the same codes as before, the base image."""
        if self._parts.quantisation is None:
            edits = holding(self._decoder, rows) if self._decoder.held else {}
            return self._parts.draw(codes, self._sweeping.precision, edits)
        before, after = self._decoder.given.index_select(0, rows), self._parts.quantise(codes).embedding
        moved = rows_that_differ(before, after)
        images = self.image.index_select(0, rows)
        if len(moved):
            edits = holding(self._decoder, rows[moved])
            images[moved] = self._parts.decoder.fast(after[moved], self._sweeping.precision, edits).to(images)
        return images


def replay(
    parts: Parts,
    sites: Sites,
    images: Tensor,
    again: Collection[str],
    capture: Collection[str],
    applications: Sequence[Application],
    sweeping: Sweeping,
) -> Replay:
    """Run one chunk of images, and keep what is needed to run it again.

    Args:
        parts: the model.
        sites: its sites.
        images: the chunk.
        again: sites from which it will be run again; they are captured.
        capture: further sites to capture.
        applications: the interventions of the treatment.
        sweeping: how much runs again at once, and in what precision.

    Raises:
        VaelensError: an intervention that never took place.
    """
    edits = edits_for(slice(0, len(images)), applications)
    set_at: dict[str, list[Region]] = {}
    for one in applications:
        set_at.setdefault(one.site, []).append(one.region)

    def base(part: Part, name: str, inputs: Tensor, also: Collection[str]) -> Base:
        here = set(sites.of(name))
        made = {site: edit for site, edit in edits.items() if site in here}
        set_here = {site: set_at[site] for site in made}
        return part.base(
            inputs,
            [*(s for s in again if s in here), *also],
            [s for s in capture if s in here],
            made,
            set_here,
            sweeping.precision,
        )

    encoder = base(parts.encoder, "encoder", images, ())
    code = first(encoder.result).to(images)
    if LATENT in edits:
        code = edits[LATENT](code)
    from_latent = [INPUT] if LATENT in again and parts.quantisation is None else []

    def decode(code: Tensor) -> Base:
        return base(parts.decoder, "decoder", parts.decodable(code), from_latent)

    made = Replay(parts, sites, images, encoder, code, decode, sweeping, set_at.get(LATENT, ()))
    touched = (*again, *capture, *(one.site for one in applications))
    if from_latent or any(sites[name].part == "decoder" for name in touched):
        made.outcome(IMAGE)  # now: every intervention has taken place, and of a chunk too large fewer can be tried
    for one in applications:
        one.report()
    return made
