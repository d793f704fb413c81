"""One part of a model, encoder or decoder: run whole, and again from a site on.

As steps only what lies after the site runs again, in the forms that are fastest here; under hooks, all of the part.
"""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.calls import LAST
from vaelens.lens.exchange import Contrast, Exchange, Tasks
from vaelens.lens.execution import Edit, execute, leaf_modules, undisturbed
from vaelens.lens.incremental.choice import choose
from vaelens.lens.incremental.downstream import Downstream, downstream, taken
from vaelens.lens.incremental.found import WAYS, Found, Sample, find_steps, sampled
from vaelens.lens.incremental.observation import Kind
from vaelens.lens.incremental.steps import Step, references
from vaelens.lens.kept import Base, first, holding
from vaelens.lens.known_modules import KnownModules
from vaelens.lens.mixing import alone_as_together
from vaelens.lens.points import Point, presented, returned
from vaelens.lens.regions import Group, Region
from vaelens.lens.settings import FP32, HOOKS, in_precision
from vaelens.progress import Advance

# Numbers of the largest value that is computed at once: caches, not kernels, are the limit of a CPU; a GPU wants to be
# filled.
_CELLS_CPU = 2**21
_CELLS_ACCELERATOR = 2**27
_TRUST, _SHARE = 2.0, 20  # seconds for which steps that were held against the model are believed; times what it took
_DRIFT = 1e-3  # of the largest value: rounding, in half precision too, is less
INPUT = "the part's input"


class Part:
    """A part of a model and its sites.

    Args:
        model: the model.
        function: what the part does with its input; runs modules of the model.
    """

    def __init__(self, model: nn.Module, function: Callable[[Tensor], Any]):
        self.model, self.function = model, function
        self.points: Mapping[str, Point] = {}
        self.reason = "its sites are not known yet"
        self._found: Found | None = None
        self._plans: dict[tuple[str | None, bool], Downstream] = {}
        self._chosen: dict[Any, list[str]] = {}
        self._modules = KnownModules(model, ())
        self._trusted_until = -math.inf
        self._mixes = False  # whether what comes of an image hangs on the others, or on its place among them

    # How it runs

    def prepare(
        self,
        points: Mapping[str, Point],
        example: Tensor,
        ways: Collection[str] = WAYS,
        advance: Advance = lambda _: None,
    ) -> Any:
        """Find the part as steps, on two rows of input, or the reason why it must run under hooks; gives its result.

        `advance` is told when a third, and when two thirds, of it are done.
        """
        self.points, self._found, self._plans, self._chosen = points, None, {}, {}
        self._trusted_until = -math.inf
        samples: dict[str, Sample] = {}

        def sample(name: str, activation: Tensor) -> Tensor:
            samples[name] = sampled(activation)
            return activation

        with undisturbed(self.model):
            result, _ = execute(
                self.function, example.clone(), points, {name: partial(sample, name) for name in points}, ()
            )
        advance(1 / 3)
        found: Found | str = "they were asked for"
        if ways:
            for device in {torch.device("cpu"), example.device}:
                torch.rand(1, device=device)  # a constant drawn in tracing is not to be by chance what the hooks drew
            leaves = leaf_modules(self.model)
            found = find_steps(self.model, self.function, leaves, example, points, (result, samples), ways)
        advance(1 / 3)
        if isinstance(found, str):
            self.reason = found
        else:
            self._found, self.reason = found, ""
            self._modules = KnownModules(self.model, found.program.paths)
        # Steps that draw nothing were found to give each image by itself what it gives among others.
        known = self._found is not None and not self._found.known.drawn
        self._mixes = not known and not alone_as_together(self.model, self.function, example, first(result), _DRIFT)
        return result

    @property
    def way(self) -> str:
        """`torch.fx` or `torch.export` where it runs as steps, else `forward hooks`."""
        return HOOKS if self._found is None else self._found.program.way

    @property
    def described(self) -> str:
        """The way, with the reason where it is the last that is left."""
        if self._found is not None and self._modules.hooked():
            return f"{HOOKS}, because a module has hooks of its own"
        return self.way if self._found is not None else f"{HOOKS}, because {self.reason}"

    @property
    def forms(self) -> Mapping[str, str]:
        """The form of each linear layer, by the name of its step."""
        return {} if self._found is None else {step.name: layer.form for step, layer in self._found.layers.items()}

    # Running it whole

    def run(
        self, inputs: Tensor, edits: Mapping[str, Edit], capture: Collection[str], seed: int = 0
    ) -> tuple[Any, dict[str, Tensor]]:
        """The part's result and some activations after the edits, by the model's own forward under hooks."""
        with undisturbed(self.model, seed):
            return execute(self.function, inputs.clone(), self.points, edits, capture)  # it may begin in place

    # Running it as sweeps do: in the forms that are fastest here, and again from a site on

    def fast(self, inputs: Tensor, precision: str = FP32, edits: Mapping[str, Edit] | None = None) -> Any:
        """The part's result, whole, as `again` would give it."""
        return self.base(inputs, (), edits=edits, precision=precision).result

    def base(
        self,
        inputs: Tensor,
        sites: Collection[str],
        capture: Collection[str] = (),
        edits: Mapping[str, Edit] | None = None,
        held: Mapping[str, Sequence[Region]] | None = None,
        precision: str = FP32,
    ) -> Base:
        """The part on a chunk, with what is needed to run it again from some sites on.

        Args:
            inputs: the chunk.
            sites: where it will be run again from, which are captured; INPUT for the input itself.
            capture: further sites to capture.
            edits: as of `run`; their sites are captured too.
            held: by site the regions that the edits set.
            precision: "fp32" or "bf16".
        """
        edits, held, found = edits or {}, held or {}, self._as_steps()
        names = dict.fromkeys(name for name in (*edits, *sites, *capture) if name != INPUT)
        with undisturbed(self.model), in_precision(precision, inputs):
            if found is None:
                result, captured = execute(self.function, inputs.clone(), self.points, edits, names)
                return Base(inputs, result, captured, held, {}, precision)
            self._check(found, inputs)
            self._choose(found, inputs, precision)
            plans = [self._plan(site, partial) for site in sites for partial in (True, False)]
            places = {name: found.places[name] for name in names}
            keep = {step for plan in plans for step in (plan.target, *plan.boundary)} | set(places.values())
            steps = self._at_steps(edits)
            result, kept = found.program.run(inputs, steps, keep, found.calls({*keep, *steps}))
        return Base(inputs, result, self._presented(places, kept), held, kept, precision)

    def again(self, base: Base, site: str, exchange: Exchange) -> Any:
        """The part's first result after an exchange at a site, one row for each of the exchange's rows.

        Args:
            base: the chunk, kept for this site.
            site: a site of the part, or INPUT.
            exchange: what is exchanged.
        """
        found = self._as_steps()
        with undisturbed(self.model), in_precision(base.precision, base.given):
            if found is None or not base.kept:
                return self._again_under_hooks(base, site, exchange)
            self._choose(found, base.given, base.precision)
            plan = self._plan(site, exchange.between.partial)

            def activation() -> Any:
                changed = exchange.activation()
                if site == INPUT:
                    return changed
                whole = changed
                if self.points[site].element is not None:
                    whole = base.kept[plan.site]  # without rows, of which nothing but the site is read
                    if found.known.kinds[plan.site] is Kind.ROWS:
                        whole = taken(whole, exchange.rows)
                return returned(changed, whole, self.points[site])

            held = self._at_steps(holding(base, exchange.rows))
            known = (base.kept, found.known.kinds)
            return first(plan.run(*known, exchange.selection, activation, exchange.update, found.layers, held))

    def forget(self) -> None:
        """Have weights put in form anew where a sweep begins: a change through `.data` leaves no trace on them."""
        for layer in [] if self._found is None else self._found.layers.values():
            layer.forget()

    def floats(self, sites: Collection[str]) -> tuple[int, int]:
        """Numbers kept of one image for running it again from some sites, and those of the largest value on the way."""
        if self._found is None:
            return 0, 0
        plans = [self._plan(site, partial) for site in sites for partial in (True, False)]
        kept = {step for plan in plans for step in (plan.site, plan.target, *plan.boundary)}
        floats = self._found.known.floats
        return sum(floats[step] for step in kept), max(floats.values())

    def rows_again(self, site: str, partial: bool, device: torch.device, budget: float) -> int | None:
        """How many rows to run again at once; None where hooks leave nothing to choose."""
        if self._found is None:
            return None
        largest = max(1, self._plan(site, partial).floats)
        cells = _CELLS_CPU if device.type == "cpu" else _CELLS_ACCELERATOR
        # A value, what it is made of, and what comes of it, in fp32.
        return max(1, int(min(cells, budget / (3 * 4)) / largest))

    # Inside

    def _as_steps(self) -> Found | None:
        """The steps, where they still are what the model does."""
        if self._found is None or self._modules.hooked():
            return None
        return self._found

    def _check(self, found: Found, inputs: Tensor) -> None:
        """Hold the steps against the model now and then: Python may take another path than when they were found.

        Raises:
            VaelensError: it does.
        """
        began = time.monotonic()
        if found.known.drawn or began < self._trusted_until:
            return
        one = inputs[:1]
        now, then = first(self.function(one.clone())), first(found.program.run(one.clone())[0])
        if now.shape != then.shape or float((now - then).abs().max()) > _DRIFT * float(now.abs().max()):
            raise VaelensError(
                f"{type(self.model).__name__} gives other values than when its sites were found: its forward takes "
                "another path now; make a new Lens"
            )
        ended = time.monotonic()
        self._trusted_until = ended + max(_TRUST, _SHARE * (ended - began))

    def _plan(self, site: str, partial: bool) -> Downstream:
        found = self._found
        assert found is not None, "plans are of steps"
        if (site, partial) not in self._plans:
            step = found.program.input if site == INPUT else found.places[site]
            target = references(found.program.result)[0]
            # Columns are counted with the units first.
            updated = partial and (site == INPUT or self.points[site].axis != LAST)
            self._plans[site, partial] = downstream(found.known, step, target, found.layers if updated else {})
        return self._plans[site, partial]

    def _choose(self, found: Found, inputs: Tensor, precision: str) -> None:
        """Measure the forms once for each kind of chunk; a sweep's last, smaller chunk takes those of the others."""
        kind, layers = (inputs.device, inputs.dtype, precision), list(found.layers.values())
        if kind not in self._chosen:
            with undisturbed(self.model):  # what the measured runs draw is not to move what comes after
                choose(found.program, found.layers, inputs, precision)
            self._chosen[kind] = [layer.form for layer in layers]
        for layer, form in zip(layers, self._chosen[kind], strict=True):  # another kind may have been run since
            layer.form = form

    def _at_steps(self, edits: Mapping[str, Edit]) -> dict[Step, Edit]:
        assert self._found is not None, "steps are edited where there are steps"
        return {self._found.places[name]: self._at_step(self.points[name], edit) for name, edit in edits.items()}

    def _at_step(self, point: Point, edit: Edit) -> Edit:
        return lambda value: returned(edit(presented(value, point)), value, point)

    def _presented(self, places: Mapping[str, Step], kept: Mapping[Step, Any]) -> dict[str, Tensor]:
        return {name: presented(kept[step], self.points[name]) for name, step in places.items()}

    def _piece_by_chunk(self, base: Base, site: str, exchange: Exchange, rows: slice, group: Group) -> Tensor:
        """Rows of one group, from a run of the whole chunk with the group exchanged in every image."""
        between = Contrast(exchange.between.present, exchange.between.source, [group])
        every = torch.arange(len(base.given))
        rows_here, none = every.to(exchange.rows), torch.zeros_like(every)
        whole = Exchange(between, Tasks(none.to(rows_here), rows_here, none))
        with undisturbed(self.model):  # each run draws what the base run drew
            return self._again_under_hooks(base, site, whole).index_select(0, exchange.rows[rows])

    def _again_under_hooks(self, base: Base, site: str, exchange: Exchange) -> Any:
        if self._mixes and exchange.selection is not None:
            return torch.cat([self._piece_by_chunk(base, site, exchange, *piece) for piece in exchange.pieces])
        rows = exchange.rows
        inputs = exchange.activation() if site == INPUT else base.given.index_select(0, rows)
        edits = holding(base, rows)
        if site != INPUT:
            edits[site] = lambda activation: exchange.activation().to(activation)
        return first(execute(self.function, inputs.clone(), self.points, edits, ())[0])
