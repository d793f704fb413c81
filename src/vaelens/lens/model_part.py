"""One part of a model, encoder or decoder, run as a whole and run again from some sites on.

Traced into steps, only what lies after the sites runs again, in faster forms; under hooks, all of the part does.
"""

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.lens.basis import Basis
from vaelens.lens.cached_part import CachedPart, Clamp, first_result, in_own_memory
from vaelens.lens.conditions import conditions
from vaelens.lens.execution import ActivationEdit, execute
from vaelens.lens.first_run import first_run
from vaelens.lens.hook_points import HookPoint, counts_units, presented
from vaelens.lens.incremental.choice import choose
from vaelens.lens.incremental.downstream import Downstream, Rerun, StepChange, downstream
from vaelens.lens.incremental.layers import Layer
from vaelens.lens.incremental.readers import readers
from vaelens.lens.incremental.steps import Step, ValueEdit, references
from vaelens.lens.incremental.traced_part import WAYS, TracedPart, trace_part
from vaelens.lens.incremental.untraceable import Mixing
from vaelens.lens.interchange import SiteInterchange
from vaelens.lens.isolation import isolated
from vaelens.lens.known_modules import KnownModules
from vaelens.lens.row_independence import Rows
from vaelens.lens.settings import FP32, HOOKS
from vaelens.lens.source_change import INPUT, SourceChange, Sources, at_point, edits_at, new_values
from vaelens.lens.trust import Trust
from vaelens.progress import Advance

# Numbers of the largest value computed at once: caches are the limit of a CPU; a GPU wants to be filled.
_CELLS_CPU = 2**21
_CELLS_ACCELERATOR = 2**27
RESULT = "the part's result"


class ModelPart:
    """A part of a model and its sites.

    Args:
        model: the model.
        function: what the part does with its input; runs modules of the model.
    """

    def __init__(self, model: nn.Module, function: Callable[[Tensor], Any]):
        self.model, self.function = model, function
        self.points: Mapping[str, HookPoint] = {}
        self.reason = "its sites are not known yet"
        self.rows, self.trust = Rows(), Trust(model)
        self._traced: TracedPart | None = None
        self._plans: dict[tuple[tuple[str, ...], tuple[str, ...], bool], Downstream] = {}
        self._forms: dict[Any, list[str]] = {}
        self._modules = KnownModules(model, ())

    def prepare(
        self,
        points: Mapping[str, HookPoint],
        example: Tensor,
        ways: Collection[str] = WAYS,
        advance: Advance = lambda _: None,
        neighbours: Tensor | None = None,
    ) -> Any:
        """Traces the part into steps, or notes why it must run under hooks, and returns its result on the example.

        Args:
            points: where the part's sites are.
            example: two rows of input.
            ways: the ways to trace that are tried.
            advance: is told when a third, and when two thirds, of it are done.
            neighbours: as of `rows_of`.
        """
        self.points, self._traced, self._plans, self._forms = points, None, {}, {}
        self.trust = Trust(self.model)
        seen, self.rows = first_run(self.model, self.function, points, example, neighbours)
        advance(1 / 3)
        traced: TracedPart | str = "they were asked for"
        if self.rows.coupled:
            traced = self.rows.reason
        elif ways:
            try:
                traced = trace_part(self.model, self.function, example, points, seen, ways)
            except Mixing as reason:  # which has not shown in what it gave
                traced = str(reason)
                self.rows = replace(self.rows, reason=traced)
        advance(1 / 3)
        if isinstance(traced, str):
            self.reason = traced
        else:
            self._traced, self.reason = traced, ""
            self._modules = KnownModules(self.model, traced.program.paths)
        return seen.result

    def along(self, bases: Mapping[str, Basis]) -> "ModelPart":
        """Returns this part with the activations of some sites presented along directions."""
        other = copy.copy(self)
        points = {name: replace(point, basis=bases.get(name, point.basis)) for name, point in self.points.items()}
        other.points, other._plans = points, {}
        return other

    def readers(self, site: str) -> list[Tensor] | None:
        """Returns what reads a site or INPUT, each as a matrix (outputs, units). None where unknown or not linear."""
        if self._traced is None:
            return None
        places, known = self._traced.places, self._traced.known
        return readers(known, known.program.input if site == INPUT else places[site], self._traced.layers)

    @property
    def described(self) -> str:
        """The way in which the part runs, `torch.fx`, `torch.export`, or `forward hooks` or `none` with the reason."""
        if self._traced is None:
            return f"{HOOKS}, because {self.reason}"
        return self._modules.way(self._traced.program.way)

    @property
    def forms(self) -> Mapping[str, str]:
        """The form of each linear layer, by the name of its step."""
        return {step.name: layer.form for step, layer in self._layers.items()}

    def run(
        self,
        inputs: Tensor,
        edits: Mapping[str, ActivationEdit],
        capture: Collection[str],
        seed: int = 0,
        gradients: bool = False,
    ) -> tuple[Any, dict[str, Tensor]]:
        """Runs the model's own forward under hooks, and returns the part's result and activations after the edits."""
        with isolated(self.model, seed), torch.set_grad_enabled(gradients):
            return self._by_hooks(inputs, edits, capture)

    # Running it as sweeps do: in faster forms, and again from some sites on

    def evaluate(self, inputs: Tensor, precision: str = FP32, seed: int = 0) -> Any:
        """Computes the part's whole result, as `rerun` would compute it."""
        return self.cache(inputs, (), precision=precision, seed=seed).result

    def cache(
        self,
        inputs: Tensor,
        sites: Collection[str],
        capture: Collection[str] = (),
        edits: Mapping[str, ActivationEdit] | None = None,
        clamped: Mapping[str, Sequence[Clamp]] | None = None,
        precision: str = FP32,
        seed: int = 0,
    ) -> CachedPart:
        """Runs the part on a chunk, and keeps what is needed to run it again from some sites on.

        Args:
            inputs: the chunk.
            sites: where it will be run again from, which are captured; INPUT for the input itself.
            capture: further sites to capture.
            edits: as of `run`; their sites are captured too.
            clamped: by site the regions that the edits set.
            precision: "fp32" or "bf16".
            seed: of whatever the part draws on this chunk.
        """
        edits, clamped, traced = edits or {}, clamped or {}, self.as_steps()
        names = dict.fromkeys(name for name in (*edits, *sites, *capture) if name != INPUT)
        self.trust.check(traced, self.function, inputs, precision, self.rows)
        with conditions(self.model, traced, inputs, precision, seed):
            if traced is None:
                result, captured = self._by_hooks(inputs, edits, names)
                return CachedPart(inputs, result, captured, clamped, {}, precision, seed)
            self._choose_forms(traced, inputs, precision)
            targets = (RESULT, *capture)
            ways = product(sites, targets, (True, False))
            plans = [self._plan((site,), (target,), partial) for site, target, partial in ways]
            places = {name: traced.places[name] for name in names}
            keep = {step for plan in plans for step in (*plan.sources, *plan.targets, *plan.boundary)}
            keep |= set(places.values())
            steps = self._at_steps(edits)
            result, values = traced.program.run(inputs, steps, keep, traced.calls({*keep, *steps}))
        activations = {name: presented(values[step], self.points[name]) for name, step in places.items()}
        return CachedPart(inputs, result, activations, clamped, values, precision, seed)

    def rerun(
        self, cached: CachedPart, rows: Tensor, selection: Tensor | None, sources: Sources, targets: Collection[str]
    ) -> dict[str, Tensor]:
        """Runs some rows again after changes at some sites, and returns the values of the targets.

        Args:
            cached: the chunk, cached for these sites.
            rows: for each row the row of the chunk, (m,).
            selection: the same; None where they are all of the chunk's, each once and in order.
            sources: the changes, by site or INPUT.
            targets: RESULT (the first of several results), and sites that were captured.
        """
        traced = self.as_steps() if cached.values else None
        with conditions(self.model, traced, cached.inputs, cached.precision, cached.seed):
            if traced is None:
                return self._rerun_by_hooks(cached, rows, sources, targets)
            self._choose_forms(traced, cached.inputs, cached.precision)
            partial = len(sources) == 1 and all(
                isinstance(source, SiteInterchange) and source.pair.partial for source in sources.values()
            )
            plan = self._plan(tuple(sources), tuple(targets), partial)
            changes: dict[Step, StepChange] = {}
            for site, source in sources.items():
                step = self.step(traced, site)
                kind, value = traced.known.kinds[step], cached.values.get(step)
                changes[step] = SourceChange(source, self.points.get(site), rows, value, kind)
            clamps = self._at_steps(cached.clamps(rows)) if cached.clamped else {}
            values = plan.run(Rerun(cached.values, selection, changes, clamps, traced.layers))
            return {target: self._target_value(traced, target, values) for target in targets}

    def forget_weights(self) -> None:
        """Makes layers lay out their weights anew when a sweep begins, as a change through `.data` leaves no trace."""
        for layer in self._layers.values():
            layer.forget()

    def floats(self, sites: Collection[str]) -> tuple[int, int]:
        """Counts the numbers kept of one image to rerun it from some sites, and those of the largest value computed."""
        if self._traced is None:
            return 0, 0
        plans = [self._plan((site,), (RESULT,), partial) for site in sites for partial in (True, False)]
        kept = {step for plan in plans for step in (*plan.sources, *plan.targets, *plan.boundary)}
        floats = self._traced.known.floats
        return sum(floats[step] for step in kept), max(floats.values())

    def rows_again(self, sites: Sequence[str], partial: bool, device: torch.device, budget: float) -> int | None:
        """Computes how many rows to run again at once from some sites. None under hooks."""
        if self._traced is None:
            return None
        largest = max(1, self._plan(tuple(sites), (RESULT,), partial).floats)
        cells = _CELLS_CPU if device.type == "cpu" else _CELLS_ACCELERATOR
        # A value, what it is made of, and what comes of it, in fp32.
        return max(1, int(min(cells, budget / (3 * 4)) / largest))

    @property
    def _layers(self) -> Mapping[Step, Layer]:
        return {} if self._traced is None else self._traced.layers

    def as_steps(self) -> TracedPart | None:
        """Returns the steps where they still are what the model does, else None."""
        return None if self._traced is None or self._modules.interception() is not None else self._traced

    def _by_hooks(
        self, inputs: Tensor, edits: Mapping[str, ActivationEdit], capture: Collection[str]
    ) -> tuple[Any, dict[str, Tensor]]:
        """Runs the model's own forward under hooks, and copies a result that the model would write over later."""
        self.rows.check_number(len(inputs), self.model)
        # A copy, as it may begin in place; of one that draws rows first in memory, in whose order `randn_like` draws.
        own_inputs = inputs.clone(memory_format=torch.contiguous_format if self.rows.draws else torch.preserve_format)
        result, captured = execute(self.function, own_inputs, self.points, edits, capture)
        copied = self.rows.reuses_memory
        captured = {name: in_own_memory(activation, copied) for name, activation in captured.items()}
        return in_own_memory(result, copied), captured

    def step(self, traced: TracedPart, name: str) -> Step:
        """Returns the step of a site, of INPUT or of RESULT."""
        if name == INPUT:
            return traced.program.input
        return references(traced.program.result)[0] if name == RESULT else traced.places[name]

    def _target_value(self, traced: TracedPart, target: str, values: Mapping[Step, Any]) -> Tensor:
        value = values[self.step(traced, target)]
        return first_result(value) if target == RESULT else presented(value, self.points[target])

    def _plan(self, sources: tuple[str, ...], targets: tuple[str, ...], partial: bool) -> Downstream:
        traced = self._traced
        assert traced is not None, "plans are of steps"
        key = sources, targets, bool(partial)
        if key not in self._plans:
            steps = [self.step(traced, source) for source in sources]
            wanted = list(dict.fromkeys(self.step(traced, target) for target in targets))
            # Columns are counted with the units first, and are units.
            updated = partial and all(source == INPUT or counts_units(self.points[source]) for source in sources)
            self._plans[key] = downstream(traced.known, steps, wanted, traced.layers if updated else {})
        return self._plans[key]

    def _choose_forms(self, traced: TracedPart, inputs: Tensor, precision: str) -> None:
        """Chooses the forms once for each kind of chunk."""
        kind, layers = (inputs.device, inputs.dtype, precision), list(traced.layers.values())
        if kind not in self._forms:
            with isolated(self.model):  # what the trial draws is not to move what comes after
                choose(traced.program, traced.layers, inputs)
            self._forms[kind] = [layer.form for layer in layers]
        for layer, form in zip(layers, self._forms[kind], strict=True):  # another kind may have been run since
            layer.form = form

    def _at_steps(self, edits: Mapping[str, ActivationEdit]) -> dict[Step, ValueEdit]:
        assert self._traced is not None, "steps are edited where there are steps"
        return {self._traced.places[name]: at_point(self.points[name], edit) for name, edit in edits.items()}

    def _rerun_by_hooks(
        self, cached: CachedPart, rows: Tensor, sources: Sources, targets: Collection[str]
    ) -> dict[str, Tensor]:
        edits = edits_at(sources, cached.clamps(rows))
        inputs = new_values(sources[INPUT]) if INPUT in sources else cached.inputs.index_select(0, rows)
        capture = [target for target in targets if target != RESULT]
        result, captured = self._by_hooks(inputs, edits, capture)
        return {target: first_result(result) if target == RESULT else captured[target] for target in targets}
