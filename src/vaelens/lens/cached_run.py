"""A cached run of a chunk of images, run again with units of sites taking their values from elsewhere.

Rows whose values would not change are skipped, exactly; the others go in batches sized for caches and memory budget.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens.batch import Batch
from vaelens.lens.bound_intervention import BoundIntervention, edits_for
from vaelens.lens.cached_part import CachedPart, Clamp, clamp, first_result
from vaelens.lens.confined_run import ConfinedRun
from vaelens.lens.counterfactuals import CODE, IMAGE, Counterfactuals
from vaelens.lens.interchange import ActivationPair, CounterfactualRows, Interchange, SitePatch, changing_rows, paired
from vaelens.lens.memory import halves_of
from vaelens.lens.model_part import RESULT, ModelPart
from vaelens.lens.model_parts import ModelParts
from vaelens.lens.quantisation import rows_that_differ
from vaelens.lens.settings import FP32, SweepSettings
from vaelens.lens.sites import LATENT, Sites
from vaelens.lens.source_change import INPUT, Sources
from vaelens.lens.stretches import stretches


class CachedRun:
    """A chunk of images as a treatment leaves it, cached.

    The decoder runs when something of it is asked for: of the encoder's sites the code may be all that matters.

    Attributes:
        images: what went in, (c, *shape), in the model's type and on its device.
        code: (c, d, *positions).
        context: of what went in, in one line each, (c, k); None where the model takes none.

    Args:
        parts: the model.
        sites: its sites.
        batch: the chunk.
        encoder: the encoder's run.
        code: the code after the treatment.
        decode: runs the decoder on the code.
        settings: how much runs again at once, and in what precision.
        clamped: the regions of the code that the treatment has set; they stay so.
        again: sites from which it can be run again.
    """

    def __init__(
        self,
        parts: ModelParts,
        sites: Sites,
        batch: Batch,
        encoder: CachedPart,
        code: Tensor,
        decode: Callable[[Tensor], CachedPart],
        settings: SweepSettings,
        clamped: Sequence[Clamp] = (),
        again: Collection[str] = (),
    ):
        self.images, self.code, self.context = batch.values, code, batch.context
        self._parts, self._sites, self._settings = parts, sites, settings
        self._encoder, self._decode, self._clamped, self._cached_for = encoder, decode, clamped, set(again)

    @cached_property
    def _decoder(self) -> CachedPart:
        return self._decode(self.code)

    @cached_property
    def image(self) -> Tensor:
        """The decoded images, (c, *shape)."""
        return first_result(self._decoder.result).to(self.images)

    @cached_property
    def logvar(self) -> Tensor | None:
        """The posteriors' log-variances, shaped like the code, or None where the encoder returns none."""
        return self._parts.posterior_in(self._encoder.result, self.images)[1]

    def activation(self, site: str) -> Tensor:
        """Returns the activation at a site that was captured, (c, units, *positions)."""
        name, part = self._sites[site].name, self._sites[site].part
        if name == LATENT:
            return self.code
        activations = (self._encoder if part == "encoder" else self._decoder).activations
        if name not in activations:
            raise VaelensError(f"the activation at {name} was not kept; name it in capture= of engine.cached_run")
        return activations[name]

    @property
    def activations(self) -> dict[str, Tensor]:
        """All activations that were captured, by site."""
        return {LATENT: self.code, **self._encoder.activations, **self._decoder.activations}

    def value(self, target: str) -> Tensor:
        """Returns the code, the image, or the activation at a site."""
        return {CODE: lambda: self.code, IMAGE: lambda: self.image}.get(target, lambda: self.activation(target))()

    def interchange(
        self, patches: SitePatch | Sequence[SitePatch], targets: str | Collection[str]
    ) -> Iterator[Counterfactuals]:
        """Runs counterfactuals in which groups of units at some sites take their values from elsewhere.

        The k-th counterfactual exchanges the k-th group of every patch, all at once. Units of a later site that are
        in no group take the values that they come to; to hold them, exchange them for this run's own activation.

        Args:
            patches: one site's, or several sites'; of sites that this run was cached for.
            targets: "code", "image" and sites whose activations are wanted; those were captured.

        Yields:
            Batches of rows, groups in order. A row of which no exchanged value differs, however little, is never
            yielded: its values are this run's own. Where rows influence one another, all rows of a group come or none.

        Raises:
            VaelensError: patches of no site, of one twice, of one that the run was not cached for, or that don't fit.
        """
        targets = [targets] if isinstance(targets, str) else list(targets)
        targets = [target if target in (CODE, IMAGE) else self._sites[target].name for target in targets]
        pairs = paired(patches, self.activation, self._sites, self._cached_for)
        rows = changing_rows(list(pairs.values()), whole_groups=self._parts.coupled)
        for batch in rows.batches(len(self.images) if self._parts.coupled else self._rows_together(pairs, targets)):
            yield Counterfactuals(batch, self._values(pairs, batch, targets))

    def confined(self, units: Mapping[str, Sequence[int]], often: bool = True) -> ConfinedRun | None:
        """Returns this run, cached for all sites but the output, with only some units of each site free to change.

        None where a change can pass a site by: hold the others by exchanging them for this run's own activation.
        """
        if self._settings.precision != FP32:
            return None
        cached = {"encoder": self._encoder, "decoder": self._decoder}
        confined = stretches(self._parts, self._sites, cached, self.code, units, often)
        return None if confined is None else ConfinedRun(self._parts, confined, self._settings.rows)

    # Inside

    def _rows_together(self, pairs: Mapping[str, ActivationPair], targets: Sequence[str]) -> int:
        """Returns how many rows to run again at once."""
        by_part, partial = self._by_part(pairs), len(pairs) == 1 and next(iter(pairs.values())).partial
        device, budget, least = self.images.device, self._settings.budget, self._settings.rows
        counts: list[int] = []
        if by_part["encoder"]:
            counts.append(self._parts.encoder.rows_again(by_part["encoder"], partial, device, budget) or least)
        if self._needs_decoder(targets):
            inside = [*([INPUT] if by_part["encoder"] or by_part[LATENT] else []), *by_part["decoder"]]
            partial &= not by_part["encoder"]
            counts.append(self._parts.decoder.rows_again(inside, partial, device, budget) or least)
        return min(counts, default=least)

    def _by_part(self, names: Collection[str]) -> dict[str, list[str]]:
        return {
            part: [name for name in names if self._sites[name].part == part] for part in ("encoder", LATENT, "decoder")
        }

    def _needs_decoder(self, targets: Collection[str]) -> bool:
        return IMAGE in targets or bool(self._of_part(targets, "decoder"))

    def _of_part(self, targets: Collection[str], part: str) -> list[str]:
        """Selects the targets that are sites of a part. A module of the model may be called "code" or "image" too."""
        return [target for target in targets if target not in (CODE, IMAGE) and self._sites[target].part == part]

    def _values(
        self, pairs: Mapping[str, ActivationPair], rows: CounterfactualRows, targets: Sequence[str]
    ) -> dict[str, Tensor]:
        """Computes the targets of some rows, on halves of them where memory runs out."""
        try:
            return self._rerun(Interchange(pairs, rows), targets)
        except Exception as error:
            if self._parts.coupled:
                raise
            halves = halves_of(rows, error)
        values = [self._values(pairs, half, targets) for half in halves]
        return {target: torch.cat([half[target] for half in values]) for target in targets}

    def _rerun(self, interchange: Interchange, targets: Sequence[str]) -> dict[str, Tensor]:
        """Runs rows of an interchange through encoder, latent and decoder, each from its first change on."""
        by_part, rows = self._by_part(interchange.pairs), interchange.rows.rows
        values: dict[str, Tensor] = {}
        code = None  # of the rows, where it is not the cached run's own

        # The encoder.
        if by_part["encoder"]:
            sources = {site: interchange.at(site) for site in by_part["encoder"]}
            names = self._of_part(targets, "encoder")
            after = self._parts.encoder.rerun(self._encoder, rows, interchange.selection, sources, [*names, RESULT])
            values |= {name: after[name] for name in names}
            code = self._parts.codes_in(after[RESULT], self.code)
            if self._clamped:
                code = clamp(self.code.index_select(0, rows), self._clamped, code)

        # The latent.
        changed: Sources = {}
        if by_part[LATENT]:
            at_latent = interchange.at(LATENT)
            if code is None and self._parts.decodes_latents:
                changed = {INPUT: at_latent}
            code = at_latent.activation() if code is None else at_latent.edit(code)

        # The decoder.
        at_sites = {site: interchange.at(site) for site in by_part["decoder"]}
        if self._needs_decoder(targets):
            inside = self._of_part(targets, "decoder")
            wanted = [*inside, *([RESULT] if IMAGE in targets else [])]
            if code is not None and not changed and not at_sites and self._parts.quantisation is not None:
                after = self._where_codes_move(code, rows, wanted)
            else:
                if code is not None and not changed:
                    changed = {INPUT: self._decodable(code, rows)}
                sources = {**changed, **at_sites}
                after = self._parts.decoder.rerun(self._decoder, rows, interchange.selection, sources, wanted)
            values |= {name: after[name] for name in inside}
            if RESULT in after:
                values[IMAGE] = after[RESULT].to(self.images)

        for target in targets:
            if target not in values:  # nothing that was exchanged comes before it
                own_code = code if target in (CODE, LATENT) else None
                values[target] = self.value(target).index_select(0, rows) if own_code is None else own_code
        return {target: values[target] for target in targets}

    def _decodable(self, code: Tensor, rows: Tensor) -> Tensor:
        """Returns what the decoder is given for codes of some rows, in the context of those rows."""
        return self._parts.decodable(Batch(code, None if self.context is None else self.context.index_select(0, rows)))

    def _where_codes_move(self, code: Tensor, rows: Tensor, wanted: Sequence[str]) -> dict[str, Tensor]:
        """Decodes changed codes, but takes the cached run's values where a codebook takes the same codes as before."""
        before, after = self._decoder.inputs.index_select(0, rows), self._decodable(code, rows)
        if self._parts.decoder.rows.coupled:
            return self._parts.decoder.rerun(self._decoder, rows, None, {INPUT: after}, wanted)
        moved = rows_that_differ(before, after)
        own = {name: first_result(self._decoder.result) if name == RESULT else self.activation(name) for name in wanted}
        values = {name: value.index_select(0, rows) for name, value in own.items()}
        if len(moved):
            again = self._parts.decoder.rerun(self._decoder, rows[moved], rows[moved], {INPUT: after[moved]}, wanted)
            for name, value in again.items():
                values[name][moved] = value.to(values[name])
        return values


def cached_run(
    parts: ModelParts,
    sites: Sites,
    images: Batch,
    again: Collection[str],
    capture: Collection[str],
    treatment: Sequence[BoundIntervention],
    settings: SweepSettings,
    first_row: int = 0,
) -> CachedRun:
    """Runs one chunk of images, and caches what is needed to run it again.

    Args:
        parts: the model.
        sites: its sites.
        images: the chunk.
        again: sites from which it will be run again; they are captured.
        capture: further sites to capture.
        treatment: interventions that hold in every run.
        settings: how much runs again at once, and in what precision.
        first_row: where in the order of all images the chunk begins: what a part draws depends on it.

    Raises:
        VaelensError: an intervention that never took place.
    """
    edits = edits_for(slice(0, len(images)), treatment)
    clamped: dict[str, list[Clamp]] = {}
    for bound in treatment:
        clamped.setdefault(bound.site, []).append(bound.region)

    def cache(part: ModelPart, name: str, inputs: Tensor, also: Collection[str]) -> CachedPart:
        inside = set(sites.of(name))
        starts, kept = ([site for site in some if site in inside] for some in (again, capture))
        edited = {site: edit for site, edit in edits.items() if site in inside}
        regions = {site: regions for site, regions in clamped.items() if site in inside}
        cached = part.cache(inputs, [*starts, *also], kept, edited, regions, settings.precision, first_row)
        sites.check_units(cached.activations)
        return cached

    encoder = cache(parts.encoder, "encoder", parts.encodable(images), ())
    code = parts.codes_in(encoder.result, images.values)
    sites.check_units({LATENT: code})
    if LATENT in edits:
        code = edits[LATENT](code)
    from_code = [INPUT] if any(sites[name].part != "decoder" for name in again) else []

    def decode(code: Tensor) -> CachedPart:
        return cache(parts.decoder, "decoder", parts.decodable(images.with_values(code)), from_code)

    run = CachedRun(parts, sites, images, encoder, code, decode, settings, clamped.get(LATENT, ()), again)
    touched = (*again, *capture, *(bound.site for bound in treatment))
    latent_again = LATENT in again and parts.quantisation is None
    if latent_again or any(sites[name].part == "decoder" for name in touched):
        _ = run.image  # now: every intervention has taken place, and of a chunk too large fewer can be tried
    for bound in treatment:
        bound.report()
    return run
